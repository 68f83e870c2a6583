package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"rapport/campaigns"
	"rapport/outbox"
	"rapport/store"
)

// examinePlanners: two processes that plan the same run plan everybody once.
func examinePlanners(t *testing.T, d *Desk) {
	const people = 5000
	d.People(t, people)
	d.put(t, "spring", atOnce)
	d.start(t, "spring")
	var wg sync.WaitGroup
	for range 3 {
		other := desk(t, d.Store, d.clock)
		wg.Go(func() {
			for {
				more, err := other.Campaigns.PlanSome(t.Context())
				if err != nil {
					t.Error(err)
				}
				if !more || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if a := d.account(t, "spring"); a.Planned != people || a.State != outbox.Running {
		t.Errorf("account %+v", a)
	}
}

// Interrupted plans a run with a store that is closed after each page and
// opened again, as a process that crashes over and over would.
func Interrupted(t *testing.T, open func() (*store.Store, error)) {
	const people = 3500
	once := func(do func(d *Desk) bool) (more bool) {
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		d := desk(t, s, &atomic.Int64{})
		d.Set(noon)
		return do(d)
	}
	once(func(d *Desk) bool {
		d = NewDesk(t, d.Store)
		d.People(t, people)
		d.put(t, "spring", atOnce)
		d.start(t, "spring")
		return true
	})
	pages := 0
	for once(func(d *Desk) bool {
		more, err := d.Campaigns.PlanSome(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return more
	}) {
		pages++
	}
	once(func(d *Desk) bool {
		a := d.account(t, "spring")
		if a.Planned != people || a.State != outbox.Running || pages < 4 {
			t.Errorf("after %d pages: %+v", pages, a)
		}
		if n := d.send(t, allSent); n != people {
			t.Errorf("%d were sent", n)
		}
		return false
	})
}

// stubborn is a store that cannot plan one run.
type stubborn struct {
	*store.Store
	run int64
}

// PlanPage fails for the run.
func (s stubborn) PlanPage(ctx context.Context, run int64, aim campaigns.Aim) (campaigns.Page, error) {
	if run == s.run {
		return campaigns.Page{}, errors.New("a statement of this run fails")
	}
	return s.Store.PlanPage(ctx, run, aim)
}

// examineStubborn: a run that cannot be planned does not keep the ones behind
// it.
func examineStubborn(t *testing.T, d *Desk) {
	d.People(t, 50)
	for _, name := range []string{"stuck", "behind"} {
		d.put(t, name, atOnce)
		d.start(t, name)
	}
	first, ok, err := d.Store.Planning(t.Context(), 0)
	if err != nil || !ok || first.Name != "stuck" {
		t.Fatalf("%+v, %v", first, err)
	}
	d.Campaigns = campaigns.New(campaigns.Options{
		Store: stubborn{d.Store, first.ID}, Contacts: d.Contacts, Consent: d.Consent, Templates: d.Templates, Drivers: d.Drivers,
		Channels: []campaigns.Channel{{Name: "letters", Driver: mailer, Rate: 10}}, PublicURL: "https://news.example.com", Now: d.Now, Random: rand.Reader,
	})
	for more := true; more; {
		if more, err = d.Campaigns.PlanSome(t.Context()); err == nil {
			t.Fatal("nobody hears of the run that cannot be planned")
		}
	}
	if a := d.account(t, "behind"); a.Planned != 50 || a.State != outbox.Running {
		t.Errorf("the run behind: %+v", a)
	}
	if a := d.account(t, "stuck"); a.State != outbox.Planning {
		t.Errorf("the run itself: %+v", a)
	}
}
