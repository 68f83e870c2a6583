package e2e

import (
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/config"
	"rapport/internal/app"
	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
	"rapport/responses"
)

// storm is people who leave by one click while a campaign runs, so many a
// second, and scanners that open as many links and leave nothing.
type storm struct {
	*rig

	campaign string
	every    time.Duration // between two clicks
	scans    int           // GETs and HEADs of unsubscribe links
	limit    time.Duration

	links map[string]string
	told  map[string]time.Time // when somebody had been told that they have left
	took  []time.Duration      // answers
}

// stormy greylists a tenth of the people once, so that some leave while their
// letter waits for another try, and is slow otherwise.
func stormy(dot time.Duration) smtpd.Options {
	var mu sync.Mutex
	tried := map[string]bool{}
	pace := slow(dot).Script
	return smtpd.Options{Keep: smtpd.KeepNothing, Script: func(step smtpd.Step) smtpd.Action {
		if step.Stage == smtpd.Rcpt {
			h := fnv.New32a()
			_, _ = h.Write([]byte(step.Addr)) // never fails
			mu.Lock()
			defer mu.Unlock()
			if h.Sum32()%10 == 0 && !tried[step.Addr] {
				tried[step.Addr] = true
				return smtpd.Reply(450, "4.3.2", "come back in a moment")
			}
		}
		if dot == 0 {
			return smtpd.Action{}
		}
		return pace(step)
	}}
}

