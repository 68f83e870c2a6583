package e2e

import (
	"testing"
	"time"
)

func quietFaults() []fault {
	return []fault{
		{"T54_quiet_hours", onBoth, quietHours},
		{"T54_caps", onBoth, caps},
	}
}

// quietHours: the quiet hours of the installation begin while a campaign
// sends, and the processes are killed while what is left waits. None leaves at
// night, all of it leaves in the morning, spread.
func quietHours(t *testing.T, s setup) {
	s.people, s.mail, s.tag = 150, slow(60*time.Millisecond), "failpoints"
	s.config = "quiet: {from: \"21:00\", to: \"08:00\", zone: UTC, spread: 5m}\n"
	r := newRig(t, s)
	c := r.oneClock()
	now := time.Now().UTC()
	evening := time.Date(now.Year(), now.Month(), now.Day(), 20, 30, 0, 0, time.UTC).Add(24 * time.Hour)
	c.set(evening.Sub(now))
	r.plan("polite-offers", "expires: 100h\n")
	list := r.works(2)
	r.taken(30)
	c.set(evening.Sub(now) + 31*time.Minute)
	told := r.mail.Journal().Taken()
	r.await("polite-offers", "waiting for the morning", func(a account) bool {
		return a.States["claimed"]+a.States["sending"] == 0 && a.Waiting["quiet"] == a.States["queued"]
	})
	took := r.mail.Journal().Taken()
	if took-told > 2*r.connections*2 {
		t.Errorf("%d messages left after the quiet hours had begun", took-told)
	}
	for _, p := range list {
		p.kill()
	}
	r.works(2)
	c.set(evening.Sub(now) + 11*time.Hour + 15*time.Minute) // 07:45
	for range 3 {
		r.status("polite-offers")
	}
	if n := r.mail.Journal().Taken(); n != took {
		t.Errorf("%d messages left before the quiet hours ended", n-took)
	}
	c.set(evening.Sub(now) + 11*time.Hour + 36*time.Minute) // 08:06: what waited begins within five minutes
	r.ends("polite-offers", bounds{})
}

// caps: two campaigns at the same moment to the same people, of whom nobody may
// get more than one in two hours, and processes that are killed meanwhile: each
// gets one now and the other one when there is room.
func caps(t *testing.T, s setup) {
	s.people, s.mail, s.tag = 120, slow(10*time.Millisecond), "failpoints"
	s.config = "caps: [{topics: marketing, most: 1, in: 2h}]\n"
	r := newRig(t, s)
	c := r.oneClock()
	r.stock()
	for _, name := range []string{"first-offers", "second-offers"} {
		r.create(name, "expires: 100h\n")
		r.must("campaigns", "start", name)
	}
	list := r.works(2)
	willing := len(r.people.willing())
	settled := func() (sent, capped, uncertain int) {
		for _, name := range []string{"first-offers", "second-offers"} {
			a := r.await(name, "at rest", func(a account) bool {
				return a.State != "planning" && a.States["claimed"]+a.States["sending"] == 0 && a.Waiting["capped"] == a.States["queued"]
			})
			sent, capped, uncertain = sent+a.States["sent"], capped+a.Waiting["capped"], uncertain+a.States["uncertain"]
		}
		return sent, capped, uncertain
	}
	got := func() map[string]int {
		n := map[string]int{}
		for _, e := range r.mail.Journal().Entries() {
			n[e.To]++
		}
		return n
	}
	sent, capped, uncertain := settled()
	if sent != willing || capped != willing || uncertain != 0 {
		t.Errorf("of %d people: %d sent, %d capped, %d uncertain", willing, sent, capped, uncertain)
	}
	for who, n := range got() {
		if n != 1 {
			t.Errorf("%s got %d messages at once", who, n)
		}
	}
	for _, p := range list {
		p.kill()
	}
	c.set(time.Hour)
	r.works(2)
	for range 3 {
		r.status("second-offers")
	}
	if n := r.mail.Journal().Taken(); n != willing {
		t.Errorf("%d messages left before there was room", n-willing)
	}
	c.set(2*time.Hour + 10*time.Minute)
	for _, name := range []string{"first-offers", "second-offers"} {
		if a := r.finished(name); a.States["sent"] != willing {
			t.Errorf("%s: %v of %d", name, a.States, willing)
		}
	}
	for who, n := range got() {
		if n != 2 {
			t.Errorf("%s got %d of two messages", who, n)
		}
	}
	r.well()
}
