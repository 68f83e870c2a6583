package imapd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// User and Password open the mailbox.
const (
	User     = "anna"
	Password = "canary-password"
)

// Options says how the server behaves. The zero value speaks without TLS and
// can do what modern servers can.
type Options struct {
	TLS   *tls.Config // from the first octet; nil: none
	Plain bool        // only RFC 3501: no IDLE, no MOVE, no UIDPLUS
}

// Server is a running server with one user, who has INBOX.
type Server struct {
	o      Options
	user   *imapmemserver.User
	server *imapserver.Server
	listen net.Listener
	gone   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	total int
}

// Start starts a server; Close ends it.
func Start(o Options) (*Server, error) {
	listen, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, user: imapmemserver.NewUser(User, Password), conns: map[net.Conn]bool{}, listen: listen}
	if err := s.user.Create("INBOX", nil); err != nil {
		return nil, errors.Join(err, listen.Close())
	}
	memory := imapmemserver.New()
	memory.AddUser(s.user)
	caps := imap.CapSet{imap.CapIMAP4rev1: {}}
	if !o.Plain {
		caps[imap.CapIMAP4rev2] = struct{}{}
	}
	s.server = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		Caps: caps, InsecureAuth: true, Logger: log.New(io.Discard, "", 0),
	})
	s.gone.Go(func() { _ = s.server.Serve(&counted{Listener: listen, s: s}) }) // it ends with Close
	return s, nil
}

// Addr is host:port.
func (s *Server) Addr() string { return s.listen.Addr().String() }

// URL is what a mailbox's setting url must say.
func (s *Server) URL() string {
	if s.o.TLS != nil {
		return "imaps://" + User + ":" + Password + "@" + s.Addr()
	}
	return "imap://" + User + ":" + Password + "@" + s.Addr() + "?tls=none"
}

// Close ends the server.
func (s *Server) Close() error {
	err := s.server.Close()
	s.gone.Wait()
	return err
}

// Put puts a mail into a folder.
func (s *Server) Put(folder string, raw []byte) error {
	_, err := s.user.Append(folder, literal{bytes.NewReader(raw), int64(len(raw))}, &imap.AppendOptions{})
	return err
}

type literal struct {
	io.Reader

	size int64
}

func (l literal) Size() int64 { return l.size }

// Connections is how many connections there have been.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Cut closes all connections, as a server does that is started again.
func (s *Server) Cut() {
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
	}
}

// counted keeps the connections.
type counted struct {
	net.Listener

	s *Server
}

// Accept implements net.Listener.
func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.s.o.TLS != nil {
		c = tls.Server(c, l.s.o.TLS)
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	k := &kept{Conn: c, s: l.s}
	l.s.conns[k] = true
	l.s.total++
	return k, nil
}

type kept struct {
	net.Conn

	s *Server
}

// Close implements net.Conn.
func (k *kept) Close() error {
	k.s.mu.Lock()
	delete(k.s.conns, k)
	k.s.mu.Unlock()
	return k.Conn.Close()
}

// Mail is a mail in a folder.
type Mail struct {
	Raw           []byte
	Seen, Flagged bool
}

// Mails lists what is in a folder; nothing when there is no such folder.
func (s *Server) Mails(folder string) ([]Mail, error) {
	var c *imapclient.Client
	var err error
	if s.o.TLS != nil {
		c, err = imapclient.DialTLS(s.Addr(), &imapclient.Options{TLSConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}) //nolint:gosec // our own server
	} else {
		c, err = imapclient.DialInsecure(s.Addr(), nil)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := c.Login(User, Password).Wait(); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	data, err := c.Select(folder, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil || data.NumMessages == 0 {
		return nil, nil
	}
	var all imap.SeqSet
	all.AddRange(1, data.NumMessages)
	list, err := c.Fetch(all, &imap.FetchOptions{Flags: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil {
		return nil, fmt.Errorf("read mails: %w", err)
	}
	var out []Mail
	for _, m := range list {
		mail := Mail{}
		for _, b := range m.BodySection {
			mail.Raw = b.Bytes
		}
		for _, f := range m.Flags {
			mail.Seen = mail.Seen || f == imap.FlagSeen
			mail.Flagged = mail.Flagged || f == imap.FlagFlagged
		}
		out = append(out, mail)
	}
	return out, nil
}
