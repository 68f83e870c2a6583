package email

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rapport/channels"
	"rapport/internal/secret"
)

// Settings are the settings of an email channel.
type Settings struct {
	From          string            `json:"from" need:"yes" help:"who the letters are from: Example Shop <news@example.com>"`
	Servers       []Server          `json:"servers" need:"yes" help:"the servers that take the letters; several share the load and stand in for each other"`
	Helo          string            `json:"helo" help:"how this machine names itself to servers; default: the domain of from"`
	ReturnPath    string            `json:"return_path" help:"the domain that bounces go to; default: the domain of from"`
	ListDomain    string            `json:"list_domain" help:"the domain in List-Id; default: the domain of from"`
	Timeout       channels.Duration `json:"timeout" help:"how long a server may take for a connection or an answer; default 2m"`
	DotTimeout    channels.Duration `json:"dot_timeout" help:"how long a server may take to accept a letter it has been given; default 10m"`
	IdleTimeout   channels.Duration `json:"idle_timeout" help:"how long an unused connection is kept; default 30s"`
	PerConnection int               `json:"max_per_connection" help:"how many letters go over one connection; default 1000"`
	DKIM          *DKIM             `json:"dkim" help:"sign letters: domain, selector, key_file"`
	CAFile        string            `json:"ca_file" help:"a file of certificates (PEM) to trust instead of the machine's"`
}

// Server is one server that takes letters.
type Server struct {
	URL         secret.String `json:"url" need:"yes" help:"smtp://user:password@host:port, smtps:// for TLS from the start; ?tls=require (default), opportunistic or none"`
	Connections int           `json:"connections" help:"how many connections at once; default 10"`
	Rate        string        `json:"rate" help:"at most so many letters, over all processes: 50/s, 600/m, 10000/h"`
}

// DKIM is how letters are signed (RFC 6376).
type DKIM struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
	KeyFile  string `json:"key_file"`
}

const (
	defaultConnections   = 10
	defaultTimeout       = 2 * time.Minute
	defaultDotTimeout    = 10 * time.Minute // RFC 5321 section 4.5.3.2.6
	defaultIdleTimeout   = 30 * time.Second
	defaultPerConnection = 1000
)

// Validate complains about everything that can be seen without connecting.
func (s Settings) Validate() error {
	var errs []error
	if _, err := parseFrom(s.From); err != nil {
		errs = append(errs, err)
	}
	if len(s.Servers) == 0 {
		errs = append(errs, errors.New("servers: name at least one, with its url"))
	}
	for i, srv := range s.Servers {
		if _, err := srv.parse(); err != nil {
			errs = append(errs, fmt.Errorf("servers[%d].%w", i, err))
		}
	}
	for _, d := range []struct{ key, domain string }{
		{"helo", s.Helo}, {"return_path", s.ReturnPath}, {"list_domain", s.ListDomain},
	} {
		if d.domain != "" && !hostPattern.MatchString(d.domain) {
			errs = append(errs, fmt.Errorf("%s: %q is not a host name; write it like mail.example.com", d.key, d.domain))
		}
	}
	for _, d := range []struct {
		key string
		d   channels.Duration
	}{{"timeout", s.Timeout}, {"dot_timeout", s.DotTimeout}, {"idle_timeout", s.IdleTimeout}} {
		if d.d < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", d.key))
		}
	}
	if s.PerConnection < 0 {
		errs = append(errs, errors.New("max_per_connection: must not be negative"))
	}
	if s.DKIM != nil && (!hostPattern.MatchString(s.DKIM.Domain) || !hostPattern.MatchString(s.DKIM.Selector) || s.DKIM.KeyFile == "") {
		errs = append(errs, errors.New("dkim: needs domain, selector and key_file"))
	}
	return errors.Join(errs...)
}

// hostPattern is a host name or an address literal of RFC 5321 section 4.1.3.
var hostPattern = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]+\])$`)

// parseFrom reads the sender; the domain becomes an A-label.
func parseFrom(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || oneLine(text) != text {
		return nil, fmt.Errorf("from: %q is not a sender; write it like Example Shop <news@example.com>", text)
	}
	if a.Address, err = channels.Email.Normalize(a.Address); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	return a, nil
}

// tlsMode says when a conversation must be encrypted.
type tlsMode uint8

const (
	tlsRequire       tlsMode = iota // STARTTLS or nothing
	tlsOpportunistic                // STARTTLS when offered
	tlsNone                         // clear text
	tlsImplicit                     // TLS from the first octet
)

// endpoint is a server's settings, read.
type endpoint struct {
	host        string
	addr        string // host:port, which is also how messages name it
	user        string
	password    func() string // a function, because fmt prints unexported fields without asking them
	tls         tlsMode
	connections int
	interval    time.Duration // least time between two letters; 0: none
}

const urlExample = "write it like smtp://user:password@smtp.example.com:587"

// parse reads the settings of a server. No error shows the URL, because it may
// hold a password.
func (s Server) parse() (endpoint, error) {
	u, err := url.Parse(s.URL.Reveal())
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return endpoint{}, errors.New("url: is not the address of a server; " + urlExample)
	}
	e := endpoint{host: u.Hostname(), connections: s.Connections}
	if u.User != nil {
		pass, _ := u.User.Password()
		e.user, e.password = u.User.Username(), func() string { return pass }
		if e.user == "" || pass == "" {
			return endpoint{}, errors.New("url: needs both a user and a password, or neither; " + urlExample)
		}
	}
	if e.tls, err = parseTLS(u.Scheme, u.Query()); err != nil {
		return endpoint{}, err
	}
	if e.tls == tlsNone && e.user != "" {
		return endpoint{}, errors.New("url: a password is never sent in clear text; leave out tls=none, or the password")
	}
	port := u.Port()
	switch {
	case port != "":
	case e.tls == tlsImplicit:
		port = "465"
	case e.user != "":
		port = "587"
	default:
		port = "25"
	}
	e.addr = net.JoinHostPort(e.host, port)
	if e.connections < 0 || e.connections > 1000 {
		return endpoint{}, errors.New("connections: must be between 1 and 1000")
	}
	if e.connections == 0 {
		e.connections = defaultConnections
	}
	e.interval, err = parseRate(s.Rate)
	return e, err
}

func parseTLS(scheme string, query url.Values) (tlsMode, error) {
	mode := query.Get("tls")
	query.Del("tls")
	for key := range query {
		return 0, fmt.Errorf("url: %q is not a setting of a server; the only one is tls", key)
	}
	switch {
	case scheme == "smtps" && (mode == "" || mode == "require"):
		return tlsImplicit, nil
	case scheme == "smtps":
		return 0, errors.New("url: smtps:// is always encrypted; leave tls out")
	case scheme != "smtp":
		return 0, errors.New("url: must begin with smtp:// or smtps://")
	}
	switch mode {
	case "", "require":
		return tlsRequire, nil
	case "opportunistic":
		return tlsOpportunistic, nil
	case "none":
		return tlsNone, nil
	}
	return 0, fmt.Errorf("url: tls=%q is not known; use require, opportunistic or none", mode)
}

// parseRate reads "50/s" as the time between two letters.
func parseRate(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	if err != nil || n < 1 || per == 0 {
		return 0, fmt.Errorf("rate: %q is not a rate; write it like 50/s, 600/m or 10000/h", text)
	}
	return per / time.Duration(n), nil
}
