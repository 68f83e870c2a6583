package email

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/channels"
)

// talk is the server's end of a connection in a test.
type talk struct {
	t *testing.T
	n int // which connection of the test, from 1
	c net.Conn
	r *bufio.Reader
}

// say sends answers.
func (k *talk) say(lines ...string) {
	if len(lines) > 0 {
		_, _ = io.WriteString(k.c, strings.Join(lines, "\r\n")+"\r\n")
	}
}

// envelope reads the commands up to DATA; ok is false at the end of the
// connection.
func (k *talk) envelope() (lines []string, ok bool) {
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			return lines, false
		}
		line = strings.TrimSuffix(line, "\r\n")
		lines = append(lines, line)
		if line == "DATA" || line == "QUIT" {
			return lines, line == "DATA"
		}
	}
}

// letter reads up to the final dot.
func (k *talk) letter() (text string, ok bool) {
	var b strings.Builder
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			return b.String(), false
		}
		if line == ".\r\n" {
			return b.String(), true
		}
		b.WriteString(line)
	}
}

// serve takes everything until the connection ends, and notes it.
func (k *talk) serve(taken *ledger) {
	for {
		lines, ok := k.envelope()
		if !ok {
			return
		}
		yes := make([]string, 0, len(lines))
		for range len(lines) - 1 {
			yes = append(yes, "250 ok")
		}
		k.say(append(yes, "354 go on")...)
		if _, ok = k.letter(); !ok {
			return
		}
		taken.add(k.n, lines)
		k.say("250 taken")
	}
}

// ledger is what servers took: the connection and the commands before.
type ledger struct {
	mu      sync.Mutex
	entries []string
}

func (l *ledger) add(n int, lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	who, reset := "nobody", ""
	for _, line := range lines {
		if to, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
			who, _, _ = strings.Cut(to, "@")
		}
		if line == "RSET" {
			reset = " after RSET"
		}
	}
	l.entries = append(l.entries, fmt.Sprintf("%s over %d%s", who, n, reset))
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// conversing is a channel over one connection to a server that knows
// PIPELINING and says what the test makes it say.
func conversing(t *testing.T, script func(k *talk)) *channel {
	t.Helper()
	ch := openChannel(t, wire(t, func(n int, c net.Conn) { script(&talk{t: t, n: n, c: c, r: bufio.NewReader(c)}) }))
	calm(ch)
	return ch
}

// sending is a Send on its way.
type sending struct {
	asked atomic.Int32
	err   error
	done  chan struct{}
}

func post(ctx context.Context, ch *channel, name string) *sending {
	s := &sending{done: make(chan struct{})}
	m := letterTo(name+"@example.org", "d1-"+name)
	m.Depart = func(context.Context) error { s.asked.Add(1); return nil }
	go func() {
		defer close(s.done)
		_, s.err = ch.Send(ctx, m)
	}()
	return s
}

// wait returns the word for how it ended.
func (s *sending) wait(t *testing.T) string {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		t.Fatal("a Send does not end")
	}
	return verdictOf(s.err)
}

