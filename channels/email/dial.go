package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

var (
	errNoTLS     = errors.New("the server does not offer STARTTLS, and tls=require does not go on without")
	errClearText = errors.New("a password is never sent in clear text, and the server offers no TLS")
	errNoAuth    = errors.New("the server offers none of SCRAM-SHA-256, PLAIN, LOGIN and CRAM-MD5")
)

// dial opens a conversation up to the point where an envelope may follow. It
// takes at most the given time and ends early with ctx.
func (e endpoint) dial(ctx context.Context, helo string, cfg *tls.Config, within time.Duration) (*conn, *ended) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, &ended{at: atConnect, err: fmt.Errorf("connect: %w", err)}
	}
	c := &conn{raw: raw}
	c.arm(within)
	stop := context.AfterFunc(ctx, c.abort)
	end := c.handshake(ctx, e, helo, cfg)
	if !stop() && end == nil {
		end = &ended{at: atHello, err: context.Cause(ctx)}
	}
	if end != nil {
		c.doubt.Store(true)
		c.close()
		return nil, end
	}
	return c, nil
}

// handshake is greeting, EHLO, TLS and AUTH, each by the library.
func (c *conn) handshake(ctx context.Context, e endpoint, helo string, cfg *tls.Config) *ended {
	wire := c.raw
	if e.tls == tlsImplicit {
		secure := tls.Client(wire, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return &ended{at: atTLS, err: fmt.Errorf("encrypt: %w", err)}
		}
		wire = secure
	}
	var err error
	if c.client, err = smtp.NewClient(wire, e.host); err != nil {
		return endedBy(atConnect, "read the greeting", err)
	}
	if err := c.client.Hello(helo); err != nil {
		return endedBy(atHello, "say hello", err)
	}
	if end := c.encrypt(e, cfg); end != nil {
		return end
	}
	if e.user != "" {
		if err := c.client.Auth(&login{endpoint: e}); err != nil {
			return endedBy(atAuth, "authenticate", err)
		}
	}
	c.r, c.w = c.client.Text.R, c.client.Text.W
	c.pipelining, _ = c.client.Extension("PIPELINING")
	c.dsn, _ = c.client.Extension("DSN")
	c.utf8, _ = c.client.Extension("SMTPUTF8")
	sizes, most := c.client.Extension("SIZE")
	if c.sizes = sizes; sizes {
		c.maxSize, _ = strconv.ParseInt(most, 10, 64) // without a number there is no limit (RFC 1870)
	}
	return nil
}

func (c *conn) encrypt(e endpoint, cfg *tls.Config) *ended {
	if e.tls == tlsNone || e.tls == tlsImplicit {
		return nil
	}
	offered, _ := c.client.Extension("STARTTLS")
	switch {
	case offered:
		if err := c.client.StartTLS(cfg); err != nil {
			return endedBy(atTLS, "encrypt", err)
		}
	case e.tls == tlsRequire:
		return &ended{at: atTLS, err: errNoTLS}
	}
	return nil
}

// endedBy tells an answer of the server, which the library wraps in an error,
// from everything else.
func endedBy(at phase, doing string, err error) *ended {
	if r := replyOf(err); r.code != 0 {
		return &ended{at: at, reply: r}
	}
	return &ended{at: at, err: fmt.Errorf("%s: %w", doing, err)}
}

// login chooses among the mechanisms a server offers. It goes on only over TLS.
type login struct {
	endpoint

	chosen smtp.Auth
}

// Start begins the exchange with the first mechanism both sides know.
func (l *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errClearText
	}
	pass := l.password()
	switch {
	case slices.Contains(server.Auth, "SCRAM-SHA-256"):
		l.chosen = smtp.ScramSHA256Auth(l.user, pass)
	case slices.Contains(server.Auth, "PLAIN"):
		l.chosen = smtp.PlainAuth("", l.user, pass, l.host, false)
	case slices.Contains(server.Auth, "LOGIN"):
		l.chosen = smtp.LoginAuth(l.user, pass, l.host, false)
	case slices.Contains(server.Auth, "CRAM-MD5"):
		l.chosen = smtp.CRAMMD5Auth(l.user, pass)
	default:
		return "", nil, errNoAuth
	}
	return l.chosen.Start(server)
}

// Next answers a challenge.
func (l *login) Next(fromServer []byte, more bool) ([]byte, error) {
	return l.chosen.Next(fromServer, more)
}