// prepare makes the link of everybody, as the letters of the run will hold it.
func (s *storm) prepare() {
	s.t.Helper()
	c := config.Config{Data: s.path("data")}
	if s.database != "" {
		c.SecretKeyFile = s.path("secret.key")
	}
	keys, _, err := app.OpenKeys(c, rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	tokens, err := responses.NewTokens(keys.Sign)
	if err != nil {
		s.t.Fatal(err)
	}
	linker := responses.NewLinker(tokens, "http://"+s.listen)
	run := int64(s.one("SELECT MAX(id) FROM runs"))
	s.links, s.told = map[string]string{}, map[string]time.Time{}
	db := s.db()
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(s.t.Context(), "SELECT contact_id, value FROM addresses WHERE kind = 'email'")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var address string
		if err := rows.Scan(&id, &address); err != nil {
			s.t.Fatal(err)
		}
		s.links[address] = linker.For(responses.Subject{Run: run, Contact: id, Driver: "email", Topic: "offers"}, false).Unsubscribe()
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
}

// blow lets people leave at a steady rate, from all over the list, who have
// not got their letter yet, until the run is over.
func (s *storm) blow(over func() bool) {
	s.t.Helper()
	who := s.people.willing()
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	forms := []struct{ kind, body string }{
		{"application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n"},
		{"text/plain", "List-Unsubscribe=One-Click"},
	}
	for i := 0; !over() && i < len(who); i++ {
		at := i * 7919 % len(who) // all over the list
		to := who[at]
		if _, done := s.told[to]; done || s.mail.Journal().Accepted(to) > 0 {
			continue
		}
		<-tick.C
		f := forms[i%len(forms)]
		began := time.Now()
		status, err := s.click(s.links[to], f.kind, f.body)
		if err != nil {
			s.t.Fatal(err)
		}
		if status != http.StatusOK {
			s.t.Fatalf("one-click: %d", status)
		}
		s.took = append(s.took, time.Since(began))
		if s.mail.Journal().Accepted(to) == 0 { // else it came before the answer
			s.told[to] = time.Now()
		}
	}
}

func (s *storm) click(link, kind, body string) (int, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, link, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "mail-provider/1.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// scan opens unsubscribe links as crawlers and mail gateways do, and returns
// how many answers were not the page.
func (s *storm) scan(n int) {
	s.t.Helper()
	agents := []string{"Mozilla/5.0 (compatible; Googlebot/2.1)", "curl/8.5", "", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126 Safari/537.36", "Barracuda Sentinel"}
	who := s.people.willing()
	for i := range n {
		method := http.MethodGet
		if i%2 == 1 {
			method = http.MethodHead
		}
		link := s.links[who[i*31%len(who)]]
		if i%5 == 4 {
			link += "?List-Unsubscribe=One-Click&confirm=yes"
		}
		req, err := http.NewRequestWithContext(s.t.Context(), method, link, nil)
		if err != nil {
			s.t.Error(err)
			return
		}
		req.Header.Set("User-Agent", agents[i%len(agents)])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			s.t.Error(err)
			return
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
			s.t.Errorf("%s of an unsubscribe link: %s", method, res.Status)
			return
		}
	}
}

// judge counts who was sent a letter after they had been told, and says which
// of them a session had in hand already: at most one other came before it in
// that session (ADR 0017).
func (s *storm) judgeStorm(entries []journal.Entry) (late, unexcused int) {
	s.t.Helper()
	after := map[uint64][]time.Time{} // of each session: when it took letters
	for _, e := range entries {
		if !e.Outcome.Taken() {
			continue
		}
		if told, left := s.told[e.To]; left && e.Time.After(told) {
			late++
			between := 0
			for _, t := range after[e.Session] {
				if t.After(told) {
					between++
				}
			}
			if between > 1 {
				unexcused++
				s.t.Errorf("%s got a letter %s after they were told, behind %d others of its session", e.To, e.Time.Sub(told), between)
			}
		}
		after[e.Session] = append(after[e.Session], e.Time)
	}
	return late, unexcused
}

// expected are the people whom the run has to account for: all who were willing,
// less those who left before they were planned.
func (s *storm) expected() []string {
	s.t.Helper()
	db := s.db()
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(s.t.Context(), `SELECT a.value FROM addresses a JOIN not_planned n ON n.contact_id = a.contact_id
		WHERE a.kind = 'email' AND n.run_id = (SELECT MAX(id) FROM runs)`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]bool{}
	for rows.Next() {
		var address string
		if err := rows.Scan(&address); err != nil {
			s.t.Fatal(err)
		}
		_, out[address] = s.told[address]
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(s.people.willing(), func(to string) bool { return out[to] })
}

// play starts the campaign, lets the storm blow and judges. It returns the
// account and a line for the record.
func (s *storm) play() (account, string) {
	s.t.Helper()
	s.must("campaigns", "start", s.campaign)
	eventually(s.t, "the run has begun", patience, 20*time.Millisecond, func() bool { return s.one("SELECT COUNT(*) FROM runs") > 0 })
	s.prepare()
	before := s.one("SELECT COUNT(*) FROM consent_entries WHERE state IN ('withdrawn', 'objected')")
	var scans sync.WaitGroup
	scans.Go(func() { s.scan(s.scans) })
	nearly := len(s.people.willing()) * 9 / 10
	s.blow(func() bool {
		if s.mail.Journal().Taken() < nearly {
			return false
		}
		return s.status(s.campaign).State == "finished"
	})
	scans.Wait()
	a := s.awaitFor(s.campaign, "finished", s.limit, 200*time.Millisecond, func(a account) bool { return a.State == "finished" })
	late, unexcused := s.judgeStorm(s.mail.Journal().Entries())
	clicks := len(s.took)
	if n := s.one("SELECT COUNT(*) FROM consent_entries WHERE state IN ('withdrawn', 'objected')") - before; n != clicks {
		s.t.Errorf("%d withdrawals in the ledger after %d clicks and %d scans", n, clicks, s.scans)
	}
	counted := 0
	eventually(s.t, "the unsubscriptions are counted for the run", patience, 200*time.Millisecond, func() bool {
		counted = s.one("SELECT COUNT(*) FROM responses WHERE kind = 'unsubscribed' AND run_id = (SELECT MAX(id) FROM runs)")
		return counted >= clicks
	})
	if counted != clicks {
		s.t.Errorf("%d unsubscriptions are counted for the run, want %d", counted, clicks)
	}
	stopped, early := a.Reasons["suppressed"]["withdrawn"], len(s.people.willing())-len(s.expected())
	slices.Sort(s.took)
	at := func(p float64) time.Duration {
		return s.took[min(int(p*float64(clicks)), clicks-1)].Round(time.Millisecond)
	}
	if clicks == 0 || len(s.told) == 0 {
		s.t.Fatal("nobody left in time")
	}
	if at(1) > 10*time.Second {
		s.t.Errorf("an answer took %s", at(1))
	}
	return a, fmt.Sprintf("%d clicks, answers p50 %s p99 %s max %s; told before their letter: %d, stopped in the run: %d, not planned any more: %d, got a letter after the 2xx that no session had in hand: %d (in hand: %d); %d scans changed nothing",
		clicks, at(0.5), at(0.99), at(1), len(s.told), stopped, early, unexcused, late-unexcused, s.scans)
}

// TestUnsubscribeStorm is the short form of TestLoad/…/unsubscribe: ten people a
// second leave while a slow campaign runs, and a thousand scanners look at the
// links of others.
func TestUnsubscribeStorm(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := setup{people: 600, postgres: engine == "postgres", mail: stormy(40 * time.Millisecond)}
			r := newRig(t, s)
			r.stock("storm-offers")
			r.serve()
			x := &storm{rig: r, campaign: "storm-offers", every: 100 * time.Millisecond, scans: 1000, limit: patience}
			a, line := x.play()
			t.Log(line)
			r.judge("storm-offers", x.expected(), r.mail.Journal().Entries(), bounds{stopped: -1})
			if a.States["suppressed"] == 0 {
				t.Error("nobody was stopped: the test came too late")
			}
			r.well()
		})
	}
}
