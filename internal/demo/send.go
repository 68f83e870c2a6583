package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rapport"
	"rapport/contacts"
	"rapport/outbox"
)

// Send brings the customers in, sends the three campaigns and waits for their
// end.
func (d *Demo) Send(ctx context.Context) (Result, error) {
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "demo"})
	if err := d.people(ctx); err != nil {
		return Result{}, err
	}
	if err := d.write(ctx); err != nil {
		return Result{}, err
	}
	return d.send(ctx)
}

// people writes the sample file into the data folder and imports it.
func (d *Demo) people(ctx context.Context) error {
	crowd := NewCrowd(seed, d.opts.Now())
	path := filepath.Join(d.data, "customers.csv")
	if err := writeFile(path, func(w io.Writer) error { return crowd.WriteContacts(w, d.opts.Contacts) }); err != nil {
		return err
	}
	report, err := d.house.Contacts.Import(ctx, contacts.Source{
		Name: "customers.csv", Open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, contacts.ImportOptions{Types: attributes(), Progress: func(p contacts.Progress) {
		d.opts.Progress("Importing customers", p.Bytes, p.Size, fmt.Sprintf("%s customers", digits(p.Rows)))
	}})
	if err != nil {
		return fmt.Errorf("import the sample customers: %w", err)
	}
	if report.Errors > 0 {
		return fmt.Errorf("the importer refused %d of the sample customers, the first in line %d: %s", report.Errors, report.Listed[0].Line, report.Listed[0].Reason)
	}
	read, write := io.Pipe()
	go func() { _ = write.CloseWithError(crowd.WriteSuppressions(write, d.opts.Contacts)) }() // it ends when the reader does
	stops, err := d.house.Consent.ImportSuppressions(ctx, read)
	_ = read.Close() // lets the writer end in any case
	if err == nil && stops.Errors > 0 {
		err = fmt.Errorf("%d rows were refused, the first in line %d: %s", stops.Errors, stops.Listed[0].Line, stops.Listed[0].Reason)
	}
	if err != nil {
		return fmt.Errorf("import the sample suppressions: %w", err)
	}
	return nil
}

func writeFile(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return rapport.Unavailablef(err, "the sample file cannot be written: %v", err)
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return rapport.Unavailablef(err, "the sample file cannot be written: %v", err)
	}
	return nil
}

// write puts segments, templates and campaigns.
func (d *Demo) write(ctx context.Context) error {
	for _, s := range segments() {
		if _, err := d.house.Contacts.PutSegment(ctx, s.name, s.title, s.condition); err != nil {
			return fmt.Errorf("put the segment %s: %w", s.name, err)
		}
	}
	sources, err := letters(d.opts.Drivers, d.world.page.url+"/shop")
	if err != nil {
		return err
	}
	for _, src := range sources {
		if _, err := d.house.Templates.Put(ctx, src); err != nil {
			return fmt.Errorf("put the template %s: %w", src.Template.Name, err)
		}
	}
	for _, def := range definitions(d.opts.Now()) {
		def.Name = named(def.Name, d.round)
		if _, err := d.house.Campaigns.Put(ctx, def); err != nil {
			return fmt.Errorf("put the campaign %s: %w", def.Name, err)
		}
	}
	return nil
}

// send starts the campaigns, shows how they go and collects their accounts.
func (d *Demo) send(ctx context.Context) (Result, error) {
	var names []string
	for _, def := range definitions(d.opts.Now()) {
		names = append(names, named(def.Name, d.round))
	}
	// The report page shows the newest first, and the letters should stand on top.
	for _, name := range slices.Backward(names) {
		if _, err := d.house.Campaigns.Start(ctx, name); err != nil {
			return Result{}, fmt.Errorf("start the campaign %s: %w", name, err)
		}
	}
	accounts, err := d.watch(ctx, names)
	out := Result{Campaigns: accounts, Pages: d.pages}
	for i, j := range d.world.journals() {
		if i < len(accounts) {
			out.receipts = append(out.receipts, receiptOf(accounts[i].Channel, j))
		}
	}
	if err != nil {
		return out, err
	}
	for _, name := range names {
		r, err := d.house.Campaigns.Report(ctx, name, "")
		if err != nil {
			return out, fmt.Errorf("ask whom the letters of %s lead to: %w", name, err)
		}
		out.Tracking = append(out.Tracking, Tracked{name, r.Tracking})
	}
	return out, nil
}

// every is how often a running campaign is looked at.
const every = 150 * time.Millisecond

// patience is how long nothing may move before a demo gives up.
const patience = 2 * time.Minute

func (d *Demo) watch(ctx context.Context, names []string) ([]outbox.Account, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	moved, before := time.Now(), ""
	for {
		var accounts []outbox.Account
		open := 0
		for _, name := range names {
			a, err := d.house.Campaigns.Status(ctx, name, "")
			if err != nil {
				return accounts, fmt.Errorf("ask how %s goes: %w", name, err)
			}
			if !a.State.Over() {
				open++
			}
			accounts = append(accounts, a)
		}
		done, total, words := standing(accounts)
		d.opts.Progress("Sending three campaigns", done, total, words)
		if open == 0 {
			return accounts, nil
		}
		if now := fmt.Sprint(done, total, words); now != before {
			moved, before = time.Now(), now
		}
		if time.Since(moved) > patience {
			return accounts, rapport.Unavailablef(nil, "nothing has been sent for %s: %s", patience, words)
		}
		select {
		case <-ctx.Done():
			return accounts, ctx.Err()
		case err := <-d.died:
			return accounts, fmt.Errorf("the house went down: %w", err)
		case <-tick.C:
		}
	}
}

// standing sums up how far campaigns are.
func standing(accounts []outbox.Account) (done, total int64, words string) {
	count := map[outbox.State]int64{}
	for _, a := range accounts {
		total += a.Planned
		done += a.Planned - a.Open()
		for s, n := range a.States {
			count[s] += n
		}
	}
	words = digits(count[outbox.Sent]) + " sent"
	for _, s := range ended()[1:] {
		if count[s] > 0 {
			words += ", " + digits(count[s]) + " " + string(s)
		}
	}
	return done, total, words
}
