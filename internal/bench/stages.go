package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/contacts"
	"rapport/outbox"
)

// importing brings the people in from a file, as contacts import does.
func (b *Bench) importing(ctx context.Context) ([]Row, error) {
	path := filepath.Join(b.dir, "people.csv")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, rapport.Unavailablef(err, "the people cannot be written down: %v", err)
	}
	if err := errors.Join(b.people.write(f), f.Close()); err != nil {
		return nil, err
	}
	began, busy := time.Now(), used()
	report, err := b.house.Contacts.Import(ctx, contacts.Source{
		Name: "people.csv", Open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, contacts.ImportOptions{Types: attributes()})
	if err != nil {
		return nil, err
	}
	if report.Errors > 0 {
		return nil, fmt.Errorf("%d rows were refused, the first in line %d: %s", report.Errors, report.Listed[0].Line, report.Listed[0].Reason)
	}
	took := time.Since(began)
	return []Row{{Name: "Import", Times: b.people.n, Took: took, CPU: used() - busy, Peak: most()}}, nil
}

// counting counts a segment of three conditions.
func (b *Bench) counting(ctx context.Context) ([]Row, error) {
	if _, err := b.house.Contacts.PutSegment(ctx, "regulars", "", condition); err != nil {
		return nil, fmt.Errorf("put the segment: %w", err)
	}
	const times = 3
	var rows []Row
	for range times {
		began, busy := time.Now(), used()
		if _, err := b.house.Contacts.Count(ctx, "regulars"); err != nil {
			return nil, err
		}
		rows = append(rows, Row{Name: "Count", Times: 1, Took: time.Since(began), CPU: used() - busy})
	}
	slices.SortFunc(rows, func(a, b Row) int { return int(a.Took - b.Took) })
	return rows[times/2 : times/2+1], nil
}

// singles is how many messages to one person are timed.
const singles = 100

// idle times messages to one person in a process that has nothing else to do.
func (b *Bench) idle(ctx context.Context) ([]Row, error) { return b.single(ctx, "Single") }

// busy times them while the campaign that planning left is being sent.
func (b *Bench) busy(ctx context.Context) ([]Row, error) { return b.single(ctx, "SingleBusy") }

// single times what a message to one person takes from the request to the
// receiver's answer, in a process that sends meanwhile whatever is due.
func (b *Bench) single(ctx context.Context, name string) ([]Row, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	up, down := make(chan struct{}), make(chan error, 1)
	go func() { down <- b.serve(ctx, func() { close(up) }) }()
	select {
	case <-up:
	case err := <-down:
		return nil, errors.Join(errors.New("the house went down before it was up"), err)
	}
	row, err := b.singles(ctx)
	row.Name = name
	stop()
	if e := <-down; err == nil {
		err = e
	}
	return []Row{row}, err
}

func (b *Bench) singles(ctx context.Context) (Row, error) {
	r := rand.New(rand.NewPCG(seed, singles)) //nolint:gosec // only spreads
	times := make([]time.Duration, 0, singles)
	for i := range singles + 3 { // the first ones dial
		if err := rest(ctx, time.Duration(20+r.IntN(80))*time.Millisecond); err != nil {
			return Row{}, err
		}
		took, err := b.one(ctx, i)
		if err != nil {
			return Row{}, err
		}
		if i >= 3 {
			times = append(times, took)
		}
	}
	slices.Sort(times)
	return Row{Times: 1, Took: times[len(times)/2], Late: times[len(times)*99/100]}, nil
}

// one sends one message and waits until the receiver has taken it.
func (b *Bench) one(ctx context.Context, i int) (time.Duration, error) {
	began := time.Now()
	m, err := b.house.Campaigns.Send(ctx, campaigns.Single{
		Template: "bench", Channel: channel, Topic: service, Contact: address(i % b.people.n), Source: "bench", Data: items(),
	})
	if err != nil {
		return 0, fmt.Errorf("send one message: %w", err)
	}
	run, contact, err := rapport.ParseDeliveryID(m.Delivery)
	if err != nil {
		return 0, err
	}
	for time.Since(began) < patience {
		d, err := b.house.Store.DeliveryOf(ctx, run, contact)
		if err != nil {
			return 0, err
		}
		if d.State == outbox.Sent {
			return d.UpdatedAt.Sub(began), nil
		}
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, rapport.Unavailablef(nil, "a message to one person was not sent within %s", patience)
}

// patience is how long nothing may move.
const patience = time.Minute

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
