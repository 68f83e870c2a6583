package email

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestGivingUpBehindALetter: whoever gives up while the letter in front goes
// out, and their envelope with it, does not cut that letter short.
func TestGivingUpBehindALetter(t *testing.T) {
	readOn := make(chan struct{})
	ch := openChannel(t, wire(t, func(_ int, c net.Conn) {
		piece(c)
		_, _ = io.WriteString(c, "250 ok\r\n250 ok\r\n354 go on\r\n")
		<-readOn
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == ".\r\n" {
				break
			}
		}
		_, _ = io.WriteString(c, "250 taken\r\n")
	}))
	s, err := ch.pool.take(t.Context(), &waiter{got: make(chan seat, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if end := ch.pool.dial(t.Context(), &s); end != nil {
		t.Fatal(end.err)
	}
	c := s.conn
	m := letterTo("anna@example.org", "d1-1")
	m.Content["html"] = strings.Repeat("<p>a letter that no socket holds</p>\n", 1<<18)
	large, small := mustCompose(t, ch.compose, m), mustCompose(t, ch.compose, letterTo("ben@example.org", "d1-2"))
	a, b := &ride{letter: &large, turn: make(chan struct{}, 1)}, &ride{letter: &small, turn: make(chan struct{}, 1)}
	c.appendEnvelope(a)
	c.appendEnvelope(b)
	until := time.Now().Add(time.Minute)
	if end := c.board(t.Context(), a, time.Minute, until); end != nil {
		t.Fatal(end.err)
	}
	if end := c.envelope(a, time.Minute); end != nil {
		t.Fatal(end.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan *ended, 1)
	go func() { gone <- c.board(ctx, b, time.Minute, until) }()
	await(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.next == b })
	taken := make(chan *ended, 1)
	go func() {
		_, end := c.offer(a, time.Minute, time.Minute)
		taken <- end
	}()
	await(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return b.written })
	c.giveUp(b) // as the end of its context does
	cancel()
	if end := <-gone; end == nil || end.at != atMail {
		t.Errorf("the letter that gave up: %+v", end)
	}
	close(readOn)
	if end := <-taken; end != nil {
		t.Errorf("the letter in front ends at %s: %v", end.at, end.err)
	}
	if !c.doubt.Load() {
		t.Error("the connection goes on with an envelope that nobody wants")
	}
	c.pass(a)
	ch.pool.release(&s, a, nil, nil)
}
