package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"rapport/campaigns"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/store"
)

// Caps examines what keeps people from being written to too often. open opens
// a fresh store.
func Caps(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *Desk){
		"race":          examineCapRace,
		"held":          examineCapHeld,
		"dropped":       examineCapDropped,
		"priorities":    examineCapPriorities,
		"shadow":        examineCapShadow,
		"pauses":        examinePauses,
		"less":          examineLess,
		"held too long": examineHeldTooLong,
		"wish race":     examineWishRace,
		"counted":       examineLimitedCount,
		"own calendar":  examineCalendars,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewDesk(t, open(t))) })
	}
}

// runs starts campaigns over everybody and plans them.
func (d *Desk) begin(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		d.put(t, name, atOnce)
		d.start(t, name)
	}
	d.plan(t)
}

// work is one worker that sends what is due until nothing is, in groups as
// they come; end says what becomes of each that leaves. It returns how many
// left. ask, if not nil, hears of each group before the gate is asked.
func (d *Desk) work(ctx context.Context, seat outbox.Seat, ask func([]outbox.Delivery), end func(outbox.Delivery) outbox.Settlement) (left int, err error) {
	for {
		found := 0
		for _, lane := range []outbox.Lane{outbox.Now, outbox.Bulk} {
			due, err := d.Store.Due(ctx, lane, d.Now(), 100)
			if err != nil {
				return left, err
			}
			for _, b := range due {
				list, err := d.Store.Claim(ctx, b.ID, seat.ID(), 1+rand.IntN(40), d.Now())
				if err != nil {
					return left, err
				}
				found += len(list)
				if ask != nil {
					ask(list)
				}
				n, err := d.leave(ctx, seat.ID(), list, end)
				if err != nil {
					return left, err
				}
				left += n
				if err := d.Store.Rest(ctx, b.ID); err != nil {
					return left, err
				}
			}
		}
		if found == 0 {
			return left, nil
		}
	}
}

func (d *Desk) leave(ctx context.Context, seat int64, list []outbox.Delivery, end func(outbox.Delivery) outbox.Settlement) (left int, err error) {
	tickets := make([]outbox.Ticket, len(list))
	byID := map[int64]outbox.Delivery{}
	for i, x := range list {
		tickets[i] = outbox.Ticket{Delivery: x.ID, Turn: x.Turn}
		byID[x.ID] = x
	}
	said, _, err := d.Store.Exchange(ctx, seat, nil, tickets, d.Now())
	if err != nil {
		return 0, err
	}
	var done []outbox.Settlement
	for _, a := range said {
		if !a.Go {
			continue
		}
		left++
		m := end(byID[a.Delivery])
		m.Delivery, m.Turn, m.Batch, m.Charge, m.At = a.Delivery, a.Turn, byID[a.Delivery].Batch, true, d.Now()
		done = append(done, m)
	}
	_, _, err = d.Store.Exchange(ctx, seat, done, nil, d.Now())
	return left, err
}

func accepted(outbox.Delivery) outbox.Settlement { return outbox.Settlement{State: outbox.Sent} }

// sit takes a seat for the rest of a test.
func (d *Desk) sit(t testing.TB) outbox.Seat {
	t.Helper()
	seat, err := d.Store.Sit(t.Context(), "examination", d.Now())
	if err != nil {
		t.Fatal(err)
	}
	return seat
}

func (d *Desk) rise(t testing.TB, seat outbox.Seat) {
	t.Helper()
	if err := seat.Leave(context.WithoutCancel(t.Context()), d.Now()); err != nil {
		t.Error(err)
	}
}