// TestTwoLetters: what becomes of a letter that is out, of the one whose
// envelope is behind it, and of the one that comes afterwards, whatever the
// server says at whatever place.
func TestTwoLetters(t *testing.T) {
	const ok = "250 ok"
	for name, c := range map[string]struct {
		answers       string // to the first letter and the second's envelope, with commas; the connection closes behind "close"
		dot           string // to the lone dot, or to the second letter
		first, second string
		taken         string // of the second and the third, by which connection
	}{
		"all is well":          {"250 ok,250 ok,250 ok,354 go on", ok, "sent", "sent", "ben over 1,cleo over 1"},
		"the first is refused": {"554 5.6.0 no,250 ok,250 ok,354 go on", ok, "malformed", "sent", "ben over 1,cleo over 1"},
		"the first later":      {"451 4.3.0 no,250 ok,250 ok,354 go on", ok, "temporary", "sent", "ben over 1,cleo over 1"},
		"both are refused":     {"554 5.6.0 no,250 ok,250 ok,354 go on", "554 5.6.0 no", "malformed", "malformed", "cleo over 1"},
		"421 to the first":     {"421 4.3.2 bye,close", "", "throttled", "sent", "ben over 2,cleo over 2"},
		"421 and still open":   {"421 4.3.2 bye,503 no,503 no,503 no", "", "throttled", "sent", "ben over 2,cleo over 2"},
		"lost with the first":  {"close", "", "uncertain", "sent", "ben over 2,cleo over 2"},
		"half an answer":       {"250-ok,close", "", "uncertain", "sent", "ben over 2,cleo over 2"},
		"nonsense":             {"what?,250 ok,250 ok,354 go on", "", "uncertain", "sent", "ben over 2,cleo over 2"},
		"354 to the letter":    {"354 more,250 ok,250 ok,354 go on", "", "uncertain", "sent", "ben over 2,cleo over 2"},
		"lost behind":          {"250 ok,close", "", "sent", "sent", "ben over 2,cleo over 2"},
		"421 at MAIL":          {"250 ok,421 4.3.2 bye,close", "", "sent", "sent", "ben over 2,cleo over 2"},
		"421 at MAIL, open":    {"250 ok,421 4.3.2 bye", "", "sent", "sent", "ben over 2,cleo over 2"},
		"MAIL refused":         {"250 ok,451 4.3.0 no,503 no,503 no", "", "sent", "temporary", "cleo over 1 after RSET"},
		"MAIL refused, 354":    {"250 ok,451 4.3.0 no,503 no,354 go on", "554 nobody", "sent", "temporary", "cleo over 1 after RSET"},
		"only MAIL refused":    {"250 ok,451 4.3.0 no,250 ok,354 go on", "", "sent", "temporary", "cleo over 2"},
		"lost at RCPT":         {"250 ok,250 ok,close", "", "sent", "temporary", "cleo over 2"},
		"RCPT refused":         {"250 ok,250 ok,550 5.1.1 no,503 no", "", "sent", "rejected", "cleo over 1 after RSET"},
		"RCPT refused, 554":    {"250 ok,250 ok,550 5.1.1 no,554 nobody", "", "sent", "rejected", "cleo over 1 after RSET"},
		"RCPT refused, 354":    {"250 ok,250 ok,550 5.1.1 no,354 go on", "554 nobody", "sent", "rejected", "cleo over 1 after RSET"},
		"354 and even taken":   {"250 ok,250 ok,550 5.1.1 no,354 go on", ok, "sent", "rejected", "cleo over 1 after RSET"},
		"354, then 421":        {"250 ok,250 ok,550 5.1.1 no,354 go on", "421 bye", "sent", "rejected", "cleo over 2"},
		"354, then nothing":    {"250 ok,250 ok,550 5.1.1 no,354 go on", "close", "sent", "rejected", "cleo over 2"},
		"354, then nonsense":   {"250 ok,250 ok,550 5.1.1 no,354 go on", "what?", "sent", "rejected", "cleo over 2"},
		"greylisted, 354":      {"250 ok,250 ok,451 4.7.1 greylisted,354 go on", "554 nobody", "sent", "temporary", "cleo over 1 after RSET"},
		"421 at RCPT":          {"250 ok,250 ok,421 4.3.2 bye", "", "sent", "throttled", "cleo over 2"},
		"DATA refused":         {"250 ok,250 ok,250 ok,451 4.3.0 no", "", "sent", "temporary", "cleo over 1 after RSET"},
		"421 at DATA":          {"250 ok,250 ok,250 ok,421 4.3.2 bye", "", "sent", "throttled", "cleo over 2"},
		"250 instead of 354":   {"250 ok,250 ok,250 ok,250 ok", "", "sent", "temporary", "cleo over 2"},
		"lost at DATA":         {"250 ok,250 ok,250 ok,close", "", "sent", "temporary", "cleo over 2"},
		"one answer too many":  {"250 ok,250 ok,250 ok,250 ok,354 go on", "", "sent", "temporary", "cleo over 2"},
		"an answer behind 354": {"250 ok,250 ok,250 ok,354 go on,250 taken", "", "sent", "temporary", "cleo over 2"},
		"421 to the second":    {"250 ok,250 ok,250 ok,354 go on", "421 4.3.2 bye", "sent", "throttled", "cleo over 2"},
		"lost with the second": {"250 ok,250 ok,250 ok,354 go on", "close", "sent", "uncertain", "cleo over 2"},
	} {
		t.Run(name, func(t *testing.T) {
			var taken ledger
			out := make(chan struct{})
			ch := conversing(t, func(k *talk) {
				if k.n > 1 {
					k.serve(&taken)
					return
				}
				k.envelope()
				k.say("250 ok", "250 ok", "354 go on")
				k.letter()
				close(out)
				lines, _ := k.envelope()
				answers, closed := strings.CutSuffix(c.answers, "close")
				if answers = strings.TrimSuffix(answers, ","); answers != "" {
					k.say(strings.Split(answers, ",")...)
				}
				if closed {
					return
				}
				if strings.Contains(c.answers, ",354 go on") && c.dot != "" {
					text, whole := k.letter()
					if refused := strings.Contains(c.answers, "1 no,354") || strings.Contains(c.answers, "listed,354") || strings.Contains(c.answers, "503 no,354"); refused && text != "" {
						t.Errorf("a letter went to nobody:\n%s", text)
					}
					if c.dot == "close" || !whole {
						return
					}
					if c.dot == ok && c.second == "sent" {
						taken.add(1, lines)
					}
					k.say(c.dot)
				}
				k.serve(&taken)
			})
			a := post(t.Context(), ch, "anna")
			<-out
			b := post(t.Context(), ch, "ben")
			if got := a.wait(t); got != c.first {
				t.Errorf("the first: %s (%v), want %s", got, a.err, c.first)
			}
			if got := b.wait(t); got != c.second {
				t.Errorf("the second: %s (%v), want %s", got, b.err, c.second)
			}
			third := post(t.Context(), ch, "cleo")
			if got := third.wait(t); got != "sent" {
				t.Errorf("the third: %s (%v)", got, third.err)
			}
			if a.asked.Load() != 1 || b.asked.Load() != 1 || third.asked.Load() != 1 {
				t.Errorf("asked %d, %d and %d times", a.asked.Load(), b.asked.Load(), third.asked.Load())
			}
			if got := strings.Join(taken.all(), ","); got != c.taken {
				t.Errorf("taken: %s, want %s", got, c.taken)
			}
		})
	}
}

