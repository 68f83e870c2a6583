package imap

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Security says how a conversation with a server is protected.
type Security uint8

// TLS from the first octet, TLS after a command, or none, which is for servers
// on the same machine.
const (
	Implicit Security = iota
	StartTLS
	None
)

// Settings is one folder of one mailbox.
type Settings struct {
	Name     string // how people and the store call it
	Host     string
	Addr     string // host:port
	User     string
	Password func() string // a function, so that printing shows nothing
	Security Security
	Roots    *x509.CertPool // nil: the machine's
	Folder   string         // where mails come in
	Done     string         // where those go that were dealt with; empty: they are marked as read
	Every    time.Duration  // how often to look at the latest
}

// key is how the store calls the folder: another place is another mailbox.
func (s Settings) key() string { return s.Name + " " + s.User + "@" + s.Host + "/" + s.Folder }

func (s Settings) tls() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
}

// Bounds and rhythms.
const (
	dialTime    = 30 * time.Second
	commandTime = 2 * time.Minute
	fetchTime   = 5 * time.Minute
	idleTime    = 9 * time.Minute // servers may forget an IDLE after half an hour, and libraries have gone silent in it
	backoffMin  = time.Second
	backoffMax  = 5 * time.Minute
	steady      = time.Minute // a session that lasted so long was a good one
	mostTries   = 3           // at a mail that nobody can say what is wrong with
	group       = 50          // mails between two notes of how far we are
	mostAtOnce  = 10_000      // mails of one look; then comes the next
	firstLook   = 14 * 24 * time.Hour
)
