package email

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
	"rapport/internal/secret"
)

// TestConversation: what is said for three letters over one connection, and
// nothing besides: no NOOP, no RSET.
func TestConversation(t *testing.T) {
	var mu sync.Mutex
	var said []string
	srv := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		mu.Lock()
		defer mu.Unlock()
		if step.Stage != smtpd.Body {
			said = append(said, step.Stage.String())
		}
		return smtpd.Action{}
	}})
	ch := openChannel(t, settings(srv))
	want := []string{"connect", "hello"}
	for i := range 3 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Fatal(err)
		}
		want = append(want, "mail", "rcpt", "data", "dot")
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	want = append(want, "quit")
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(said, want) {
		t.Errorf("said %v, want %v", said, want)
	}
}

// wire is a server of a few lines, for what a real one would not do. talk is
// called for each connection after EHLO has been answered with PIPELINING; the
// reader's Read returns what came in one piece.
func wire(t *testing.T, talk func(n int, c net.Conn)) Settings {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				_, _ = fmt.Fprint(c, "220 hello\r\n")
				if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
					_, _ = fmt.Fprint(c, "250-hello\r\n250 PIPELINING\r\n")
					talk(n, c)
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return Settings{
		From:    "news@example.com",
		Servers: []Server{{URL: secret.New("smtp://" + l.Addr().String() + "?tls=none"), Connections: 1}},
	}
}

// piece reads what has come, in one piece.
func piece(c net.Conn) string {
	buf := make([]byte, 1<<16)
	n, _ := c.Read(buf)
	return string(buf[:n])
}

const envelope = "MAIL FROM:<news@example.com>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n"

// TestEnvelopeInOneWrite: with PIPELINING the whole envelope comes in one
// piece, and the letter with its final dot in the next.
func TestEnvelopeInOneWrite(t *testing.T) {
	got := make(chan string, 2)
	ch := openChannel(t, wire(t, func(_ int, c net.Conn) {
		got <- piece(c)
		_, _ = fmt.Fprint(c, "250 ok\r\n250 ok\r\n354 go on\r\n")
		got <- piece(c)
		_, _ = fmt.Fprint(c, "250 ok\r\n")
		piece(c)
	}))
	if _, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-1")); err != nil {
		t.Fatal(err)
	}
	if e := <-got; e != envelope {
		t.Errorf("the first piece is %q", e)
	}
	if l := <-got; !strings.HasPrefix(l, "From: ") || !strings.HasSuffix(l, "\r\n.\r\n") {
		t.Errorf("the second piece is %q", l)
	}
}

// TestDoubt: a server that answers out of step never gets the letter, or has
// its answer believed, and its connection is not used again.
func TestDoubt(t *testing.T) {
	for name, answers := range map[string]string{
		"354 although MAIL was refused":  "451 4.3.0 no\r\n250 ok\r\n354 go on\r\n",
		"an answer too many":             "250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n",
		"an answer too few, then closed": "250 ok\r\n250 ok\r\n",
		"250 in the place of 354":        "250 ok\r\n250 ok\r\n250 ok\r\n",
		"codes that change":              "250-ok\r\n550 no\r\n",
		"no code":                        "hello\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			after := make(chan string, 1)
			ch := openChannel(t, wire(t, func(n int, c net.Conn) {
				piece(c)
				if n > 1 {
					_, _ = fmt.Fprint(c, "250 ok\r\n250 ok\r\n354 go on\r\n")
					piece(c)
					_, _ = fmt.Fprint(c, "250 ok\r\n")
					piece(c)
					return
				}
				_, _ = fmt.Fprint(c, answers)
				if strings.HasSuffix(name, "closed") {
					after <- ""
					return
				}
				after <- piece(c)
			}))
			_, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-1"))
			if v := channels.Judge(err).Verdict; err == nil || v != channels.Temporary && v != channels.Rejected {
				t.Errorf("judged %v", err)
			}
			if said := <-after; said != "" {
				t.Errorf("the connection was used on: %q", said)
			}
			if _, err := ch.Send(t.Context(), letterTo("anna@example.org", "d1-2")); err != nil {
				t.Errorf("the next: %v", err)
			}
		})
	}
}