// held is a server over whose first connection the first letter is out and
// waits for its answer until the test lets go.
func held(t *testing.T, taken *ledger) (ch *channel, out, letGo chan struct{}) {
	out, letGo = make(chan struct{}), make(chan struct{})
	return conversing(t, func(k *talk) {
		if k.n == 1 {
			lines, _ := k.envelope()
			k.say("250 ok", "250 ok", "354 go on")
			k.letter()
			close(out)
			<-letGo
			taken.add(1, lines)
			k.say("250 taken")
		}
		k.serve(taken)
	}), out, letGo
}

// TestThirdWaits: while two letters of a connection have departed, the next is
// not even asked about.
func TestThirdWaits(t *testing.T) {
	var taken ledger
	ch, out, letGo := held(t, &taken)
	a := post(t.Context(), ch, "anna")
	<-out
	b := post(t.Context(), ch, "ben")
	await(t, func() bool { return b.asked.Load() == 1 })
	c := post(t.Context(), ch, "cleo")
	await(t, func() bool { ch.pool.mu.Lock(); defer ch.pool.mu.Unlock(); return len(ch.pool.waiting) == 1 })
	if c.asked.Load() != 0 {
		t.Error("the third has departed")
	}
	close(letGo)
	for _, s := range []*sending{a, b, c} {
		if got := s.wait(t); got != "sent" || s.asked.Load() != 1 {
			t.Errorf("%s (%v), asked %d times", got, s.err, s.asked.Load())
		}
	}
	if got := strings.Join(taken.all(), ","); got != "anna over 1,ben over 1,cleo over 1" {
		t.Errorf("taken: %s", got)
	}
}

