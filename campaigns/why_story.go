package campaigns

import (
	"fmt"
	"strconv"
	"strings"

	"rapport"
	"rapport/outbox"
)

// delivered is the answer about somebody who has a delivery.
func (c *card) delivered(w *Why) {
	p, d := c.placed, c.detail
	w.State, w.Reason, w.ReliesOn, w.Address = p.State, p.Reason, p.Entry, p.Address
	at := p.At
	row := &Row{Table: "deliveries", Key: rapport.DeliveryID(c.run.ID, c.person.ID), At: &at, Detail: strings.TrimSpace(string(p.State) + " " + string(p.Reason))}
	c.story(w, row)
	who := "Contact " + orElse(c.person.UID, "(erased)")
	to := orElse(p.Address, "an address that was erased")
	switch p.State {
	case outbox.Sent:
		w.Sentence = fmt.Sprintf("%s was sent it on %s: accepted for %s by %s, relying on %s.",
			who, when(p.At), to, orElse(d.Server, "the provider"), c.reliance())
	case outbox.Queued, outbox.Claimed, outbox.Sending:
		c.underway(w, who, to, row)
	case outbox.Failed, outbox.Uncertain, outbox.Suppressed, outbox.Cancelled, outbox.Expired:
		w.Decided = c.decided(w, p.Reason, row, p.At)
		if n := len(d.Tries); n > 0 && w.Decided.Name == "receiver" || p.State == outbox.Uncertain && len(d.Tries) > 0 {
			w.Decided.Row = tryRow(d.Tries[len(d.Tries)-1])
		}
		if p.State == outbox.Cancelled {
			w.Decided.Row = &Row{Table: "runs", Key: c.run.UID, At: c.run.FinishedAt, Detail: orElse(c.run.Note, string(c.run.State))}
		}
		w.Sentence = fmt.Sprintf("%s: %s to %s since %s, because %s%s.", who, p.State, to, when(p.At), w.Decided.Says, rests(w.Decided.Row))
	}
}

// underway is the answer about a delivery that has not ended.
func (c *card) underway(w *Why, who, to string, row *Row) {
	p := c.placed
	if p.State != outbox.Queued {
		w.Sentence = fmt.Sprintf("%s: it is %s to %s since %s.", who, p.State, to, when(p.At))
		return
	}
	stop := w.first(Stops)
	if letter := w.gate("letter"); letter.Outcome == Stops {
		stop = letter // it is written before anything is asked at the wire
	}
	switch {
	case stop != nil:
		w.Decided = stop
		w.Sentence = fmt.Sprintf("%s: it is queued to %s and will not leave: %s%s.", who, to, stop.Says, rests(stop.Row))
	case w.firstWait() != nil:
		w.Decided = w.firstWait()
		w.Sentence = fmt.Sprintf("%s: it is queued to %s, due %s, and waits: %s%s.", who, to, when(p.NotBefore), w.Decided.Says, rests(w.Decided.Row))
	case p.Reason != "":
		w.Decided = &Gate{Name: gateOf(p.Reason), Outcome: Waits, Reason: p.Reason, Says: says(p.Reason), Row: row}
		if n := len(c.detail.Tries); n > 0 && p.Reason == outbox.WaitRetry {
			w.Decided.Row = tryRow(c.detail.Tries[n-1])
		}
		if p.NotBefore.After(c.now) {
			w.Decided.Until = &p.NotBefore
		}
		w.Sentence = fmt.Sprintf("%s: it is queued to %s, due %s: %s%s.", who, to, when(p.NotBefore), w.Decided.Says, rests(w.Decided.Row))
	default:
		w.Sentence = fmt.Sprintf("%s: it is queued to %s, due %s; nothing stands in the way.", who, to, when(p.NotBefore))
	}
}

// reliance names the line of the ledger a delivery relied on.
func (c *card) reliance() string {
	if c.placed.Entry == 0 {
		return "a permission that is not noted"
	}
	return fmt.Sprintf("entry %d of the ledger (%s)", c.placed.Entry, c.permission(c.placed.Entry))
}

func tryRow(a Attempt) *Row {
	at := a.At
	return &Row{Table: "attempts", Key: strings.TrimSpace(a.Verdict + " " + a.Code), At: &at, Actor: a.Server, Detail: a.Detail}
}

// story tells what has happened to a delivery, oldest first.
func (c *card) story(w *Why, row *Row) {
	add := func(name string, r outbox.Reason, row *Row, format string, args ...any) {
		w.Story = append(w.Story, Gate{Name: name, Outcome: Aside, Reason: r, Row: row, Says: fmt.Sprintf(format, args...)})
	}
	started := c.run.StartedAt
	add("planned", "", &Row{Table: "runs", Key: c.run.UID, At: &started}, "the run began; the person was planned for %s", orElse(c.placed.Address, "an address that was erased"))
	for _, a := range c.detail.Tries {
		text := a.Verdict
		if a.Reason != "" {
			text += ": " + says(a.Reason)
		}
		add("attempt", a.Reason, tryRow(a), "%s", text)
	}
	if entry := c.entryRow(c.placed.Entry); entry != nil {
		add("permission", "", entry, "it relied on %s", c.permission(c.placed.Entry))
	}
	add("state", c.placed.Reason, row, "%s after %s", c.placed.State, plural(c.detail.Attempts, "try", "tries"))
	for _, r := range c.detail.Reactions {
		at := r.First
		by := "the person"
		if r.Machine {
			by = "a machine"
		}
		add("response", "", &Row{Table: "responses", Key: strconv.FormatInt(r.Link, 10), At: &at}, "%s by %s, %s", r.Kind, by, plural(int(r.N), "time", "times"))
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
