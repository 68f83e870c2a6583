package bench

import (
	"context"
	"errors"
	"fmt"
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

// campaign puts a campaign for everybody and lets it go.
func (b *Bench) campaign(ctx context.Context, name string) error {
	_, err := b.house.Campaigns.Put(ctx, campaigns.Definition{
		Name: name, Topic: topic, Channel: channel, Template: "bench", Schedule: campaigns.Schedule{Now: true}, Data: items(),
	})
	if err == nil {
		_, err = b.house.Campaigns.Start(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("start the campaign: %w", err)
	}
	return nil
}

// sending sends a campaign to everybody, planning included, by processes of
// their own, and compares the account with what the receiver counted.
func (b *Bench) sending(ctx context.Context) (rows []Row, err error) {
	if _, err := b.receive.count(); err != nil { // what came before
		return nil, err
	}
	fleet, err := b.fleet(ctx)
	defer func() { err = errors.Join(err, stopAll(fleet)) }()
	if err != nil {
		return nil, err
	}
	var allocated float64
	for _, p := range fleet {
		n, err := p.mallocs(ctx)
		if err != nil {
			return nil, err
		}
		allocated -= n
	}
	if err := b.campaign(ctx, "bench"); err != nil {
		return nil, err
	}
	a, err := b.finished(ctx, "bench")
	if err != nil {
		return nil, err
	}
	for _, p := range fleet {
		n, err := p.mallocs(ctx)
		if err != nil {
			return nil, err
		}
		allocated += n
	}
	if err := b.agree(a); err != nil {
		return nil, err
	}
	row := Row{Name: "Send", Times: b.people.n, Took: a.FinishedAt.Sub(a.StartedAt), Allocs: allocated}
	err = stopAll(fleet)
	for _, p := range fleet {
		row.CPU += CPU(p.cmd) - p.busy
		row.Peak = max(row.Peak, Peak(p.cmd))
	}
	fleet = nil
	return []Row{row}, err
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
func (b *Bench) agree(a outbox.Account) error {
	t, err := b.receive.count()
	if err != nil {
		return err
	}
	n := int64(b.people.n)
	if a.Planned != n || a.States[outbox.Sent] != n || int64(t.Messages) != n || int64(t.People) != n {
		return fmt.Errorf("%d people, %d planned, %d sent, but the receiver took %d messages for %d people", n, a.Planned, a.States[outbox.Sent], t.Messages, t.People)
	}
	return nil
}

// planning plans a second campaign while nobody sends.
func (b *Bench) planning(ctx context.Context) ([]Row, error) {
	began, busy := time.Now(), used()
	if err := b.campaign(ctx, "bench-2"); err != nil {
		return nil, err
	}
	for more := true; more; {
		var err error
		if more, err = b.house.Campaigns.Work(ctx); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
	}
	row := Row{Name: "Plan", Times: b.people.n, Took: time.Since(began), CPU: used() - busy, Peak: most()}
	a, err := b.house.Campaigns.Status(ctx, "bench-2", "")
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