// sendAll lets one worker send what is due.
func (d *Desk) sendAll(t testing.TB) int {
	t.Helper()
	seat := d.sit(t)
	defer d.rise(t, seat)
	n, err := d.work(t.Context(), seat, nil, accepted)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func weekly(most int) *outbox.Limits {
	return &outbox.Limits{Caps: []outbox.Cap{{Most: most, In: 7 * 24 * time.Hour}}, Home: time.UTC}
}

// examineCapRace: campaigns at the same moment to the same people with a cap,
// and several workers: of each person exactly as many leave as the cap allows.
func examineCapRace(t *testing.T, d *Desk) {
	const people = 60
	for round, most := range []int{1, 2} {
		d.Set(noon.Add(time.Duration(round) * 30 * 24 * time.Hour))
		d.Store.Limit(weekly(most))
		if round == 0 {
			d.People(t, people)
		}
		names := []string{fmt.Sprintf("a%d", round), fmt.Sprintf("b%d", round), fmt.Sprintf("c%d", round)}
		d.begin(t, names...)
		var mu sync.Mutex
		reached := map[int64]int{}
		seat := d.sit(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := d.work(t.Context(), seat, nil, func(x outbox.Delivery) outbox.Settlement {
					mu.Lock()
					defer mu.Unlock()
					reached[x.Contact]++
					return outbox.Settlement{State: outbox.Sent}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		d.rise(t, seat)
		if len(reached) != people {
			t.Errorf("%d of %d people were reached", len(reached), people)
		}
		for who, n := range reached {
			if n != most {
				t.Errorf("contact %d got %d with a cap of %d", who, n, most)
			}
		}
		var sent, capped int64
		for _, name := range names {
			a := d.account(t, name)
			sent += a.States[outbox.Sent]
			capped += a.Waiting[outbox.Capped]
		}
		if sent != int64(most*people) || capped != int64((3-most)*people) {
			t.Errorf("sent %d, capped %d", sent, capped)
		}
	}
}

// examineCapHeld: what is held goes when the time is free, in a campaign that
// is paused and resumed and with clocks that are set; what is too late by then
// has expired. The account adds up at every moment.
func examineCapHeld(t *testing.T, d *Desk) {
	d.People(t, 10)
	d.Store.Limit(&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: 4 * time.Hour}}})
	d.begin(t, "first")
	if n := d.sendAll(t); n != 10 {
		t.Fatalf("%d of the first left", n)
	}
	d.begin(t, "second")
	want := func(sent, capped int64) {
		t.Helper()
		a := d.account(t, "second")
		if a.States[outbox.Sent] != sent || a.Waiting[outbox.Capped] != capped || a.States[outbox.Expired] != 0 {
			t.Errorf("at %s: %v, waiting %v; want %d sent, %d capped", d.Now(), a.States, a.Waiting, sent, capped)
		}
	}
	if n := d.sendAll(t); n != 0 {
		t.Errorf("%d left under a full cap", n)
	}
	want(0, 10)
	d.must(t, "second", d.Campaigns.Pause)
	if a := d.account(t, "second"); a.Waiting[outbox.WaitPaused] != 10 {
		t.Errorf("paused: %v", a.Waiting)
	}
	d.must(t, "second", d.Campaigns.Resume)
	want(0, 10)
	d.Set(noon.Add(-2 * time.Hour)) // set back: nothing leaves, nothing is lost
	if n := d.sendAll(t); n != 0 {
		t.Errorf("%d left after the clock was set back", n)
	}
	d.Set(noon.Add(3*time.Hour + 59*time.Minute))
	if n := d.sendAll(t); n != 0 {
		t.Errorf("%d left a minute early", n)
	}
	want(0, 10)
	d.Set(noon.Add(4 * time.Hour))
	if n := d.sendAll(t); n != 10 {
		t.Errorf("%d left when the time was free", n)
	}
	want(10, 0)
	d.begin(t, "third")
	d.sendAll(t)
	d.Store.Limit(&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: 100 * time.Hour}}}) // as after a start with other caps
	d.Set(noon.Add(9 * time.Hour))
	if n := d.sendAll(t); n != 0 {
		t.Errorf("%d left under the longer cap", n)
	}
	d.Set(noon.Add(29 * time.Hour)) // the letters keep for 24 hours
	if _, err := d.Store.Fold(t.Context(), d.Now()); err != nil {
		t.Fatal(err)
	}
	if a := d.account(t, "third"); a.States[outbox.Expired] != 10 || a.Reasons[outbox.Expired][outbox.TimeOver] != 10 {
		t.Errorf("too late: %v", a.States)
	}
	if n := d.sendAll(t); n != 0 {
		t.Errorf("%d left too late", n)
	}
}

func examineCapDropped(t *testing.T, d *Desk) {
	d.People(t, 4)
	d.Store.Limit(&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: time.Hour, Drop: true}}})
	d.begin(t, "first", "second")
	if n := d.sendAll(t); n != 4 {
		t.Errorf("%d left", n)
	}
	var dropped int64
	for _, name := range []string{"first", "second"} {
		a := d.account(t, name)
		dropped += a.Reasons[outbox.Suppressed][outbox.Capped]
	}
	if dropped != 4 {
		t.Errorf("%d were dropped", dropped)
	}
}

