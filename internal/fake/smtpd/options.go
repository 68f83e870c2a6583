package smtpd

import (
	"crypto/tls"
	"errors"
	"time"

	"rapport/internal/fake/journal"
)

// Support says how well a server knows an extension.
type Support uint8

const (
	// Works offers the extension and honours it.
	Works Support = iota
	// Absent neither offers the extension nor accepts its parameters.
	Absent
	// Broken offers the extension and then fails: parameters are refused with
	// 555, and commands sent ahead of an answer are lost.
	Broken
)

// TLSMode says when the connection is encrypted.
type TLSMode uint8

const (
	// NoTLS never encrypts and does not offer STARTTLS.
	NoTLS TLSMode = iota
	// StartTLS offers STARTTLS (RFC 3207).
	StartTLS
	// ImplicitTLS encrypts from the first octet (RFC 8314).
	ImplicitTLS
	// StartTLSRefused offers STARTTLS and answers it with 454.
	StartTLSRefused
	// StartTLSGarbage offers STARTTLS, answers 220 and then sends no TLS.
	StartTLSGarbage
)

// Certificate says what is wrong with a server's own certificate.
type Certificate uint8

const (
	// Good is valid for Options.Name and loopback.
	Good Certificate = iota
	// Expired was valid until a day ago.
	Expired
	// OtherName is valid for another host only.
	OtherName
)

// Keep says what stays of a message after it was taken.
type Keep uint8

const (
	// KeepBodies keeps whole messages in the mailbox.
	KeepBodies Keep = iota
	// KeepHeaders keeps the header block; the journal still has the body's digest.
	KeepHeaders
	// KeepNothing only counts by recipient: no mailbox, no digest, no Message-ID.
	KeepNothing
)

// Options describes a server. The zero value is a strict receiver on a free
// loopback port that keeps what it took.
type Options struct {
	// Addr is the address to listen on; empty means 127.0.0.1:0.
	Addr string
	// Name is the server's name in its greeting and certificate; empty means
	// mx.example.test.
	Name string

	// NoEHLO makes a server of 1982: EHLO is unknown and so is every extension.
	NoEHLO bool
	// Pipelining is RFC 2920.
	Pipelining Support
	// EightBitMIME is RFC 6152.
	EightBitMIME Support
	// SMTPUTF8 is RFC 6531.
	SMTPUTF8 Support
	// DSN is RFC 3461.
	DSN Support
	// Size is RFC 1870; MaxSize holds whether or not it is offered.
	Size Support
	// EnhancedCodes is RFC 2034; Broken is the same as Absent.
	EnhancedCodes Support

	// TLS says when the connection is encrypted.
	TLS TLSMode
	// TLSConfig replaces the certificate the server makes for itself.
	TLSConfig *tls.Config
	// TLSRequired refuses mail on a connection in the clear with 530.
	TLSRequired bool

	// Certificate is what is wrong with the certificate the server makes for
	// itself; it does not matter with TLSConfig.
	Certificate Certificate
	// DataAlways answers DATA with 354 even without a recipient, and refuses the
	// message after its final dot, which RFC 2920 section 3.1 lets a server do.
	DataAlways bool

	// Users are the names and passwords AUTH accepts; nil means AUTH is not offered.
	Users map[string]string
	// AuthMechanisms are offered in this order; nil means PLAIN and LOGIN.
	AuthMechanisms []string
	// AuthRequired refuses mail without authentication with 530.
	AuthRequired bool
	// AuthAfterTLS offers AUTH only on an encrypted connection.
	AuthAfterTLS bool
	// AuthBroken answers every AUTH with 454.
	AuthBroken bool

	// MaxSize is the largest message in octets; 0 means 25 MiB.
	MaxSize int64
	// MaxLine is the longest line of a message in octets with its CR LF; 0 means
	// 1000 (RFC 5321 section 4.5.3.1.6).
	MaxLine int
	// MaxRcpts is the largest number of recipients of a message; 0 means 100.
	MaxRcpts int
	// MaxSessions is how many connections may be open at once; the next is
	// greeted with 421. 0 means 1000.
	MaxSessions int
	// Idle ends a connection that says nothing for so long; 0 means 5 minutes.
	Idle time.Duration

	// Script decides where the server misbehaves; nil means nowhere.
	Script Script

	// Keep says what stays of a message.
	Keep Keep
	// MaxMessages bounds the mailbox; the oldest goes first. 0 means 10,000.
	MaxMessages int
	// MaxBytes bounds the mailbox in octets; 0 means 256 MiB.
	MaxBytes int64
	// Journal records what was taken; nil means a journal of the server's own,
	// in memory and unbounded. The caller closes a journal it passed.
	Journal *journal.Journal
	// JournalHeaders are copied to the journal's Meta; nil means DefaultHeaders.
	JournalHeaders []string

	// ImageSources are added to the image sources of the HTML view, for example
	// the address of the demo's open pixel. By default a shown mail loads nothing
	// from any host.
	ImageSources []string
	// Now is the server's clock; nil means time.Now.
	Now func() time.Time
}

// DefaultHeaders returns the header fields the journal keeps when
// Options.JournalHeaders is nil: those promises are made about.
func DefaultHeaders() []string {
	return []string{
		"Auto-Submitted", "Bcc", "Cc", "Content-Type", "DKIM-Signature", "Date", "Feedback-ID", "From",
		"In-Reply-To", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Precedence",
		"References", "Reply-To", "Return-Path", "Sender", "Subject", "To",
	}
}

func (o Options) complete() (Options, error) {
	o.Addr = either(o.Addr, "127.0.0.1:0")
	o.Name = either(o.Name, "mx.example.test")
	o.MaxSize = either(o.MaxSize, 25<<20)
	o.MaxLine = either(o.MaxLine, 1000)
	o.MaxRcpts = either(o.MaxRcpts, 100)
	o.MaxSessions = either(o.MaxSessions, 1000)
	o.Idle = either(o.Idle, 5*time.Minute)
	o.MaxMessages = either(o.MaxMessages, 10_000)
	o.MaxBytes = either(o.MaxBytes, 256<<20)
	if o.MaxSize < 0 || o.MaxLine < 0 || o.MaxRcpts < 0 || o.MaxSessions < 0 || o.MaxMessages < 0 || o.MaxBytes < 0 {
		return o, errors.New("start SMTP server: a limit is negative")
	}
	if o.AuthMechanisms == nil {
		o.AuthMechanisms = []string{"PLAIN", "LOGIN"}
	}
	if o.JournalHeaders == nil {
		o.JournalHeaders = DefaultHeaders()
	}
	if o.Journal == nil {
		o.Journal = journal.Memory()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

func either[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
