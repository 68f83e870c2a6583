package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
)

func (d *Desk) wish(t testing.TB, who string, p consent.Preference) {
	t.Helper()
	if err := d.Consent.SetPreference(t.Context(), d.get(t, who).ID, p); err != nil {
		t.Fatal(err)
	}
}

// examinePauses: who asked for a pause longer than a message keeps is not
// planned; a shorter one holds; taken back, it leaves at once. The house's
// consent room reads the real clock, so the desk's is set to it.
func examinePauses(t *testing.T, d *Desk) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.Set(now)
	d.People(t, 5)
	d.wish(t, "p1", consent.Preference{PausedUntil: now.Add(30 * 24 * time.Hour)})
	d.wish(t, "p2", consent.Preference{Driver: mailer, Topic: "news", PausedUntil: now.Add(2 * time.Hour)})
	d.wish(t, "p3", consent.Preference{Driver: pigeon, PausedUntil: now.Add(30 * 24 * time.Hour)})
	d.begin(t, "spring")
	a := d.account(t, "spring")
	if a.Planned != 4 || a.NotPlanned[outbox.AskedPause] != 1 {
		t.Fatalf("planned %d, not planned %v", a.Planned, a.NotPlanned)
	}
	d.wish(t, "p4", consent.Preference{PausedUntil: now.Add(30 * 24 * time.Hour)}) // after planning
	if n := d.sendAll(t); n != 2 {
		t.Errorf("%d left", n)
	}
	a = d.account(t, "spring")
	if a.Waiting[outbox.AskedPause] != 1 || a.Reasons[outbox.Suppressed][outbox.AskedPause] != 1 || a.States[outbox.Sent] != 2 {
		t.Errorf("%v %v %v", a.States, a.Waiting, a.Reasons)
	}
	d.wish(t, "p2", consent.Preference{Driver: mailer, Topic: "news"})
	d.Set(time.Now().UTC())
	if n := d.sendAll(t); n != 1 {
		t.Errorf("%d left when the pause was taken back", n)
	}
	if a := d.account(t, "spring"); a.States[outbox.Sent] != 3 || a.State != outbox.Running && a.State != outbox.Finished {
		t.Errorf("%v %s", a.States, a.State)
	}
}

func examineLess(t *testing.T, d *Desk) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.Set(now)
	d.People(t, 3)
	d.wish(t, "p1", consent.Preference{Every: 3 * time.Hour})
	d.begin(t, "first", "second")
	if n := d.sendAll(t); n != 5 {
		t.Errorf("%d left", n)
	}
	waiting := int64(0)
	for _, name := range []string{"first", "second"} {
		a := d.account(t, name)
		waiting += a.Waiting[outbox.AskedLess]
	}
	if waiting != 1 {
		t.Errorf("%d wait", waiting)
	}
	d.Set(now.Add(3*time.Hour - time.Minute))
	if n := d.sendAll(t); n != 0 {
		t.Errorf("%d left early", n)
	}
	d.Set(now.Add(3 * time.Hour))
	if n := d.sendAll(t); n != 1 {
		t.Errorf("%d left when the time was over", n)
	}
}

// examineHeldTooLong: what a cap, a rhythm, a pause or quiet hours hold ends at
// the moment of its expiry, however late it would be looked at again, and its
// run with it.
func examineHeldTooLong(t *testing.T, d *Desk) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.Set(now)
	d.People(t, 6)
	d.begin(t, "first")
	d.sendAll(t)
	d.Store.Limit(&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: 48 * time.Hour}}, Home: time.UTC})
	d.wish(t, "p1", consent.Preference{Every: 72 * time.Hour})
	d.put(t, "held", atOnce, "expires: 1h")
	d.start(t, "held")
	d.plan(t)
	d.wish(t, "p2", consent.Preference{PausedUntil: now.Add(59 * time.Minute)})
	if n := d.sendAll(t); n != 0 {
		t.Fatalf("%d left", n)
	}
	if w := d.account(t, "held").Waiting; w[outbox.Capped] != 4 || w[outbox.AskedLess] != 1 || w[outbox.AskedPause] != 1 {
		t.Fatalf("waiting %v", w)
	}
	d.Store.Limit(nil)
	d.put(t, "quiet", atOnce, "expires: 1h")
	d.start(t, "quiet")
	d.plan(t)
	d.wish(t, "p1", consent.Preference{})
	d.wish(t, "p2", consent.Preference{})
	d.send(t, func(outbox.Delivery) outbox.Settlement {
		return outbox.Settlement{State: outbox.Queued, Reason: outbox.WaitQuiet, NotBefore: now.Add(10 * time.Hour)}
	})
	fold := func(at time.Duration) (n int64) {
		t.Helper()
		d.Set(now.Add(at))
		for {
			more, err := d.Store.Fold(t.Context(), d.Now())
			if err != nil {
				t.Fatal(err)
			}
			if more == 0 {
				return n
			}
			n += more
		}
	}
	if n := fold(59 * time.Minute); n != 0 {
		t.Errorf("%d ended before their time", n)
	}
	if n := fold(time.Hour); n != 12 {
		t.Errorf("%d of 12 ended at their time", n)
	}
	if _, err := d.Store.Finish(t.Context(), d.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"held", "quiet"} {
		if a := d.account(t, name); a.Reasons[outbox.Expired][outbox.TimeOver] != 6 || a.State != outbox.Finished {
			t.Errorf("%s is %s: %v waiting %v", name, a.State, a.States, a.Waiting)
		}
	}
	if off, err := d.Store.CheckAccounts(t.Context()); err != nil || len(off) > 0 {
		t.Errorf("%v, %v", off, err)
	}
}