// examineCapPriorities: the more urgent topic takes the one place, though the
// other was first; a transactional message always leaves.
func examineCapPriorities(t *testing.T, d *Desk) {
	ctx := t.Context()
	topics := []consent.Topic{
		{Name: "news", Kind: consent.Marketing, Priority: consent.Low},
		{Name: "alerts", Kind: consent.Marketing, Priority: consent.High},
		{Name: "service", Kind: consent.Transactional},
	}
	if err := d.Consent.PutTopics(ctx, topics); err != nil {
		t.Fatal(err)
	}
	d.People(t, 5)
	d.Import(t, "external_id,email\np1,p1@example.com\np2,p2@example.com\n", contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "alerts"}}, Source: "examination"})
	d.Store.Limit(&outbox.Limits{Caps: []outbox.Cap{{Most: 1, In: time.Hour, All: true}}})
	d.begin(t, "spring")
	if _, err := d.Campaigns.Create(ctx, "alert.yaml", []byte("name: alert\ntopic: alerts\nchannel: letters\ntemplate: mailer\n"+atOnce)); err != nil {
		t.Fatal(err)
	}
	d.start(t, "alert")
	d.plan(t)
	if n := d.sendAll(t); n != 5 {
		t.Errorf("%d left", n)
	}
	if a := d.account(t, "alert"); a.States[outbox.Sent] != 2 {
		t.Errorf("the urgent one: %v waiting %v", a.States, a.Waiting)
	}
	if a := d.account(t, "spring"); a.States[outbox.Sent] != 3 || a.Waiting[outbox.Capped] != 2 {
		t.Errorf("the other: %v waiting %v", a.States, a.Waiting)
	}
	_, err := d.Campaigns.Send(ctx, campaigns.Single{Template: mailer, Channel: "letters", Topic: "service", Contact: "p3", Source: "order 7", Reference: "order-7"})
	if err != nil {
		t.Fatal(err)
	}
	if n := d.sendAll(t); n != 1 {
		t.Errorf("%d bills left", n)
	}
}

func examineCapShadow(t *testing.T, d *Desk) {
	d.People(t, 6)
	l := weekly(1)
	l.Shadow = true
	d.Store.Limit(l)
	d.begin(t, "first", "second")
	if n := d.sendAll(t); n != 12 {
		t.Errorf("%d left", n)
	}
	shadow := int64(0)
	for _, name := range []string{"first", "second"} {
		a := d.account(t, name)
		shadow += a.Shadow[outbox.Capped]
		if len(a.Waiting) != 0 || a.States[outbox.Sent] != 6 {
			t.Errorf("%+v", a)
		}
	}
	if shadow != 6 {
		t.Errorf("%d would have been held", shadow)
	}
	// What quiet hours only tell comes with the ticket, with caps or without.
	for _, limits := range []*outbox.Limits{l, nil} {
		d.Store.Limit(limits)
		name := fmt.Sprintf("quiet%t", limits == nil)
		d.begin(t, name)
		d.quietly(t)
		if a := d.account(t, name); a.Shadow[outbox.WaitQuiet] != 6 || a.States[outbox.Sent] != 6 {
			t.Errorf("%+v", a)
		}
	}
}

// quietly sends what is due with tickets that say it is quiet.
func (d *Desk) quietly(t testing.TB) {
	t.Helper()
	ctx, seat := t.Context(), d.sit(t)
	defer d.rise(t, seat)
	due, err := d.Store.Due(ctx, outbox.Bulk, d.Now(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range due {
		list, err := d.Store.Claim(ctx, b.ID, seat.ID(), 100, d.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			said, _, err := d.Store.Exchange(ctx, seat.ID(), nil, []outbox.Ticket{{Delivery: x.ID, Turn: x.Turn, Shadow: outbox.WaitQuiet}}, d.Now())
			if err != nil || !said[0].Go {
				t.Fatalf("%+v, %v", said, err)
			}
			m := outbox.Settlement{Delivery: x.ID, Turn: x.Turn, Batch: x.Batch, State: outbox.Sent, Charge: true, At: d.Now()}
			if _, _, err := d.Store.Exchange(ctx, seat.ID(), []outbox.Settlement{m}, nil, d.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func examineCalendars(t *testing.T, d *Desk) {
	ctx := t.Context()
	put := func(name, source string) {
		t.Helper()
		if err := d.Store.PutCalendars(ctx, []store.KeptCalendar{{Name: name, Source: source}}); err != nil {
			t.Fatal(err)
		}
	}
	put("shop", "one")
	put("shop", "two")
	put("bank", "three")
	list, err := d.Store.Calendars(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "bank" || list[1].Source != "two" || list[1].UpdatedAt.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	for _, there := range []bool{true, false} {
		if ok, err := d.Store.DropCalendar(ctx, "bank"); err != nil || ok != there {
			t.Errorf("dropped %v, %v", ok, err)
		}
	}
}
