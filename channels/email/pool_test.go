package email

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
)

// TestMoreSendersThanConnections: everything goes, once, over no more
// connections than allowed.
func TestMoreSendersThanConnections(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.Servers[0].Connections = 3
	ch := openChannel(t, s)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for n := range 10 {
				to := fmt.Sprintf("p%d-%d@example.org", i, n)
				if _, err := ch.Send(t.Context(), letterTo(to, fmt.Sprintf("d%d-%d", i, n))); err != nil {
					t.Errorf("%s: %v", to, err)
				}
			}
		})
	}
	wg.Wait()
	total, _, peak := srv.Sessions()
	if peak > 3 || total > 3 || srv.Journal().Taken() != 400 || len(srv.Journal().Recipients()) != 400 {
		t.Errorf("%d letters to %d people over %d connections, %d at once", srv.Journal().Taken(), len(srv.Journal().Recipients()), total, peak)
	}
}

// TestLettersPerConnection: a connection carries so many letters and no more.
func TestLettersPerConnection(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.PerConnection = 4
	ch := openChannel(t, s)
	for i := range 10 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if total, _, _ := srv.Sessions(); total != 3 {
		t.Errorf("%d connections for ten letters, want 3", total)
	}
}

// TestIdleConnectionsGo, without anybody sending.
func TestIdleConnectionsGo(t *testing.T) {
	quits := make(chan struct{}, 10)
	srv := start(t, smtpd.Options{Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Quit {
			quits <- struct{}{}
		}
		return smtpd.Action{}
	}})
	s := settings(srv)
	s.IdleTimeout = channels.Duration(20 * time.Millisecond)
	ch := openChannel(t, s)
	for i := range 2 {
		if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-quits:
		case <-time.After(10 * time.Second):
			t.Fatal("the idle connection is still there")
		}
	}
}

// TestPace: never more than the rate in the receiver's journal, but for one a connection.
func TestPace(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.Servers[0].Rate = "100/s"
	ch := openChannel(t, s)
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if _, err := ch.Send(t.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if peak := srv.Journal().Peak(100 * time.Millisecond); peak > 10+s.Servers[0].Connections {
		t.Errorf("%d letters in 100 ms", peak)
	}
}

// TestSharedPace: a server's rate is asked of the house, which knows the other
// processes, before the permission.
func TestSharedPace(t *testing.T) {
	srv := start(t, smtpd.Options{})
	s := settings(srv)
	s.Servers[0].Rate = "50/s"
	asked := 0
	env := channels.Env{Name: "news", Pace: func(ctx context.Context, key string, perSecond float64) error {
		if asked++; key != srv.Addr() || perSecond != 50 {
			t.Errorf("asked for %v/s of %s", perSecond, key)
		}
		return ctx.Err()
	}}
	ch, err := open(env, s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		m := letterTo("anna@example.org", fmt.Sprintf("d1-%d", i))
		m.Depart = func(context.Context) error {
			if asked != i+1 {
				t.Errorf("departure %d after asking %d times", i, asked)
			}
			return nil
		}
		if _, err := ch.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
}

// TestNothingIsLeftBehind: no goroutine outlives Close, whatever happened before.
func TestNothingIsLeftBehind(t *testing.T) {
	srv := start(t, smtpd.Options{Script: smtpd.ByRecipient(map[string]smtpd.Script{
		"cut@*": smtpd.CloseBefore().At(smtpd.Data), "no@*": smtpd.Reply(550, "5.1.1", "no").At(smtpd.Rcpt),
	})})
	ch, err := open(channels.Env{Name: "news"}, settings(srv), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, to := range []string{"anna@example.org", "cut@example.org", "no@example.org", "ben@example.org"} {
		wg.Go(func() { _, _ = ch.Send(t.Context(), letterTo(to, fmt.Sprintf("d1-%d", i))) })
	}
	wg.Wait()
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, left := range []string{"email.(*pool)", "email.(*conn)", "email.(*channel)"} {
		if bytes.Contains(stacks, []byte(left)) {
			t.Errorf("a goroutine is still in %s:\n%s", left, stacks)
		}
	}
}
