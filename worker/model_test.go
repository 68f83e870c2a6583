package worker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/outbox"
)

// model is a store over maps that uses the real outbox functions: it moves
// rows by the same rules and can be taken away.
type model struct {
	mu      sync.Mutex
	runs    map[int64]*modelRun
	batches map[int64]*modelBatch
	rows    map[int64]*modelRow
	holdsBy map[string]outbox.Hold
	seats   map[int64]bool // alive
	away    error          // every call fails with it
	reject  func(outbox.Settlement) bool
	broken  error                           // what the disk says
	slow    chan struct{}                   // the disk says nothing before it is closed
	fails   func([]outbox.Settlement) error // what a group comes to, before anything is done
	groups  []int                           // settlements of each exchange
	dues    int                             // times it was asked what is due
}

type modelRun struct {
	outbox.Run
	state outbox.RunState
}

type modelBatch struct {
	outbox.Batch
	armed time.Time
}

type modelRow struct {
	outbox.Delivery
	state     outbox.State
	reason    outbox.Reason
	notBefore time.Time
	worker    int64
	consent   string
	intents   int // times it was admitted
}

func newModel() *model {
	return &model{
		runs: map[int64]*modelRun{}, batches: map[int64]*modelBatch{}, rows: map[int64]*modelRow{},
		holdsBy: map[string]outbox.Hold{}, seats: map[int64]bool{},
	}
}

var errAway = rapport.Unavailablef(nil, "the database does not answer")

// plan makes a run with n deliveries in batches of size.
func (m *model) plan(run outbox.Run, lane outbox.Lane, n, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[run.ID] = &modelRun{Run: run, state: outbox.Running}
	var batch int64
	for i := range n {
		if i%size == 0 {
			batch = int64(len(m.batches) + 1)
			m.batches[batch] = &modelBatch{Batch: outbox.Batch{ID: batch, Run: run.ID, Channel: run.Channel, Lane: lane}}
		}
		id := int64(len(m.rows) + 1)
		m.rows[id] = &modelRow{
			Delivery: outbox.Delivery{ID: id, Run: run.ID, Batch: batch, Contact: int64(i + 1), Address: addressOf(int64(i + 1)), Person: &outbox.Person{}},
			state:    outbox.Queued, consent: "granted",
		}
	}
}

func (m *model) set(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
}

// account counts the rows of a run by state.
func (m *model) account(run int64) map[outbox.State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[outbox.State]int{}
	for _, r := range m.rows {
		if r.Run == run {
			out[r.state]++
		}
	}
	return out
}

func (m *model) Run(_ context.Context, id int64) (outbox.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return outbox.Run{}, m.away
	}
	r := m.runs[id]
	if r == nil {
		return outbox.Run{}, rapport.NotFoundf("there is no run %d", id)
	}
	return r.Run, nil
}

func (m *model) Claim(_ context.Context, batch, worker int64, n int, now time.Time) ([]outbox.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	var out []outbox.Delivery
	for _, r := range m.ordered() {
		if r.Batch == batch && r.state == outbox.Queued && !r.notBefore.After(now) && len(out) < n {
			r.state, r.reason, r.worker = outbox.Claimed, "", worker
			r.Turn++
			out = append(out, r.Delivery)
		}
	}
	return out, nil
}

func (m *model) ordered() []*modelRow {
	var all []*modelRow
	for _, r := range m.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *modelRow) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// disk is what the log says when it is to reach the disk.
func (m *model) disk() error {
	m.mu.Lock()
	slow, broken := m.slow, m.broken
	m.mu.Unlock()
	if slow != nil {
		<-slow
	}
	return broken
}

func (m *model) Exchange(_ context.Context, worker int64, settled []outbox.Settlement, wanted []outbox.Ticket, now time.Time) ([]outbox.Admission, func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, nil, m.away
	}
	if m.fails != nil {
		if err := m.fails(settled); err != nil {
			return nil, nil, err
		}
	}
	if m.reject != nil && slices.ContainsFunc(settled, m.reject) {
		return nil, nil, errors.New("a constraint is violated")
	}
	m.groups = append(m.groups, len(settled))
	for _, s := range settled {
		m.settle(s)
	}
	out := make([]outbox.Admission, len(wanted))
	for i, w := range wanted {
		out[i] = m.admit(w, worker, now)
	}
	return out, m.disk, nil
}

func (m *model) settle(s outbox.Settlement) {
	r := m.rows[s.Delivery]
	if r == nil || r.Turn != s.Turn || !outbox.Legal(r.state, s.State) {
		return
	}
	r.state, r.reason, r.notBefore = s.State, s.Reason, s.NotBefore
	if s.Charge {
		r.Attempt++
	}
	if s.Hold != nil {
		m.holdsBy[s.Hold.Channel] = *s.Hold
	}
}

func (m *model) admit(w outbox.Ticket, worker int64, now time.Time) outbox.Admission {
	a := outbox.Admission{Ticket: w}
	r := m.rows[w.Delivery]
	if r == nil || r.Turn != w.Turn || r.state != outbox.Claimed || r.worker != worker {
		return a
	}
	run := m.runs[r.Run]
	_, held := m.holds(run.Channel, now)
	a.State, a.Reason = outbox.Admit(outbox.Facts{
		Run: run.state, ExpiresAt: r.ExpiresAt, Address: r.Address, HasContact: r.Person != nil, HasAddress: true,
		Consent: r.consent, ConsentAddress: r.Address, Held: held,
	}, now)
	a.Go = a.State == outbox.Sending
	r.state, r.reason = a.State, a.Reason
	if a.Go {
		r.intents++
	}
	return a
}

