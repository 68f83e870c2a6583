package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/internal/app"
	"rapport/outbox"
)

// serve lets the house of this process serve until ctx is done.
func (b *Bench) serve(ctx context.Context, ready func()) error {
	if b.o.Database != "" {
		return b.house.Work(ctx, func(app.Addresses) { ready() })
	}
	return b.house.Serve(ctx, func(app.Addresses) { ready() })
}

// campaign puts a campaign and lets it go; where is a condition, empty for
// everybody.
func (b *Bench) campaign(ctx context.Context, name, channel, where string) error {
	_, err := b.house.Campaigns.Put(ctx, campaigns.Definition{
		Name: name, Topic: topic, Channel: channel, Template: "bench", Schedule: campaigns.Schedule{Now: true}, Data: items(),
		Audience: campaigns.Audience{Where: where},
	})
	if err == nil {
		_, err = b.house.Campaigns.Start(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("start the campaign: %w", err)
	}
	return nil
}

// sending sends a campaign to everybody, planning included.
func (b *Bench) sending(ctx context.Context) ([]Row, error) {
	return b.send(ctx, "Send", channel, "")
}

// farPeople is about how many get a letter over the long way.
const farPeople = 10_000

// faraway sends to some thousand people over 20 ms round trips.
func (b *Bench) faraway(ctx context.Context) ([]Row, error) {
	where := ""
	if b.people.n > farPeople {
		where = fmt.Sprintf("contact.points < %d", max(1, mostPoints*farPeople/b.people.n))
	}
	return b.send(ctx, "RoundTrips", farChannel, where)
}

// send sends a campaign by processes of their own, and compares the account
// with what the receiver counted.
func (b *Bench) send(ctx context.Context, name, channel, where string) (rows []Row, err error) {
	if _, err := b.receive.count(); err != nil { // what came before
		return nil, err
	}
	fleet, err := b.fleet(ctx)
	defer func() { err = errors.Join(err, stopAll(fleet)) }()
	if err != nil {
		return nil, err
	}
	before, err := allocated(ctx, fleet)
	if err != nil {
		return nil, err
	}
	campaign := "bench-" + strings.ToLower(name)
	if err := b.campaign(ctx, campaign, channel, where); err != nil {
		return nil, err
	}
	a, err := b.finished(ctx, campaign)
	if err != nil {
		return nil, err
	}
	after, err := allocated(ctx, fleet)
	if err != nil {
		return nil, err
	}
	if err := b.agree(a, where == ""); err != nil {
		return nil, err
	}
	row := Row{Name: name, Times: int(a.Planned), Took: a.FinishedAt.Sub(a.StartedAt), Allocs: after - before}
	err = stopAll(fleet)
	for _, p := range fleet {
		row.CPU += CPU(p.cmd) - p.busy
		row.Peak = max(row.Peak, Peak(p.cmd))
	}
	fleet = nil
	return []Row{row}, err
}

// allocated is how many objects the processes have allocated together.
func allocated(ctx context.Context, fleet []*process) (sum float64, err error) {
	for _, p := range fleet {
		n, err := p.mallocs(ctx)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (b *Bench) fleet(ctx context.Context) ([]*process, error) {
	var out []*process
	for i := range b.o.Workers {
		p, err := b.start(ctx, i)
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, nil
}

func stopAll(fleet []*process) error {
	var errs []error
	for _, p := range fleet {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// finished waits for the end of a campaign.
func (b *Bench) finished(ctx context.Context, name string) (outbox.Account, error) {
	moved, before := time.Now(), ""
	for {
		a, err := b.house.Campaigns.Status(ctx, name, "")
		if err != nil {
			return a, fmt.Errorf("ask how the campaign goes: %w", err)
		}
		if a.State == outbox.Finished && a.FinishedAt != nil {
			return a, nil
		}
		if now := fmt.Sprint(a.State, a.Planned, a.States); now != before {
			moved, before = time.Now(), now
		}
		if time.Since(moved) > patience {
			return a, rapport.Unavailablef(nil, "nothing was sent for %s; the account is %s", patience, before)
		}
		if err := rest(ctx, 200*time.Millisecond); err != nil {
			return a, err
		}
	}
}

// agree compares an account with what the receiver counted.
func (b *Bench) agree(a outbox.Account, everybody bool) error {
	t, err := b.receive.count()
	if err != nil {
		return err
	}
	n := a.Planned
	if n < 1 || everybody && n != int64(b.people.n) || a.States[outbox.Sent] != n || int64(t.Messages) != n || int64(t.People) != n {
		return fmt.Errorf("of %d people %d were planned and %d sent, but the receiver took %d messages for %d people", b.people.n, n, a.States[outbox.Sent], t.Messages, t.People)
	}
	return nil
}

// planning plans a second campaign while nobody sends.
func (b *Bench) planning(ctx context.Context) ([]Row, error) {
	began, busy := time.Now(), used()
	if err := b.campaign(ctx, "bench-plan", channel, ""); err != nil {
		return nil, err
	}
	for more := true; more; {
		var err error
		if more, err = b.house.Campaigns.Work(ctx); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
	}
	row := Row{Name: "Plan", Times: b.people.n, Took: time.Since(began), CPU: used() - busy, Peak: most()}
	a, err := b.house.Campaigns.Status(ctx, "bench-plan", "")
	if err == nil && a.Planned != int64(b.people.n) {
		err = fmt.Errorf("%d of %d people were planned", a.Planned, b.people.n)
	}
	return []Row{row}, err
}

// starting starts a process on the rows that planning left, waits for its
// first message and kills it.
func (b *Bench) starting(ctx context.Context) ([]Row, error) {
	if _, err := b.receive.count(); err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := b.start(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	for time.Since(began) < patience {
		t, err := b.receive.count()
		if err != nil {
			return nil, err
		}
		if t.Messages > 0 {
			return []Row{
				{Name: "Start", Times: 1, Took: p.up, CPU: p.busy},
				{Name: "StartToFirst", Times: 1, Took: time.Since(began)},
			}, nil
		}
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, rapport.Unavailablef(nil, "a new process sent nothing within %s", patience)
}