// TestTwoAskTogether: over a connection that has proved itself two letters may
// ask for their permission at once; who gets it first goes first.
func TestTwoAskTogether(t *testing.T) {
	var taken ledger
	ch := conversing(t, func(k *talk) { k.serve(&taken) })
	if a := post(t.Context(), ch, "anna"); a.wait(t) != "sent" {
		t.Fatal(a.err)
	}
	asked, say := map[string]chan struct{}{}, map[string]chan error{}
	ends := make(chan error, 3)
	for _, name := range []string{"ben", "cleo", "dan"} {
		ask, hear := make(chan struct{}), make(chan error)
		asked[name], say[name] = ask, hear
		m := letterTo(name+"@example.org", "d1-"+name)
		m.Depart = func(context.Context) error { close(ask); return <-hear }
		go func() { _, err := ch.Send(t.Context(), m); ends <- err }()
		if name != "dan" {
			<-asked[name]
		}
	}
	await(t, func() bool { ch.pool.mu.Lock(); defer ch.pool.mu.Unlock(); return len(ch.pool.waiting) == 1 })
	select {
	case <-asked["dan"]:
		t.Error("a third has asked")
	default:
	}
	say["cleo"] <- nil
	if err := <-ends; err != nil {
		t.Errorf("cleo: %v", err)
	}
	<-asked["dan"]
	no := errors.New("withdrawn")
	say["ben"] <- no
	if err := <-ends; err != no { //nolint:errorlint // it must be the same error
		t.Errorf("ben: %v", err)
	}
	say["dan"] <- nil
	if err := <-ends; err != nil {
		t.Errorf("dan: %v", err)
	}
	if got := strings.Join(taken.all(), ","); got != "anna over 1,cleo over 1,dan over 1" {
		t.Errorf("taken: %s", got)
	}
}