func (m *model) holds(channel string, now time.Time) (outbox.Hold, bool) {
	h, ok := m.holdsBy[channel]
	return h, ok && (h.Until.IsZero() || now.Before(h.Until))
}

func (m *model) Rest(_ context.Context, batch int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return m.away
	}
	if b := m.batches[batch]; b != nil {
		b.armed = time.Time{}
	}
	return nil
}

func (m *model) Due(_ context.Context, lane outbox.Lane, now time.Time, limit int) ([]outbox.Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	m.dues++
	due := map[int64]bool{}
	for _, r := range m.rows {
		if r.state == outbox.Queued && !r.notBefore.After(now) {
			due[r.Batch] = true
		}
	}
	var out []outbox.Batch
	for id := int64(1); id <= int64(len(m.batches)); id++ {
		b := m.batches[id]
		_, held := m.holds(b.Channel, now)
		s := m.runs[b.Run].state
		if due[id] && b.Lane == lane && !b.armed.After(now) && !held && (s == outbox.Running || s == outbox.Planning) && len(out) < limit {
			out = append(out, b.Batch)
		}
	}
	return out, nil
}

func (m *model) Arm(_ context.Context, b outbox.Batch, now, until time.Time) (outbox.Batch, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return b, false, m.away
	}
	own := m.batches[b.ID]
	if own.Round != b.Round || own.armed.After(now) {
		return b, false, nil
	}
	own.Round++
	own.armed = until
	return own.Batch, true, nil
}

func (m *model) Fold(_ context.Context, now time.Time) (n int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		if r.state != outbox.Queued {
			continue
		}
		if m.runs[r.Run].state == outbox.Cancelling {
			r.state, r.reason = outbox.Cancelled, outbox.ByPerson
			n++
		} else if !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt) {
			r.state, r.reason = outbox.Expired, outbox.TimeOver
			n++
		}
	}
	return n, m.away
}

func (m *model) Finish(_ context.Context, _ time.Time) ([]outbox.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	var out []outbox.Account
	for id, run := range m.runs {
		if run.state != outbox.Running && run.state != outbox.Cancelling {
			continue
		}
		a := outbox.Account{Campaign: run.Name, States: map[outbox.State]int64{}}
		for _, r := range m.rows {
			if r.Run == id {
				a.Planned++
				a.States[r.state]++
			}
		}
		if a.Open() == 0 {
			run.state = outbox.Finished
			a.State = run.state
			out = append(out, a)
		}
	}
	return out, nil
}

func (m *model) Sit(_ context.Context, _ string, _ time.Time) (outbox.Seat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	id := int64(len(m.seats) + 1)
	m.seats[id] = true
	for _, b := range m.batches {
		b.armed = time.Time{}
	}
	return &modelSeat{m, id}, nil
}

func (m *model) Reclaim(_ context.Context, policy func(channels.Class, string) outbox.Policy, now time.Time) (outbox.Reclaimed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sum outbox.Reclaimed
	if m.away != nil {
		return sum, m.away
	}
	for _, r := range m.rows {
		if (r.state != outbox.Claimed && r.state != outbox.Sending) || m.seats[r.worker] {
			continue
		}
		run := m.runs[r.Run]
		state, reason := policy(run.Class, run.Channel).Orphan(r.state, r.Attempt)
		if r.state == outbox.Claimed {
			r.Crashes = max(r.Crashes, 1)
		}
		switch {
		case state == outbox.Uncertain:
			sum.Uncertain++
		case r.state == outbox.Claimed:
			sum.Freed++
		default:
			sum.Repeated++
		}
		r.state, r.reason, r.notBefore = state, reason, now
	}
	for _, b := range m.batches {
		if sum != (outbox.Reclaimed{}) {
			b.armed = time.Time{}
		}
	}
	return sum, nil
}

func (m *model) Suspect(_ context.Context, delivery, turn int64, crashes int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.rows[delivery]; r != nil && r.Turn == turn && r.state == outbox.Claimed && m.away == nil {
		r.Crashes = crashes
	}
	return m.away
}

type modelSeat struct {
	m  *model
	id int64
}

func (s *modelSeat) ID() int64 { return s.id }

func (s *modelSeat) Beat(context.Context, time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.m.seats[s.id] {
		return errors.New("the seat is gone")
	}
	return s.m.away
}

func (s *modelSeat) Leave(context.Context, time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.seats[s.id] = false
	return nil
}

func (m *model) Hold(_ context.Context, h outbox.Hold) error {
	m.set(func() { m.holdsBy[h.Channel] = h })
	return nil
}

func (m *model) Lift(_ context.Context, channel string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, held := m.holdsBy[channel]
	delete(m.holdsBy, channel)
	return held, nil
}

func (m *model) Holds(_ context.Context, now time.Time) ([]outbox.Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []outbox.Hold
	for c := range m.holdsBy {
		if h, ok := m.holds(c, now); ok {
			out = append(out, h)
		}
	}
	return out, m.away
}
