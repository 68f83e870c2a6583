package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/internal/app"
	"rapport/outbox"
)

func newCampaignsCheck(c *cli) *cobra.Command {
	var full bool
	cmd := command("check NAME", "say what would happen if the campaign started now: how many, who not and why, what is doubtful", "rapport campaigns check autumn-offers",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			r, err := h.Campaigns.Check(ctx, args[0])
			if err != nil {
				return err
			}
			parts, err := c.partsOf(ctx, h, args[0])
			if err != nil {
				return err
			}
			for _, sample := range r.Samples {
				if err := notedSample(ctx, h, args[0], sample.Contact); err != nil {
					return err
				}
			}
			if err := c.show(r, func(w io.Writer) { c.printChecked(w, r, parts, full) }); err != nil || r.Err() == nil {
				return err
			}
			return saidError{rapport.Invalid}
		}))
	cmd.Flags().BoolVar(&full, "full", false, "print the messages of the sample people")
	return cmd
}

// notedSample adds to the audit log that somebody's message was looked at.
func notedSample(ctx context.Context, h *app.House, campaign, contact string) error {
	x, err := h.Contacts.Get(ctx, contact)
	if err != nil {
		return err
	}
	return h.Access.Note(ctx, access.Act{Action: "campaigns.check", Object: campaign, Contact: x.ID})
}

// partsOf lists what the messages of a campaign are made of; nothing while its
// channel is not known, which check complains about.
func (c *cli) partsOf(ctx context.Context, h *app.House, name string) ([]channels.Part, error) {
	x, err := h.Campaigns.Show(ctx, name)
	if err != nil {
		return nil, err
	}
	conf, ok := h.Config.Find(x.Definition.Channel)
	if !ok {
		return nil, nil
	}
	d, err := c.drivers.Driver(conf.Driver)
	return d.Parts, err
}

// headLetters is how much of a message one line shows.
const headLetters = 70

// headline is the first line of a message: its subject, if it has one.
func headline(parts []channels.Part, content map[string]string) string {
	for _, p := range parts {
		line, _, _ := strings.Cut(strings.TrimSpace(content[p.Name]), "\n")
		if line == "" {
			continue
		}
		if letters := []rune(line); len(letters) > headLetters {
			line = string(letters[:headLetters-1]) + "…"
		}
		return clean(line, false)
	}
	return "nothing to show"
}

func (c *cli) printChecked(w io.Writer, r campaigns.Checked, parts []channels.Part, full bool) {
	_, _ = fmt.Fprintf(w, "%s: %s meant, %s would be planned%s\n", r.Campaign, count(r.Audience, "person", "people"), count(r.Planned, "message", "messages"),
		reasons("; not planned", r.Skipped))
	if r.Late > 0 {
		_, _ = fmt.Fprintf(w, "local time over at the start: %d\n", r.Late)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
		_, _ = fmt.Fprintf(w, "without contact.%s: %d\n", clean(name, false), r.Missing[name])
	}
	switch {
	case r.EndsAt != nil:
		_, _ = fmt.Fprintf(w, "begins %s, over about %s (%.1f a second)\n", c.maybe(r.StartsAt), c.at(*r.EndsAt), r.Rate)
	case r.StartsAt != nil:
		_, _ = fmt.Fprintf(w, "begins %s; how long it takes nobody can tell yet\n", c.at(*r.StartsAt))
	}
	for _, e := range r.Errors {
		_, _ = fmt.Fprintln(w, "error:", clean(e, true))
	}
	for _, e := range r.Warnings {
		_, _ = fmt.Fprintln(w, "warning:", clean(e, true))
	}
	for _, s := range r.Samples {
		what := "error: " + clean(s.Error, false)
		if s.Error == "" {
			what = s.Locale + ": " + headline(parts, s.Content)
		}
		_, _ = fmt.Fprintf(w, "sample: %s, %s, %s\n", s.Contact, clean(dash(s.Address), false), what)
		for _, part := range slices.Sorted(maps.Keys(s.Content)) {
			if full {
				_, _ = fmt.Fprintf(w, "  -- %s --\n%s\n", part, clean(s.Content[part], true))
			}
		}
	}
	if len(r.Errors) == 0 {
		c.hint("It can start: rapport campaigns start %s", r.Campaign)
	}
}

