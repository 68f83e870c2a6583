package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"rapport/channels"
)

// Driver is the email channel, described as data.
var Driver = channels.Define(channels.Driver{
	Name:    "email",
	Help:    "Letters by e-mail, through one or more SMTP servers.",
	Address: channels.Email,
	Parts: []channels.Part{
		{Name: "subject", Syntax: channels.Header, Required: true, MaxBytes: 1000, Help: "what the letter is about, in one line"},
		{Name: "preheader", Syntax: channels.Plain, MaxBytes: 1000, Help: "the words that mail programs show beside the subject"},
		{Name: "html", Syntax: channels.HTML, Required: true, Help: "the letter as HTML"},
		{Name: "text", Syntax: channels.Plain, Help: "the letter as plain text; made from the HTML when absent"},
	},
	Files:    true,
	Traits:   channels.Traits{Concurrency: defaultConnections},
	Returned: returned,
}, func(_ context.Context, env channels.Env, s Settings) (channels.Channel, error) {
	return open(env, s, env.Now)
})

// open starts a channel. Nothing is dialled before the first letter.
func open(env channels.Env, s Settings, now func() time.Time) (*channel, error) {
	compose, err := newComposer(env, s, now)
	if err != nil {
		return nil, err
	}
	roots, err := readCAs(s.CAFile)
	if err != nil {
		return nil, err
	}
	p := &pool{
		helo:          s.Helo,
		timeout:       s.Timeout.Or(defaultTimeout),
		idleTimeout:   s.IdleTimeout.Or(defaultIdleTimeout),
		perConnection: s.PerConnection,
		shared:        env.Pace,
	}
	if p.helo == "" {
		p.helo = compose.domain
	}
	if p.perConnection == 0 {
		p.perConnection = defaultPerConnection
	}
	for i, srv := range s.Servers {
		e, err := srv.parse()
		if err != nil {
			return nil, fmt.Errorf("servers[%d].%w", i, err)
		}
		p.servers = append(p.servers, newServer(e, &tls.Config{ServerName: e.host, RootCAs: roots, MinVersion: tls.VersionTLS12}))
	}
	p.start()
	return &channel{compose: compose, pool: p, dotTimeout: s.DotTimeout.Or(defaultDotTimeout), permission: permissionHolds}, nil
}

func newComposer(env channels.Env, s Settings, now func() time.Time) (*composer, error) {
	from, err := parseFrom(s.From)
	if err != nil {
		return nil, err
	}
	c := &composer{
		from: from.Address, utf8: !isASCII(from.Address), now: now,
		sender: string(appendHeader(nil, "From", formatAddress(from))),
	}
	_, c.domain, _ = strings.Cut(from.Address, "@")
	c.bounces, c.lists = c.domain, c.domain
	if s.ReturnPath != "" {
		c.bounces = s.ReturnPath
	}
	if s.ListDomain != "" {
		c.lists = s.ListDomain
	}
	if env.ReplyTo != "" {
		if c.replyTo, err = replyField(env.ReplyTo); err != nil {
			return nil, fmt.Errorf("reply_to: %w", err)
		}
	}
	if s.DKIM != nil {
		if c.signer, err = newSigner(*s.DKIM, now); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// readCAs reads the certificates to trust; nil are the machine's own.
func readCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM", file)
	}
	return roots, nil
}