// await waits for what has no signal of its own.
func await(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRefusedBehind: a letter that may not go leaves nothing on the wire and
// room for the next.
func TestRefusedBehind(t *testing.T) {
	var taken ledger
	ch, out, letGo := held(t, &taken)
	a := post(t.Context(), ch, "anna")
	<-out
	no := errors.New("withdrawn")
	m := letterTo("ben@example.org", "d1-ben")
	m.Depart = func(context.Context) error { return no }
	if _, err := ch.Send(t.Context(), m); err != no { //nolint:errorlint // it must be the same error
		t.Errorf("got %v, want Depart's own error", err)
	}
	c := post(t.Context(), ch, "cleo")
	await(t, func() bool { return c.asked.Load() == 1 })
	close(letGo)
	if got := a.wait(t) + c.wait(t); got != "sentsent" {
		t.Errorf("%s: %v, %v", got, a.err, c.err)
	}
	if got := strings.Join(taken.all(), ","); got != "anna over 1,cleo over 1" {
		t.Errorf("taken: %s", got)
	}
}

// TestCrashBehind: a permission that crashes costs nobody else their place.
func TestCrashBehind(t *testing.T) {
	var taken ledger
	ch, out, letGo := held(t, &taken)
	a := post(t.Context(), ch, "anna")
	<-out
	crash := func() {
		defer func() {
			if recover() == nil {
				t.Error("the crash is hidden")
			}
		}()
		m := letterTo("ben@example.org", "d1-ben")
		m.Depart = func(context.Context) error { panic("a crash") }
		_, _ = ch.Send(t.Context(), m)
	}
	crash()
	close(letGo)
	if got := a.wait(t); got != "sent" {
		t.Errorf("the first: %v", a.err)
	}
	crash()
	if c := post(t.Context(), ch, "cleo"); c.wait(t) != "sent" {
		t.Errorf("the third: %v", c.err)
	}
}

// TestGivingUpBehind: who gives up behind another letter does that one no
// harm, and who gives up in front takes nothing from the one behind.
func TestGivingUpBehind(t *testing.T) {
	for _, front := range []bool{false, true} {
		var taken ledger
		ch, out, letGo := held(t, &taken)
		first, cancelFirst := context.WithCancel(t.Context())
		second, cancelSecond := context.WithCancel(t.Context())
		a := post(first, ch, "anna")
		<-out
		b := post(second, ch, "ben")
		await(t, func() bool { return b.asked.Load() == 1 })
		if front {
			cancelFirst()
			if a.wait(t) != "uncertain" || b.wait(t) != "sent" {
				t.Errorf("the first %v, the second %v", a.err, b.err)
			}
			close(letGo)
		} else {
			cancelSecond()
			if got := b.wait(t); got != "temporary" || channels.Judge(b.err).Reason != timedOut {
				t.Errorf("the second: %v", b.err)
			}
			close(letGo)
			if a.wait(t) != "sent" {
				t.Errorf("the first: %v", a.err)
			}
		}
		if c := post(t.Context(), ch, "cleo"); c.wait(t) != "sent" || a.asked.Load() != 1 || b.asked.Load() != 1 {
			t.Errorf("the third %v; asked %d and %d times", c.err, a.asked.Load(), b.asked.Load())
		}
		cancelFirst()
		cancelSecond()
	}
}

// TestOldPermissionBehind: a letter whose permission grew old behind another
// one goes home at once, and the other is none the worse.
func TestOldPermissionBehind(t *testing.T) {
	var taken ledger
	ch, out, letGo := held(t, &taken)
	ch.permission = time.Nanosecond
	a := post(t.Context(), ch, "anna")
	<-out
	b := post(t.Context(), ch, "ben")
	await(t, func() bool { return b.asked.Load() == 1 })
	gone := b.wait(t) // while the server still thinks about the first
	close(letGo)
	if a.wait(t) != "sent" || gone != "temporary" {
		t.Errorf("the first %v, the second %v", a.err, b.err)
	}
	if got := strings.Join(taken.all(), ","); got != "anna over 1" {
		t.Errorf("taken: %s", got)
	}
}

// TestNobodyRidesBehind a slow answer, at a server with a rate, or beyond what
// a connection may carry.
func TestNobodyRidesBehind(t *testing.T) {
	for name, set := range map[string]func(ch *channel){
		"slow":  func(ch *channel) { ch.pool.servers[0].slow.Store(true) },
		"rate":  func(ch *channel) { ch.pool.servers[0].interval = time.Microsecond },
		"limit": func(ch *channel) { ch.pool.perConnection = 1 },
	} {
		var taken ledger
		ch, out, letGo := held(t, &taken)
		set(ch)
		a := post(t.Context(), ch, "anna")
		<-out
		b := post(t.Context(), ch, "ben")
		await(t, func() bool { ch.pool.mu.Lock(); defer ch.pool.mu.Unlock(); return len(ch.pool.waiting) == 1 })
		if b.asked.Load() != 0 {
			t.Errorf("%s: the second has departed", name)
		}
		close(letGo)
		if a.wait(t) != "sent" || b.wait(t) != "sent" {
			t.Errorf("%s: the first %v, the second %v", name, a.err, b.err)
		}
	}
}

// TestOneWrite: an envelope that is ready goes out behind the letter before in
// the same write, and is answered in the same read.
func TestOneWrite(t *testing.T) {
	pieces := make(chan string, 3)
	ch := openChannel(t, wire(t, func(_ int, c net.Conn) {
		piece(c)
		_, _ = io.WriteString(c, "250 ok\r\n250 ok\r\n354 go on\r\n")
		pieces <- piece(c)
		_, _ = io.WriteString(c, "250 taken\r\n250 ok\r\n250 ok\r\n354 go on\r\n")
		pieces <- piece(c)
		_, _ = io.WriteString(c, "250 taken\r\n")
		piece(c)
	}))
	s, err := ch.pool.take(t.Context(), &waiter{got: make(chan seat, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if end := ch.pool.dial(t.Context(), &s); end != nil {
		t.Fatal(end.err)
	}
	c := s.conn
	rides := make([]*ride, 2)
	for i := range rides {
		l := mustCompose(t, ch.compose, letterTo("anna@example.org", fmt.Sprintf("d1-%d", i)))
		rides[i] = &ride{letter: &l, turn: make(chan struct{}, 1)}
		c.appendEnvelope(rides[i])
	}
	until := time.Now().Add(time.Minute)
	if end := c.board(t.Context(), rides[0], time.Minute, until); end != nil {
		t.Fatal(end.err)
	}
	if end := c.envelope(rides[0], time.Minute); end != nil {
		t.Fatal(end.err)
	}
	second := make(chan error, 1)
	go func() {
		end := c.board(t.Context(), rides[1], time.Minute, until)
		if end == nil {
			end = c.envelope(rides[1], time.Minute)
		}
		if end == nil {
			_, end = c.offer(rides[1], time.Minute, time.Minute)
		}
		if end != nil {
			second <- end.err
		}
		close(second)
	}()
	await(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.next == rides[1] })
	if _, end := c.offer(rides[0], time.Minute, time.Minute); end != nil {
		t.Fatal(end.err)
	}
	c.pass(rides[0])
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	c.pass(rides[1])
	if p := <-pieces; !strings.HasSuffix(p, "\r\n.\r\n"+envelope) || !strings.HasPrefix(p, "From: ") {
		t.Errorf("the first piece is %q", p)
	}
	if p := <-pieces; !strings.HasSuffix(p, "\r\n.\r\n") || !strings.HasPrefix(p, "From: ") {
		t.Errorf("the second piece is %q", p)
	}
	ch.pool.release(&s, rides[0], nil, nil)
}