// reasons writes counts by reason, largest first: "; not planned: no_consent 120".
func reasons(title string, by map[outbox.Reason]int64) string {
	var words []string
	for _, r := range slices.SortedFunc(maps.Keys(by), func(a, b outbox.Reason) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b))
	}) {
		if by[r] > 0 {
			words = append(words, fmt.Sprintf("%s %d", r, by[r]))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return title + ": " + strings.Join(words, ", ")
}

func newCampaignsStatus(c *cli) *cobra.Command {
	var run string
	var watch bool
	cmd := command("status NAME", "print the account of a run: the newest, or another", "rapport campaigns status autumn-offers --watch\nrapport campaigns status autumn-offers --json",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if watch {
				return c.follow(ctx, h, args[0], run, false)
			}
			a, err := h.Campaigns.Status(ctx, args[0], run)
			if err != nil {
				return err
			}
			if err := heldBack(ctx, h); err != nil && !a.State.Over() {
				a.Note = "nothing is sent: " + err.Error()
			}
			slow, err := h.Store.Slows(ctx)
			if err != nil {
				return fmt.Errorf("read which receiving domains are slowed: %w", err)
			}
			x := status{Account: a, Slow: slowedFor(a, slow)}
			return c.show(x, func(w io.Writer) {
				c.printAccount(w, a)
				printSlow(w, x.Slow)
			})
		}))
	cmd.Flags().StringVar(&run, "run", "", "`ID` of a run (default: the newest)")
	cmd.Flags().BoolVar(&watch, "watch", false, "stay until it is over")
	return cmd
}

// status is the account of a run and what it may be waiting for.
type status struct {
	outbox.Account
	Slow []slowed `json:"slow_domains"`
}

// slowed is a receiving domain that asked for less.
type slowed struct {
	outbox.Slow
	PerMinute float64 `json:"per_minute"`
}

// slowedFor lists the receiving domains that an open run may be waiting for.
func slowedFor(a outbox.Account, all []outbox.Slow) []slowed {
	list := []slowed{}
	for _, s := range all {
		if s.Channel == a.Channel && !a.State.Over() {
			list = append(list, slowed{s, s.PerMinute()})
		}
	}
	return list
}

func printSlow(w io.Writer, list []slowed) {
	for _, s := range list {
		_, _ = fmt.Fprintf(w, "%s is slowed down to %.3g a minute (%s)\n", clean(s.Domain, false), s.PerMinute, s.Reason)
	}
}

func (c *cli) printAccount(w io.Writer, a outbox.Account) {
	_, _ = fmt.Fprintf(w, "%s over %s, run %s: %s. Began %s, over %s.\n", a.Campaign, a.Channel, a.Run, a.State, c.at(a.StartedAt), c.maybe(a.FinishedAt))
	if a.Note != "" {
		_, _ = fmt.Fprintln(w, "note:", clean(a.Note, false))
	}
	t := newTable("PLANNED")
	cells := []string{number(a.Planned)}
	for _, s := range outbox.States() {
		t.rows[0] = append(t.rows[0], strings.ToUpper(string(s)))
		cells = append(cells, number(a.States[s]))
	}
	t.row(cells...)
	t.write(w)
	for _, s := range outbox.States() {
		if text := reasons(string(s), a.Reasons[s]); text != "" {
			_, _ = fmt.Fprintln(w, text)
		}
	}
	for _, text := range []string{reasons("waiting", a.Waiting), reasons("not planned", a.NotPlanned), reasons("shadow mode would have held", a.Shadow)} {
		if text != "" {
			_, _ = fmt.Fprintln(w, text)
		}
	}
	if a.Rate > 0 {
		left := ""
		if a.Left != nil && !a.State.Over() {
			left = ", about " + (time.Duration(*a.Left) * time.Second).String() + " left"
		}
		_, _ = fmt.Fprintf(w, "%.1f a second%s\n", a.Rate, left)
	}
	if !a.Balanced() {
		_, _ = fmt.Fprintln(w, "THIS ACCOUNT DOES NOT ADD UP: run rapport doctor")
	}
}

// follow shows progress until a run is over and then prints its account. With
// here, this process sends if nobody else does.
func (c *cli) follow(ctx context.Context, h *app.House, name, run string, here bool) error {
	a, err := c.watch(ctx, h, name, run, here)
	if err != nil {
		return err
	}
	return c.show(a, func(w io.Writer) { c.printAccount(w, a) })
}

// lookEvery is how often a run is looked at while somebody watches.
const lookEvery = 500 * time.Millisecond

// watch waits until a run is over and returns its account. A paused run is
// waited for as well: somebody may resume it.
func (c *cli) watch(ctx context.Context, h *app.House, name, run string, here bool) (outbox.Account, error) {
	m := c.meter("sending")
	defer m.end()
	var a outbox.Account
	look := func(ctx context.Context) (over bool, err error) {
		a, err = h.Campaigns.Status(ctx, name, run)
		switch {
		case rapport.KindOf(err) == rapport.NotFound && run == "" && c.awaited(ctx, h, name):
			m.set(0, 0, "waits for its time")
			return false, nil
		case err != nil:
			return false, err
		}
		m.set(a.Planned-a.Open(), a.Planned, inWords(a))
		return a.State.Over() && a.Open() == 0, nil
	}
	if here {
		err := h.Follow(ctx, look)
		return a, err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if over, err := look(ctx); over || err != nil {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-tick.C:
		}
	}
}

