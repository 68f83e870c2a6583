package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/internal/secret"
)

// Mailbox is a mailbox that answers come back to, read by IMAP.
type Mailbox struct {
	Name     string            `json:"name" help:"Unique name"`
	URL      Address           `json:"url" help:"imaps://user:password@host for TLS from the start, imap://… for STARTTLS; ?tls=none for a server on this machine only; percent-encode special characters"`
	URLFile  string            `json:"url_file,omitempty" help:"File that holds the url"`
	Address  string            `json:"address" help:"Where people write to end something: stands in List-Unsubscribe of the channels; empty: none does"`
	Channels []string          `json:"channels,omitempty" help:"Channels whose letters name the address; empty: all that know of one"`
	Folder   string            `json:"folder" default:"INBOX" help:"Where mails come in"`
	Done     string            `json:"done" default:"Rapport" help:"Folder for what was dealt with, made if need be; off: it stays and is marked as read. What people have to read always stays as it is"`
	Every    channels.Duration `json:"every" default:"1m" help:"How often to look at the latest; servers that can (IDLE) say at once that something came"`
	CAFile   string            `json:"ca_file,omitempty" help:"A file of certificates (PEM) to trust instead of the machine's"`
}

// Login is what a mailbox's address says.
type Login struct {
	Host, Addr string // Addr with port
	User       string
	Password   func() string // a function, so that printing shows nothing
	StartTLS   bool
	Plain      bool // no encryption: the server is on this machine
}

// Login reads the address. No error shows it, because it holds a password.
func (m Mailbox) Login() (Login, error) {
	const example = "write it like imaps://user:password@imap.example.com"
	u, err := url.Parse(m.URL.Reveal())
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return Login{}, fmt.Errorf("is not the address of a mailbox; %s", example)
	}
	l := Login{Host: u.Hostname(), User: u.User.Username()}
	password, _ := u.User.Password()
	l.Password = func() string { return password }
	if l.User == "" || password == "" {
		return Login{}, fmt.Errorf("needs a user and a password; %s", example)
	}
	mode := u.Query().Get("tls")
	port := "143"
	switch {
	case u.Scheme == "imaps" && mode == "":
		port = "993"
	case u.Scheme == "imap" && mode == "":
		l.StartTLS = true
	case u.Scheme == "imap" && mode == "none" && isLoopback(l.Host):
		l.Plain = true
	case u.Scheme == "imap" && mode == "none":
		return Login{}, errors.New("a password is never sent in clear text to another machine; leave out tls=none")
	default:
		return Login{}, errors.New("must begin with imaps:// or imap://; the only setting after it is tls=none")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	l.Addr = net.JoinHostPort(l.Host, port)
	return l, nil
}

// MailboxOf returns the mailbox whose address the letters of a channel name.
func (c Config) MailboxOf(channel string) (Mailbox, bool) {
	i := slices.IndexFunc(c.Mailboxes, func(m Mailbox) bool {
		return m.Address != "" && (len(m.Channels) == 0 || slices.Contains(m.Channels, channel))
	})
	if i < 0 {
		return Mailbox{}, false
	}
	return c.Mailboxes[i], true
}

// mailboxes reads the secret files and fills in what mailboxes leave out.
func (l *loader) mailboxes() {
	for i := range l.file.Mailboxes {
		m := &l.file.Mailboxes[i]
		for _, s := range leaves(reflect.ValueOf(m).Elem(), "") {
			if s.value.IsZero() && s.tag.Get("default") != "" {
				l.regret(listPath("mailboxes", i, s.path), s.set(s.tag.Get("default")))
			}
		}
		if m.Done == "off" {
			m.Done = ""
		}
		if m.URLFile == "" {
			continue
		}
		if !m.URL.Empty() {
			l.complain(listPath("mailboxes", i, "url_file"), "url is set as well; keep one of the two")
			continue
		}
		text, err := readSecret(m.URLFile)
		if err != nil {
			l.complain(listPath("mailboxes", i, "url_file"), "%s", err.Error())
			continue
		}
		m.URL = Address{secret.New(text)}
	}
}

func (l *loader) checkMailboxes(c Config) {
	names := map[string]string{}
	var known []string
	for _, ch := range c.Channels {
		known = append(known, ch.Name)
	}
	for i, m := range c.Mailboxes {
		l.name(listPath("mailboxes", i, "name"), m.Name, names)
		if m.URL.Empty() && m.URLFile == "" {
			l.complain(listPath("mailboxes", i, "url"), "is required")
		} else if _, err := m.Login(); err != nil && !m.URL.Empty() {
			l.complain(listPath("mailboxes", i, "url"), "%s", err.Error())
		}
		if m.Address != "" {
			if a, err := channels.Email.Normalize(m.Address); err != nil || strings.ContainsAny(a, "%?&#\"'/ ") {
				l.complain(listPath("mailboxes", i, "address"), "%q is not an address that can stand in a link; write one like stop@example.com", m.Address)
			}
		}
		for j, ch := range m.Channels {
			if !slices.Contains(known, ch) {
				l.complain(listPath("mailboxes", i, fmt.Sprintf("channels[%d]", j)), "%s", rapport.Unknown("channel", ch, known).Error())
			}
		}
		if m.Folder == m.Done {
			l.complain(listPath("mailboxes", i, "done"), "is the folder that mails come in to; name another, or none")
		}
		if d := time.Duration(m.Every); d < time.Second || d > time.Hour {
			l.complain(listPath("mailboxes", i, "every"), "must be between 1s and 1h")
		}
	}
}
