package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
)

// TestHaste: callers give up at any moment, permissions are slow, refused or
// too old, servers refuse and break off. No outcome contradicts what the
// servers took, no letter carries another's words, and no seat is lost.
func TestHaste(t *testing.T) {
	letters := 2000
	if testing.Short() {
		letters = 500
	}
	errNo := errors.New("not now")
	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 11)) // #nosec G404 -- a repeatable test
		var dice sync.Mutex
		roll := func(n int) int {
			dice.Lock()
			defer dice.Unlock()
			return random.IntN(n)
		}
		moods := []smtpd.Script{
			smtpd.Reply(550, "5.1.1", "no").At(smtpd.Rcpt), smtpd.Reply(451, "4.3.0", "no").At(smtpd.Mail), smtpd.ConnectionReset().At(smtpd.Rcpt),
			smtpd.CloseBefore().At(smtpd.Dot), smtpd.AcceptThenClose().At(smtpd.Dot), smtpd.Reply(421, "4.3.2", "bye").AndClose().At(smtpd.Dot),
		}
		script := func(step smtpd.Step) smtpd.Action {
			if roll(40) == 0 {
				return moods[roll(len(moods))](step)
			}
			return smtpd.Action{}
		}
		first, second := start(t, smtpd.Options{Script: script}), start(t, smtpd.Options{Script: script})
		s := settings(first, second)
		s.Servers[0].Connections, s.Servers[1].Connections, s.PerConnection = 2, 1, 15
		ch := openChannel(t, s)
		calm(ch)
		ch.permission = 5 * time.Millisecond
		ends := make([]string, letters)
		work := make(chan int)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				for i := range work {
					name := fmt.Sprintf("p%04d", i)
					m := letterTo(name+"@example.org", "d1-"+name)
					m.Content["html"] = "<p>" + strings.Repeat("for "+name+"<br>\n", 1+roll(3)*roll(3)*400) + "</p>"
					m.Content["text"] = "for " + name
					wait, no := time.Duration(roll(3)*roll(1000))*time.Microsecond, roll(20) == 0
					m.Depart = func(ctx context.Context) error {
						if no {
							return errNo
						}
						select {
						case <-time.After(wait):
							return nil
						case <-ctx.Done():
							return errNo
						}
					}
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if roll(4) == 0 {
						ctx, cancel = context.WithTimeout(ctx, time.Duration(roll(8000))*time.Microsecond)
					}
					_, err := ch.Send(ctx, m)
					cancel()
					if errors.Is(err, errNo) {
						ends[i] = "refused"
					} else {
						ends[i] = verdictOf(err)
					}
				}
			})
		}
		for i := range letters {
			work <- i
		}
		close(work)
		wg.Wait()
		tally := map[string]int{}
		for i, got := range ends {
			to := fmt.Sprintf("p%04d@example.org", i)
			n := first.Journal().Accepted(to) + second.Journal().Accepted(to)
			if n > 1 || got == "sent" && n != 1 || got != "sent" && got != channels.Uncertain.String() && n != 0 {
				t.Errorf("seed %d: %s is %s; the servers took %d", seed, to, got, n)
			}
			tally[got]++
		}
		for _, m := range append(first.Messages(), second.Messages()...) {
			name, _, _ := strings.Cut(m.EnvelopeTo[0], "@")
			if n := bytes.Count(m.Source, []byte("for ")); n != bytes.Count(m.Source, []byte("for "+name)) || len(m.EnvelopeTo) != 1 {
				t.Errorf("seed %d: the letter for %s: %s", seed, name, m.Source)
			}
		}
		ch.pool.mu.Lock()
		for _, s := range ch.pool.servers {
			if s.busy != 0 || len(s.room) != 0 {
				t.Errorf("seed %d: %s has %d seats taken and %d places at the end", seed, s.addr, s.busy, len(s.room))
			}
		}
		if len(ch.pool.waiting) != 0 {
			t.Errorf("seed %d: %d wait at the end", seed, len(ch.pool.waiting))
		}
		ch.pool.mu.Unlock()
		if tally["sent"] < letters/3 || len(tally) < 4 {
			t.Errorf("seed %d: %v", seed, tally)
		}
	}
}
