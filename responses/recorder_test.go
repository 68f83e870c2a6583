package responses

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rapport"
)

// memory is a store of this test: it keeps what it is given, and can be away.
type memory struct {
	mu     sync.Mutex
	rows   map[string]Event
	bursts []Burst
	sizes  []int
	away   error
	poison int64 // a contact whose events are refused
}

func (m *memory) AddResponses(_ context.Context, events []Event, bursts []Burst) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return 0, m.away
	}
	for _, e := range events {
		if e.Contact == m.poison && m.poison != 0 {
			return 0, errors.New("a constraint")
		}
	}
	if m.rows == nil {
		m.rows = map[string]Event{}
	}
	m.sizes = append(m.sizes, len(events))
	m.bursts = append(m.bursts, bursts...)
	n := 0
	for _, e := range events {
		if _, there := m.rows[e.Key()]; !there {
			m.rows[e.Key()] = e
			n++
		}
	}
	return n, nil
}

func (m *memory) set(err error) { m.mu.Lock(); m.away = err; m.mu.Unlock() }

func (m *memory) state() (rows, inserts int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows), len(m.sizes)
}

func (*memory) ResponseSummary(context.Context, int64) (Summary, error)  { return Summary{}, nil }
func (*memory) ResponsesOf(context.Context, int64, int) ([]Event, error) { return nil, nil }
func (*memory) RunLinks(context.Context, int64) ([]string, error)        { return nil, nil }
func opened(contact int64) Event {
	return Event{Kind: Opened, Run: 1, Contact: contact, At: time.Now()}
}

func clicked(link int) Event {
	return Event{Kind: Clicked, Run: 1, Contact: 1, Link: link, At: time.Now()}
}

func started(t *testing.T, m *memory) *Recorder {
	t.Helper()
	r := NewRecorder(m, slog.New(slog.DiscardHandler))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func record(t *testing.T, r *Recorder, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := r.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func stop(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func TestEventsWaitForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		r := started(t, m)
		record(t, r, opened(1), opened(2), opened(3))
		time.Sleep(batchTime - time.Millisecond)
		synctest.Wait()
		if rows, _ := m.state(); rows != 0 {
			t.Errorf("%d rows before the time", rows)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if rows, inserts := m.state(); rows != 3 || inserts != 1 {
			t.Errorf("%d rows in %d inserts", rows, inserts)
		}
		for i := range int64(batchSize) {
			record(t, r, opened(100+i))
		}
		synctest.Wait()
		if rows, inserts := m.state(); rows != 3+batchSize || inserts != 2 {
			t.Errorf("a full batch waited: %d rows in %d inserts", rows, inserts)
		}
		record(t, r, opened(9999))
		stop(t, r)
		if rows, _ := m.state(); rows != 4+batchSize {
			t.Errorf("stopping lost events: %d rows", rows)
		}
		if err := r.Record(t.Context(), opened(1)); !errors.Is(err, ErrFull) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

func TestRepeatedHitsDoNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		r := started(t, m)
		for range 10 {
			for range 10_000 {
				record(t, r, opened(1))
			}
			time.Sleep(time.Second)
		}
		stop(t, r)
		if rows, _ := m.state(); rows != 1 {
			t.Errorf("100,000 hits on one pixel made %d rows", rows)
		}
		if s := r.Stats(); s.Recorded != 1 || s.Repeated != 99_999 {
			t.Errorf("%+v", s)
		}
	})
}

func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.set(rapport.Unavailablef(nil, "away"))
		r := started(t, m)
		kept := 0
		var err error
		for i := range int64(3 * capacity) {
			if err = r.Record(t.Context(), opened(i+1)); err != nil {
				break
			}
			kept++
		}
		if !errors.Is(err, ErrFull) || kept != capacity+batchSize {
			t.Fatalf("kept %d, then %v", kept, err)
		}
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		before := time.Now()
		if err := r.Record(short, opened(1<<40)); !errors.Is(err, ErrFull) || time.Since(before) > 20*time.Millisecond {
			t.Errorf("waited %s: %v", time.Since(before), err)
		}
		m.set(nil)
		time.Sleep(2 * pauseMax)
		record(t, r, opened(1<<41))
		stop(t, r)
		if rows, _ := m.state(); rows != kept+1 {
			t.Errorf("%d of %d events arrived", rows, kept+1)
		}
		if s := r.Stats(); s.Refused != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestStopWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.set(rapport.Unavailablef(nil, "away"))
		r := started(t, m)
		record(t, r, opened(1))
		time.Sleep(time.Second)
		if err := r.Stop(context.WithoutCancel(t.Context())); !errors.Is(err, ErrFull) {
			t.Errorf("stop: %v", err)
		}
	})
}

func TestOnePoisonedEventDoesNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{poison: 2}
		r := started(t, m)
		record(t, r, opened(1), opened(2), opened(3))
		time.Sleep(time.Second)
		record(t, r, opened(4))
		stop(t, r)
		if rows, _ := m.state(); rows != 3 {
			t.Errorf("%d rows", rows)
		}
		if s := r.Stats(); s.Refused != 1 || s.Recorded != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBurstIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		r := started(t, m)
		from := time.Now()
		record(t, r, clicked(0))
		time.Sleep(batchTime + time.Millisecond) // written as a person's
		record(t, r, opened(1), clicked(1), clicked(2), clicked(3), opened(2))
		stop(t, r)
		humans := 0
		for _, e := range m.rows {
			if !e.Machine {
				humans++
			}
		}
		if len(m.rows) != 6 || humans != 2 { // the written one and the other person's open
			t.Errorf("%d rows, %d human: %+v", len(m.rows), humans, m.rows)
		}
		if len(m.bursts) != 1 || !m.bursts[0].From.Equal(from) || m.bursts[0].Contact != 1 {
			t.Errorf("bursts %+v", m.bursts)
		}
	})
}

func TestLeave(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w := Withdrawal{Subject: Subject{Run: 1, Contact: 2, Driver: "pigeon", Topic: "news"}, Source: "one-click"}
	for _, c := range []struct {
		name    string
		err     error
		fails   bool
		counted int
	}{
		{"withdrawn", nil, false, 1},
		{"erased", rapport.NotFoundf("there is no contact number 2"), false, 0},
		{"database away", rapport.Unavailablef(nil, "away"), true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []Withdrawal
			sink := &sink{}
			u := NewUnsubscriber(func(_ context.Context, w Withdrawal) error { got = append(got, w); return c.err },
				sink, func() time.Time { return noon }, slog.New(slog.DiscardHandler))
			if err := u.Leave(t.Context(), w); (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			if len(got) != 1 || got[0] != w || len(sink.events) != c.counted {
				t.Errorf("withdrawn %+v, counted %+v", got, sink.events)
			}
			sink.err = ErrFull
			if err := u.Leave(t.Context(), w); (err != nil) != c.fails {
				t.Errorf("uncounted: %v", err)
			}
		})
	}
}

type sink struct {
	events []Event
	err    error
}

func (s *sink) Record(_ context.Context, e Event) error {
	if s.err == nil {
		s.events = append(s.events, e)
	}
	return s.err
}
