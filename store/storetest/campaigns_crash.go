package storetest

import (
	"sync"
	"sync/atomic"
	"testing"

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