// examineWishRace: a pause that was answered with success stops everything
// that has not left, also the first pause there ever is.
func examineWishRace(t *testing.T, d *Desk) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.Set(now)
	const people = 40
	d.People(t, people)
	d.begin(t, "spring")
	var mu sync.Mutex
	paused := map[int64]bool{} // whose pause was answered with success
	early := map[int64]bool{}  // deliveries that asked after that
	seat := d.sit(t)
	defer d.rise(t, seat)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; i <= people; i += 2 {
			who := d.get(t, fmt.Sprintf("p%d", i)).ID
			if err := d.Consent.SetPreference(t.Context(), who, consent.Preference{PausedUntil: now.Add(300 * 24 * time.Hour)}); err != nil {
				t.Error(err)
			}
			mu.Lock()
			paused[who] = true
			mu.Unlock()
		}
	})
	for range 3 {
		wg.Go(func() {
			_, err := d.work(t.Context(), seat, func(list []outbox.Delivery) {
				mu.Lock()
				defer mu.Unlock()
				for _, x := range list {
					early[x.ID] = paused[x.Contact]
				}
			}, func(x outbox.Delivery) outbox.Settlement {
				mu.Lock()
				defer mu.Unlock()
				if early[x.ID] {
					t.Errorf("contact %d was written to after the pause", x.Contact)
				}
				return outbox.Settlement{State: outbox.Sent}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a := d.account(t, "spring")
	if stopped := a.Reasons[outbox.Suppressed][outbox.AskedPause]; a.States[outbox.Sent]+stopped != people || a.States[outbox.Sent] < people/2 {
		t.Errorf("%v %v", a.States, a.Reasons)
	}
}

// examineLimitedCount: check says whom pauses, caps and windows would hold.
func examineLimitedCount(t *testing.T, d *Desk) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.Set(now)
	d.People(t, 8)
	d.Import(t, "external_id,email\nsilent,silent@example.com\n", contacts.ImportOptions{})
	d.put(t, "first", atOnce, "audience: {where: contact.points <= 3.0}")
	d.start(t, "first")
	d.plan(t)
	d.sendAll(t)
	d.wish(t, "p3", consent.Preference{PausedUntil: now.Add(time.Hour)})
	d.wish(t, "p8", consent.Preference{PausedUntil: now.Add(time.Hour)})
	d.put(t, "second", atOnce, fmt.Sprintf(`window: {days: [%s], from: "00:00", to: "24:00", zone: UTC}`, strings.ToLower(now.Add(72 * time.Hour).Weekday().String()[:3])))
	for _, test := range []struct {
		limits *outbox.Limits
		capped int64
		word   string
	}{
		{nil, 0, "asked for a pause"},
		{&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: time.Hour}}, Home: time.UTC}, 2, "as often as a cap allows: they would wait"},
		{&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: time.Hour, Topics: []string{"news"}, Channels: []string{"letters"}}}, Shadow: true, Home: time.UTC}, 0, "shadow mode"},
		{&outbox.Limits{Caps: []outbox.Cap{{Most: 1, Period: outbox.Month, Topics: []string{"other"}}}, Home: time.UTC}, 0, "asked for a pause"},
	} {
		d.Store.Limit(test.limits)
		got, err := d.Campaigns.Check(t.Context(), "second")
		if err != nil {
			t.Fatal(err)
		}
		if got.Held[outbox.AskedPause] != 2 || got.Held[outbox.Capped] != test.capped || got.Held[outbox.WaitQuiet] != 8 || !strings.Contains(strings.Join(got.Warnings, "\n"), test.word) {
			t.Errorf("%+v: held %v\n%s", test.limits, got.Held, strings.Join(got.Warnings, "\n"))
		}
	}
}
