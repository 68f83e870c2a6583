package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// MaxBody is how much of an answer is read, in octets, when nothing else is
// said.
const MaxBody = 64 << 10

// ErrTooLong is returned by a response body that is longer than the client
// reads, after as much as it reads.
var ErrTooLong = errors.New("the answer is longer than this client reads")

// ErrClosed is returned by a Client that was closed.
var ErrClosed = errors.New("this client was closed")

// DefaultTimeout is how long a whole call may take when nothing else is said.
const DefaultTimeout = 30 * time.Second

// idle is how long a kept connection waits for its next request: shorter than
// common servers wait, so that we close first and no request meets a
// connection that is just being closed by the other side.
const idle = 15 * time.Second

// Options says how a Client behaves. The zero value is a sound choice.
type Options struct {
	Timeout time.Duration // for a whole call with its answer; 0: DefaultTimeout
	Private []string      // hosts and networks that may be reached although private
	Keep    int           // connections kept open to one host; 0: 8
	MaxBody int           // octets read of an answer; 0: MaxBody
}

// Client makes outbound calls. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *http.Transport
	guard     *guard
	maxBody   int
	closed    atomic.Bool
}

// New makes a client; the error is a sentence about Options.Private.
func New(o Options) (*Client, error) {
	g, err := newGuard(o.Private)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Keep <= 0 {
		o.Keep = 8
	}
	if o.MaxBody <= 0 {
		o.MaxBody = MaxBody
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	t := &http.Transport{
		DialContext:            g.plain,
		DialTLSContext:         g.secure,
		MaxIdleConnsPerHost:    o.Keep,
		MaxIdleConns:           4 * o.Keep,
		IdleConnTimeout:        idle,
		DisableCompression:     true, // a small answer that unpacks to a large one is no answer
		MaxResponseHeaderBytes: MaxBody,
		Protocols:              &protocols,
	}
	return &Client{
		transport: t,
		guard:     g,
		maxBody:   o.MaxBody,
		http: &http.Client{
			Transport:     t,
			Timeout:       o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Do makes one call. A redirect is an answer like any other and is not
// followed. The response body ends with ErrTooLong after Options.MaxBody
// octets; the caller closes it. The error names the server but neither path, query nor
// credentials; when a Trip watches and refused, it is that refusal, unchanged.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	trip := tripOf(req.Context())
	if trip == nil {
		trip = &Trip{}
	}
	ctx, cancel := trip.follow(req.Context())
	res, err := c.http.Do(req.WithContext(ctx))
	trip.finish(err != nil)
	if err != nil {
		cancel(err)
		if no := trip.Refused(); no != nil {
			return nil, no
		}
		return nil, redact(req.URL, err)
	}
	res.Body = &limited{ReadCloser: res.Body, left: c.maxBody, done: cancel}
	return res, nil
}

// Reach connects to the server of an http or https URL, with the TLS
// handshake, and hangs up: it answers "could we talk to them" without a
// request.
func (c *Client) Reach(ctx context.Context, target string) error {
	if c.closed.Load() {
		return ErrClosed
	}
	u, err := url.Parse(target)
	if err != nil {
		return errors.New("this is not a URL")
	}
	dial, port := c.guard.plain, "80"
	if u.Scheme == "https" {
		dial, port = c.guard.secure, "443"
	}
	if p := u.Port(); p != "" {
		port = p
	}
	conn, err := dial(ctx, "tcp", canonicalHost(net.JoinHostPort(u.Hostname(), port)))
	if err != nil {
		return redact(u, err)
	}
	if err := conn.Close(); err != nil {
		return redact(u, err)
	}
	return nil
}

// Close ends kept connections; later calls fail with ErrClosed. Calls under
// way end by their own context. It may be called twice.
func (c *Client) Close() error {
	c.closed.Store(true)
	c.transport.CloseIdleConnections()
	return nil
}

// redact says what failed without saying where exactly: the path, the query
// and the credentials of a URL may be secrets.
func redact(u *url.URL, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("call %s: %w", Redact(u), err)
}

// Redact returns scheme and host of a URL, which is all of it that may be
// shown.
func Redact(u *url.URL) string { return u.Scheme + "://" + u.Host }

// limited ends a body that is too long with an error instead of io.EOF.
type limited struct {
	io.ReadCloser
	left int
	done context.CancelCauseFunc
}

// Read reads what is left; when the limit is reached, one octet more decides
// between the end and ErrTooLong.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		var more [1]byte
		n, err := l.ReadCloser.Read(more[:])
		if n > 0 {
			return 0, ErrTooLong
		}
		return 0, err
	}
	if len(p) > l.left {
		p = p[:l.left]
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= n
	return n, err
}

// Close closes the body and lets the call's context go.
func (l *limited) Close() error {
	defer l.done(nil)
	return l.ReadCloser.Close()
}

// handshake makes a connection secret, within the time for dialling.
func handshake(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secure := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("agree on encryption: %w", err)
	}
	return secure, nil
}
