package relay_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rapport/internal/fake/relay"
)

// echo is a server that gives back each line in capitals and counts them.
func echo(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var got atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for in := bufio.NewScanner(c); in.Scan(); {
					got.Add(1)
					_, _ = fmt.Fprintln(c, strings.ToUpper(in.Text()))
				}
			}()
		}
	}()
	return l.Addr().String(), &got
}

func start(t *testing.T) (*relay.Relay, *atomic.Int64) {
	t.Helper()
	target, got := echo(t)
	r, err := relay.Start(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, got
}

// refused dials and finds that nobody answers, now or a moment later.
func refused(t *testing.T, r *relay.Relay) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", r.Addr())
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	(&caller{t: t, c: c, in: bufio.NewReader(c)}).over()
}

// caller is who dialled.
type caller struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, r *relay.Relay) *caller {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &caller{t: t, c: c, in: bufio.NewReader(c)}
}

func (c *caller) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.c, line); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) hears(want string) {
	c.t.Helper()
	_ = c.c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if got, err := c.in.ReadString('\n'); err != nil || got != want+"\n" {
		c.t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

// hearsNothing gives a wrong octet a moment to come.
func (c *caller) hearsNothing() {
	c.t.Helper()
	_ = c.c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.in.Peek(1); err == nil {
		c.t.Fatalf("heard %q", b)
	}
}

func (c *caller) over() {
	c.t.Helper()
	_ = c.c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if b, err := c.in.ReadByte(); err == nil {
		c.t.Fatalf("heard %q on a line that was cut", b)
	} else if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // as it comes from the socket
		c.t.Fatal("the line is still open")
	}
}

func TestPassesOnAndCuts(t *testing.T) {
	r, _ := start(t)
	one, two := dial(t, r), dial(t, r)
	one.say("hello")
	one.hears("HELLO")
	two.say("there")
	two.hears("THERE")
	r.Cut()
	one.over()
	two.over()
	refused(t, r)
	r.Heal()
	three := dial(t, r)
	three.say("again")
	three.hears("AGAIN")
	if n := r.Reset(); n != 1 {
		t.Errorf("%d connections were reset, want 1", n)
	}
	three.over()
	four := dial(t, r)
	four.say("more")
	four.hears("MORE")
	if n := r.Opened(); n != 4 {
		t.Errorf("%d connections passed on, want 4", n)
	}
}

func TestHoldBringsItLate(t *testing.T) {
	r, got := start(t)
	c := dial(t, r)
	c.say("one")
	c.hears("ONE")
	r.Hold(relay.Down)
	c.say("two")
	c.hearsNothing()
	r.Heal()
	c.hears("TWO")
	r.Hold(relay.Up, relay.Down)
	c.say("three")
	c.hearsNothing()
	if n := got.Load(); n != 2 {
		t.Errorf("the server has %d lines although nothing may pass, want 2", n)
	}
	r.Heal()
	c.hears("THREE")
}

func TestHalfOpen(t *testing.T) {
	r, got := start(t)
	c := dial(t, r)
	c.say("one")
	c.hears("ONE")
	r.Swallow(relay.Down)
	c.say("two")
	c.hearsNothing()
	for got.Load() != 2 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	for r.Heal(); ; r.Heal() { // its answer may be on the way yet
		_ = c.c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := c.in.ReadByte()
		if e, ok := err.(net.Error); err != nil && (!ok || !e.Timeout()) { //nolint:errorlint // as it comes from the socket
			break
		}
		if err == nil {
			break // the answer came after Heal, so nothing was lost
		}
	}
}

func TestDelayAndThrottle(t *testing.T) {
	r, _ := start(t)
	c := dial(t, r)
	r.Delay(20 * time.Millisecond)
	began := time.Now()
	c.say("one")
	c.hears("ONE")
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("there and back in %v, each way is delayed by 20ms", took)
	}
	r.Heal()
	r.Throttle(2000)
	began = time.Now()
	long := strings.Repeat("x", 400)
	c.say(long)
	c.hears(strings.ToUpper(long))
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("400 octets at 2000 a second in %v", took)
	}
}

func TestCutBehind(t *testing.T) {
	r, got := start(t)
	c := dial(t, r)
	sprung := r.CutBehind(relay.Up, "commit")
	c.say("begin")
	c.hears("BEGIN")
	c.say("commit")
	<-sprung
	c.over()
	for got.Load() != 2 { // the server has it, only its answer is lost
		time.Sleep(time.Millisecond)
	}
	r.Heal()
	again := dial(t, r)
	again.say("commit")
	again.hears("COMMIT")
}

func TestHalfClose(t *testing.T) {
	r, _ := start(t)
	c := dial(t, r)
	c.say("last")
	if err := c.c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.hears("LAST")
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("after the end: %v, want EOF", err)
	}
}

func TestNobodyThere(t *testing.T) {
	r, err := relay.Start(context.WithoutCancel(t.Context()), "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
