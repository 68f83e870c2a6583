package store

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/consent"
	"rapport/outbox"
)

// said is a change of an answer, and how much had happened when it was sure.
type said struct {
	contact, entry int64
	after          int64
}

// left is a delivery that the gate let pass: what it relied on, and how much
// had happened when it was asked.
type left struct {
	delivery, contact, entry int64
	before                   int64
	at                       time.Time
}

// examination is a run on whose people others change their minds meanwhile.
type examination struct {
	s      *Store
	people int
	clock  atomic.Int64 // seconds since start
	events atomic.Int64
	mu     sync.Mutex
	heard  []said
}

func (x *examination) now() time.Time {
	return start.Add(time.Duration(x.clock.Load()) * time.Second)
}

// change says something at random for somebody.
func (x *examination) change(t *testing.T, r *rand.Rand) {
	e := consent.Entry{
		Contact: int64(r.IntN(x.people) + 1), Driver: "pigeon", Kind: "loft", Topic: "news", Basis: consent.ByConsent,
		At: x.now(), Source: "form", Resubscribe: true, Salt: strconv.AppendInt(nil, r.Int64(), 10),
	}
	switch r.IntN(6) {
	case 0, 1:
		e.State = consent.Withdrawn
	case 2:
		e.State = consent.Objected
	case 3:
		e.State, e.At = consent.Expired, x.now()
	default:
		e.State = consent.Granted
		if r.IntN(2) == 0 {
			e.Expires = e.At.Add(time.Duration(r.IntN(20)+1) * time.Second)
		}
	}
	out, err := x.s.Record(t.Context(), []consent.Entry{e})
	if err != nil {
		t.Error(err)
		return
	}
	if out[0].Written {
		x.mu.Lock()
		x.heard = append(x.heard, said{e.Contact, out[0].Entry, x.events.Add(1)})
		x.mu.Unlock()
	}
}

// send takes turns with the run until nobody waits any more; every third
// letter fails once for now and is tried again.
func (x *examination) send(t *testing.T) (out []left) {
	seat, err := x.s.Sit(t.Context(), "test", start)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[int64]bool{}
	for {
		x.clock.Add(1)
		list, err := x.s.Claim(t.Context(), 1, seat.ID(), 7, x.now())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return out
		}
		before, at := x.events.Load(), x.now()
		got, err := x.s.exchanged(t.Context(), seat.ID(), nil, tickets(list), at)
		if err != nil {
			t.Fatal(err)
		}
		var settled []outbox.Settlement
		for i, a := range got {
			if !a.Go {
				continue
			}
			d := list[i]
			entry, _, err := one(t.Context(), x.s.reader(), `SELECT entry_id FROM deliveries WHERE id = $1`, scalar[int64], d.ID)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, left{d.ID, d.Contact, entry, before, at})
			m := outbox.Settlement{Delivery: d.ID, Turn: d.Turn, State: outbox.Sent, Charge: true, At: at}
			if d.ID%3 == 0 && !tried[d.ID] {
				tried[d.ID] = true
				m = outbox.Settlement{Delivery: d.ID, Turn: d.Turn, State: outbox.Queued, Reason: outbox.WaitRetry, Charge: true, Verdict: "transient", NotBefore: at, At: at}
			}
			settled = append(settled, m)
		}
		if _, err := x.s.exchanged(t.Context(), seat.ID(), settled, nil, at); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares what left with the ledger.
func (x *examination) check(t *testing.T, sent []left) {
	lines, err := x.s.Ledger(t.Context(), 0, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[int64]consent.Record{}
	for _, r := range lines {
		byID[r.ID] = r
	}
	for _, l := range sent {
		r, known := byID[l.entry]
		switch {
		case !known || r.Contact != l.contact || r.State.Answer() != consent.Yes || r.Driver != "pigeon" || r.Topic != "news":
			t.Errorf("delivery %d to %d relies on entry %d: %+v", l.delivery, l.contact, l.entry, r.Line)
		case !r.Expires.IsZero() && !l.at.Before(r.Expires):
			t.Errorf("delivery %d left at %s on entry %d that ended at %s", l.delivery, l.at, l.entry, r.Expires)
		}
		for _, h := range x.heard {
			if h.contact == l.contact && h.entry > l.entry && h.after <= l.before {
				t.Errorf("delivery %d to %d relies on entry %d though entry %d (%s) was sure before it was asked about", l.delivery, l.contact, l.entry, h.entry, byID[h.entry].State)
			}
		}
	}
	states, err := collect(t.Context(), x.s.reader(), `SELECT id FROM deliveries WHERE state = 'sent' AND COALESCE(entry_id, 0) = 0`, scalar[int64])
	if err != nil || len(states) > 0 {
		t.Errorf("sent without an entry: %v, %v", states, err)
	}
}

// TestNothingIsSentWithoutPermission lets people change their minds at random,
// for themselves and by expiry, while a run is sent to them, and asks of every
// letter that left whether it had a yes then.
func TestNothingIsSentWithoutPermission(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const people, writers = 60, 3
		s.people(t, "marketing", people)
		if s.d == &postgresDialect { // the people's own entries have taken numbers
			s.do(t, `SELECT setval(pg_get_serial_sequence('consent_entries', 'id'), 1000)`)
		}
		x := &examination{s: s, people: people}
		s.now = x.now
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		over := make(chan struct{})
		var beside sync.WaitGroup
		for w := range writers {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for range 25 { // a history before the first is asked about
				x.change(t, r)
				x.clock.Add(1)
			}
			beside.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
						x.change(t, r)
					}
				}
			})
		}
		sent := x.send(t)
		close(over)
		beside.Wait()
		x.check(t, sent)
		kinds := slices.Compact(slices.Sorted(func(yield func(outbox.State) bool) {
			for st, n := range s.accountOf(t, 1).States {
				if n > 0 && !yield(st) {
					return
				}
			}
		}))
		if !slices.Contains(kinds, outbox.Sent) || !slices.Contains(kinds, outbox.Suppressed) {
			t.Errorf("all of one kind: %v; of %d nothing was learnt", kinds, people)
		}
	})
}
