package smtpd_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/smtpd"
)

// start runs a server for the length of a test.
func start(t *testing.T, opts smtpd.Options) *smtpd.Server {
	t.Helper()
	s, err := smtpd.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// talk is a raw client.
type talk struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, s *smtpd.Server) *talk {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &talk{t: t, conn: conn, in: bufio.NewReader(conn)}
}

func (c *talk) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("send %q: %v", text, err)
	}
}

// answer reads one answer of one or more lines.
func (c *talk) answer() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("read answer after %q: %v", all.String(), err)
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

// want sends a text, unless it is empty, and reads an answer that begins so.
func (c *talk) want(send, begin string) string {
	c.t.Helper()
	if send != "" {
		c.send(send)
	}
	got := c.answer()
	if !strings.HasPrefix(got, begin) {
		c.t.Fatalf("after %q: answer %q, want %q", send, got, begin)
	}
	return got
}

// gone checks that the server ends the connection without another octet.
func (c *talk) gone() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		c.t.Fatal("the connection stays open")
	}
	if len(rest) > 0 {
		c.t.Fatalf("unexpected octets before the end: %q", rest)
	}
}

// hello greets and opens the session.
func (c *talk) hello() *talk {
	c.t.Helper()
	c.want("", "220 ")
	c.want("EHLO client.test\r\n", "250")
	return c
}

// letter goes through an envelope up to the dot, whose answer it leaves unread.
func (c *talk) letter(to, body string) {
	c.t.Helper()
	c.want("MAIL FROM:<a@from.test>\r\n", "250 2.1.0")
	c.want("RCPT TO:<"+to+">\r\n", "250 2.1.5")
	c.want("DATA\r\n", "354 ")
	c.send(body + "\r\n.\r\n")
}

func (c *talk) startTLS(s *smtpd.Server) {
	c.t.Helper()
	c.want("STARTTLS\r\n", "220 ")
	c.encrypt(s)
}

func (c *talk) encrypt(s *smtpd.Server) {
	c.t.Helper()
	if err := c.handshake(s); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
}

func (c *talk) handshake(s *smtpd.Server) error {
	conn := tls.Client(c.conn, &tls.Config{RootCAs: s.RootCAs(), ServerName: "mx.example.test", MinVersion: tls.VersionTLS12})
	c.conn, c.in = conn, bufio.NewReader(conn)
	return conn.HandshakeContext(c.t.Context())
}
