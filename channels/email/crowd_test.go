package email

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
)

// TestBothWaysAreTheSame: with and without PIPELINING, the server has the same
// letters, octet by octet, from the same envelopes.
func TestBothWaysAreTheSame(t *testing.T) {
	at := time.Date(2026, 3, 29, 9, 30, 0, 0, time.UTC)
	var messages []channels.Message
	for name, body := range tortures() {
		m := letterTo("anna@example.org", "")
		m.Content = map[string]string{"subject": name, "html": body, "text": body}
		messages = append(messages, m, newsletter(""), letterTo("jürgen@example.org", ""))
	}
	for i := range messages {
		m := &messages[i]
		m.Key, m.Return = fmt.Sprintf("d1-%x", i), fmt.Sprintf("d1-%x-mac", i)
		switch i % 7 {
		case 3:
			m.Class = channels.Transactional
		case 5:
			m.Files = []channels.File{{Name: "a.bin", Data: bytes.Repeat([]byte{0, '.', '\n', 255}, 500)}, {Name: "x.png", Type: "image/png", ID: "x", Data: []byte("x")}}
		}
	}
	ways := map[smtpd.Support]map[string]smtpd.Message{}
	for _, support := range []smtpd.Support{smtpd.Works, smtpd.Absent} {
		srv := start(t, smtpd.Options{Pipelining: support})
		s := settings(srv)
		s.Servers[0].Connections = 2
		ch, err := open(channels.Env{Name: "news"}, s, func() time.Time { return at })
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		work := make(chan channels.Message)
		for range 6 {
			wg.Go(func() {
				for m := range work {
					if _, err := ch.Send(t.Context(), m); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, m := range messages {
			work <- m
		}
		close(work)
		wg.Wait()
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
		ways[support] = map[string]smtpd.Message{}
		for _, m := range srv.Messages() {
			ways[support][m.MessageID] = m
		}
	}
	pipelined, plain := ways[smtpd.Works], ways[smtpd.Absent]
	if len(pipelined) != len(messages) || len(plain) != len(messages) {
		t.Fatalf("%d and %d letters, want %d", len(pipelined), len(plain), len(messages))
	}
	for id, m := range plain {
		other := pipelined[id]
		if !bytes.Equal(m.Source, other.Source) || m.EnvelopeFrom != other.EnvelopeFrom || !slices.Equal(m.EnvelopeTo, other.EnvelopeTo) {
			t.Errorf("%s: step by step\n%s\npipelined\n%s", id, m.Source, other.Source)
		}
	}
}

// TestCrowd: hundreds of letters side by side, every third of which meets some
// trouble. Nobody else's letter suffers, and no outcome contradicts what the
// server took.
func TestCrowd(t *testing.T) {
	troubles := map[string]struct {
		script smtpd.Script
		want   string
	}{
		"unknown":   {smtpd.Reply(550, "5.1.1", "no").At(smtpd.Rcpt), "rejected"},
		"grey":      {smtpd.Reply(451, "4.7.1", "greylisted").At(smtpd.Rcpt), "temporary"},
		"bye":       {smtpd.Reply(421, "4.3.2", "bye").AndClose().At(smtpd.Rcpt), "throttled"},
		"cut":       {smtpd.ConnectionReset().At(smtpd.Rcpt), "temporary"},
		"data":      {smtpd.Reply(451, "4.3.0", "no").At(smtpd.Data), "temporary"},
		"cutdata":   {smtpd.CloseBefore().At(smtpd.Data), "temporary"},
		"content":   {smtpd.Reply(554, "5.6.0", "no").At(smtpd.Dot), "malformed"},
		"dotbye":    {smtpd.Reply(421, "4.3.2", "bye").AndClose().At(smtpd.Dot), "throttled"},
		"lost":      {smtpd.CloseBefore().At(smtpd.Dot), "uncertain"},
		"takenlost": {smtpd.AcceptThenClose().At(smtpd.Dot), "uncertain"},
		"nonsense":  {smtpd.Raw("what?\r\n").At(smtpd.Dot), "uncertain"},
	}
	scripts := map[string]smtpd.Script{}
	for name, c := range troubles {
		scripts[name+"+*@*"] = c.script
	}
	names := slices.Sorted(maps.Keys(troubles))
	for _, support := range []smtpd.Support{smtpd.Works, smtpd.Absent} {
		srv := start(t, smtpd.Options{Pipelining: support, Script: smtpd.ByRecipient(scripts)})
		s := settings(srv)
		s.Servers[0].Connections, s.PerConnection = 3, 20
		ch := openChannel(t, s)
		calm(ch)
		random := rand.New(rand.NewPCG(7, 7)) // #nosec G404 -- a repeatable test
		letters := 600
		if testing.Short() {
			letters = 200
		}
		work := make(chan string)
		var mu sync.Mutex
		ends := map[string]string{}
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() {
				for to := range work {
					s := post(t.Context(), ch, strings.TrimSuffix(to, "@example.org"))
					got := s.wait(t)
					if n := s.asked.Load(); n != 1 {
						t.Errorf("%s: asked %d times", to, n)
					}
					mu.Lock()
					ends[to] = got
					mu.Unlock()
				}
			})
		}
		for i := range letters {
			name := "good"
			if i%3 == 0 {
				name = names[random.IntN(len(names))]
			}
			work <- fmt.Sprintf("%s+%d@example.org", name, i)
		}
		close(work)
		wg.Wait()
		for to, got := range ends {
			name, _, _ := strings.Cut(to, "+")
			want := "sent"
			if c, ok := troubles[name]; ok {
				want = c.want
			}
			n := srv.Journal().Accepted(to)
			if got != want || n > 1 || got == "sent" && n != 1 || got != "sent" && got != "uncertain" && n != 0 {
				t.Errorf("%s: %s, want %s; the server took %d", to, got, want, n)
			}
		}
	}
}