// awaited says whether a campaign will have a run.
func (c *cli) awaited(ctx context.Context, h *app.House, name string) bool {
	x, err := h.Campaigns.Show(ctx, name)
	return err == nil && x.NextAt != nil
}

// inWords is an account in a line.
func inWords(a outbox.Account) string {
	words := []string{string(a.State), fmt.Sprintf("%d of %d", a.Planned-a.Open(), a.Planned)}
	for _, s := range outbox.States() {
		if n := a.States[s]; n > 0 && !s.Open() {
			words = append(words, fmt.Sprintf("%s %d", s, n))
		}
	}
	return strings.Join(words, ", ")
}

func newCampaignsReport(c *cli) *cobra.Command {
	var run, table, out string
	cmd := command("report NAME", "print what came of a run: account, opens, clicks and the rest; or write it per person or link as CSV",
		"rapport campaigns report autumn-offers\nrapport campaigns report autumn-offers --csv people --out people.csv",
		c.inside(func(ctx context.Context, h *app.House, args []string) (err error) {
			write := map[string]func(context.Context, io.Writer, string, string) (int, error){
				"people": h.Campaigns.WritePeople, "links": h.Campaigns.WriteLinks,
			}[table]
			if table != "" {
				if write == nil {
					return rapport.Invalidf("--csv", "%q is not a table; known: people, links", table)
				}
				if err := h.Access.Note(ctx, access.Act{Action: "campaigns.report", Object: args[0], Detail: map[string]any{"table": table}}); err != nil {
					return err
				}
				w, done, err := c.create(out)
				if err != nil {
					return err
				}
				n, err := write(ctx, w, args[0], run)
				if err = errors.Join(err, done()); err == nil {
					c.hint("%s written", count(n, "row", "rows"))
				}
				return err
			}
			r, err := h.Campaigns.Report(ctx, args[0], run)
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) { c.printReport(w, r) })
		}))
	cmd.Flags().StringVar(&run, "run", "", "`ID` of a run (default: the newest)")
	cmd.Flags().StringVar(&table, "csv", "", "write the `TABLE` people or links as CSV")
	cmd.Flags().StringVarP(&out, "out", "o", "-", "`FILE` to write the CSV to")
	return cmd
}

func (c *cli) printReport(w io.Writer, r campaigns.Report) {
	c.printAccount(w, r.Account)
	if len(r.Responses) > 0 {
		_, _ = fmt.Fprintln(w)
		t := newTable("RESPONSE", "BY", "PEOPLE", "TIMES")
		for _, x := range r.Responses {
			t.row(x.Kind, who(x.Machine), number(x.People), number(x.N))
		}
		t.write(w)
	}
	printTracked(w, r.Tracking)
	if len(r.Links) > 0 {
		_, _ = fmt.Fprintln(w)
		t := newTable("LINK", "BY", "PEOPLE", "TIMES", "ADDRESS")
		for _, x := range r.Links {
			t.row(number(x.Link), who(x.Machine), number(x.People), number(x.N), x.URL)
		}
		t.write(w)
	}
	c.hint("Sent means accepted by the server.")
}

// printTracked says whom the rates are about.
func printTracked(w io.Writer, t campaigns.Tracked) {
	_, _ = fmt.Fprintf(w, "\nTracked by person: %s of %s (%s)", number(t.ByPerson), number(t.Sent), share(t.ByPerson, t.Sent))
	switch {
	case t.Mode != outbox.TrackPerson:
		_, _ = fmt.Fprintf(w, "; this run tracks %s", map[bool]string{true: "nothing", false: "in numbers only"}[t.Mode == outbox.TrackOff])
	case t.Basis != "" && t.Basis != outbox.ByOwnConsent:
		_, _ = fmt.Fprintf(w, " on the ground of %s: %s", t.Basis, t.Reason)
	case t.Basis != "":
		_, _ = fmt.Fprint(w, ", who agreed to it")
	}
	_, _ = fmt.Fprintln(w)
	if t.ByPerson > 0 {
		_, _ = fmt.Fprintf(w, "Of them %s (%s) opened and %s (%s) clicked.\n", number(t.Opened), share(t.Opened, t.ByPerson), number(t.Clicked), share(t.Clicked, t.ByPerson))
	}
	if t.AnonOpens+t.AnonClicks > 0 {
		_, _ = fmt.Fprintf(w, "Besides, %s and %s that name nobody.\n", count(t.AnonOpens, "open", "opens"), count(t.AnonClicks, "click", "clicks"))
	}
}

func who(machine bool) string {
	if machine {
		return "machines"
	}
	return "people"
}

// share is a part of a whole in percent.
func share(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}
