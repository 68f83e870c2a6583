package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"rapport/internal/fake/journal"
)

// row is one recipient as the database has it.
type row struct{ address, state, reason string }

// rows reads the deliveries of a run, by its public ID.
func (r *rig) rows(run string) []row {
	r.t.Helper()
	db := r.db()
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(context.WithoutCancel(r.t.Context()),
		"SELECT COALESCE(d.address, ''), d.state, d.reason FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE r.uid = '"+run+"'")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []row
	for rows.Next() {
		var d row
		if err := rows.Scan(&d.address, &d.state, &d.reason); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// bounds is what a fault may cost.
type bounds struct {
	uncertain int // deliveries nobody knows about, at most
	repeats   int // messages taken more than once, at most; each with its own Message-ID
	stopped   int // suppressed or cancelled or expired, exactly; -1: any number
	failed    int // exactly
}

// judge is the oracle: it compares whom the run was for, whom the receiver
// took a message for, and what the program says, and finds whoever was lost,
// doubled, made up or miscounted. It returns the account it judged.
func (r *rig) judge(campaign string, want []string, entries []journal.Entry, b bounds) account {
	r.t.Helper()
	a := r.status(campaign)
	rows := r.rows(a.Run)
	for _, complaint := range compare(want, entries, a, rows, b) {
		r.t.Error(complaint)
	}
	if r.t.Failed() {
		r.t.Logf("account: %s, planned %d, %v, %v", a.State, a.Planned, a.States, a.Reasons)
	}
	return a
}

// compare is the judgement itself.
func compare(want []string, entries []journal.Entry, a account, rows []row, b bounds) []string {
	c := &complaints{}
	c.expected(want, rows)
	c.counts(a, rows)
	taken := c.journal(entries)
	c.states(rows, taken, b)
	return c.list
}

// maxNamed bounds how many people one kind of mistake names.
const maxNamed = 5

type complaints struct {
	list []string
	seen map[string]int
}

func (c *complaints) add(kind, format string, args ...any) {
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	if c.seen[kind]++; c.seen[kind] <= maxNamed {
		c.list = append(c.list, kind+": "+fmt.Sprintf(format, args...))
	}
}

// expected finds who was left out of the plan and who does not belong in it.
func (c *complaints) expected(want []string, rows []row) {
	planned := map[string]bool{}
	for _, d := range rows {
		if planned[d.address] {
			c.add("planned twice", "%s", d.address)
		}
		planned[d.address] = true
	}
	for _, address := range want {
		if !planned[address] {
			c.add("lost", "%s was never planned", address)
		}
		delete(planned, address)
	}
	for _, address := range slices.Sorted(maps.Keys(planned)) {
		c.add("unexpected", "%s was planned", address)
	}
}

// counts compares the account with the rows (P8).
func (c *complaints) counts(a account, rows []row) {
	states := map[string]int{}
	for _, d := range rows {
		states[d.state]++
	}
	if a.Planned != len(rows) {
		c.add("miscounted", "planned %d, rows %d", a.Planned, len(rows))
	}
	for _, state := range slices.Sorted(maps.Keys(a.States)) {
		if a.States[state] != states[state] {
			c.add("miscounted", "%s %d, rows %d", state, a.States[state], states[state])
		}
	}
	for _, outcome := range []string{"failed", "suppressed", "uncertain"} {
		n := 0
		for v := range maps.Values(a.Reasons[outcome]) {
			n += v
		}
		if n != states[outcome] {
			c.add("miscounted", "the reasons of %s sum to %d, rows %d", outcome, n, states[outcome])
		}
	}
}

// journal checks the keys of what was taken (I9) and returns how often each
// recipient took a message.
func (c *complaints) journal(entries []journal.Entry) map[string]int {
	owner := map[string]string{} // Message-ID → recipient
	key := map[string]string{}   // recipient → Message-ID
	taken := map[string]int{}
	for _, e := range entries {
		if e.Key != "" {
			if to, known := owner[e.Key]; known && to != e.To {
				c.add("key", "%s and %s have the same Message-ID %s", to, e.To, e.Key)
			}
			if k, known := key[e.To]; known && k != e.Key {
				c.add("key", "%s was offered %s and then %s", e.To, k, e.Key)
			}
			owner[e.Key], key[e.To] = e.To, e.Key
		}
		if e.Outcome.Taken() {
			taken[e.To]++
		}
	}
	return taken
}

// states compares each recipient's state with what the receiver took (I1, I2,
// I4).
func (c *complaints) states(rows []row, taken map[string]int, b bounds) {
	counts, doubled := map[string]int{}, 0
	for _, d := range rows {
		n := taken[d.address]
		delete(taken, d.address)
		counts[d.state]++
		doubled += max(n-1, 0)
		switch d.state {
		case "sent":
			if n == 0 {
				c.add("lost", "%s is sent and took nothing", d.address)
			}
		case "uncertain":
			if d.reason == "" {
				c.add("no reason", "%s is uncertain", d.address)
			}
		case "failed", "suppressed", "cancelled", "expired":
			if n > 0 {
				c.add("denied", "%s is %s and took %d", d.address, d.state, n)
			}
			if d.reason == "" && (d.state == "failed" || d.state == "suppressed") {
				c.add("no reason", "%s is %s", d.address, d.state)
			}
		default:
			c.add("open", "%s is %s", d.address, d.state)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(taken)) {
		c.add("unexpected", "%s took %d and is not in the run", to, taken[to])
	}
	stopped := counts["suppressed"] + counts["cancelled"] + counts["expired"]
	switch {
	case doubled > b.repeats:
		c.add("doubled", "%d messages were taken again, at most %d may be", doubled, b.repeats)
	case counts["uncertain"] > b.uncertain:
		c.add("uncertain", "%d, at most %d may be", counts["uncertain"], b.uncertain)
	case b.stopped >= 0 && stopped != b.stopped:
		c.add("stopped", "%d suppressed, cancelled or expired, want %d", stopped, b.stopped)
	case counts["failed"] != b.failed:
		c.add("failed", "%d, want %d", counts["failed"], b.failed)
	}
}

// since returns the entries after the first n: those of the campaign that
// began then.
func since(entries []journal.Entry, n int) []journal.Entry { return entries[n:] }

// TestOracle: the judge finds every kind of wrong on made-up cases. A judge
// that finds nothing proves nothing.
func TestOracle(t *testing.T) {
	took := func(to, key string) journal.Entry {
		return journal.Entry{To: to, Key: key, Outcome: journal.Accepted}
	}
	good := account{Planned: 2, States: map[string]int{"sent": 2}}
	both := []row{{"a", "sent", ""}, {"b", "sent", ""}}
	one := func(state, reason string) (account, []row) {
		a := account{Planned: 2, States: map[string]int{"sent": 1, state: 1}, Reasons: map[string]map[string]int{state: {reason: 1}}}
		return a, []row{{"a", "sent", ""}, {"b", state, reason}}
	}
	doubt, doubtful := one("uncertain", "process_died")
	no, denied := one("failed", "refused")
	still, open := one("sending", "")
	for _, c := range []struct {
		name    string
		entries []journal.Entry
		a       account
		rows    []row
		b       bounds
		want    string // first words of the only kind of complaint; empty for none
	}{
		{"all well", []journal.Entry{took("a", "1"), took("b", "2")}, good, both, bounds{}, ""},
		{"refused, then taken", []journal.Entry{{To: "a", Key: "1", Outcome: journal.Refused}, took("a", "1"), took("b", "2")}, good, both, bounds{}, ""},
		{"sent and not taken", []journal.Entry{took("a", "1")}, good, both, bounds{}, "lost: b is sent"},
		{"never planned", []journal.Entry{took("a", "1")}, account{Planned: 1, States: map[string]int{"sent": 1}}, both[:1], bounds{}, "lost: b was never"},
		{"planned too much", []journal.Entry{took("a", "1"), took("b", "2"), took("c", "3")}, account{Planned: 3, States: map[string]int{"sent": 3}}, append(slices.Clone(both), row{"c", "sent", ""}), bounds{}, "unexpected: c was planned"},
		{"taken by a stranger", []journal.Entry{took("a", "1"), took("b", "2"), took("z", "3")}, good, both, bounds{}, "unexpected: z took"},
		{"twice", []journal.Entry{took("a", "1"), took("a", "1"), took("b", "2")}, good, both, bounds{}, "doubled"},
		{"twice inside the bound", []journal.Entry{took("a", "1"), took("a", "1"), took("b", "2")}, good, both, bounds{repeats: 1}, ""},
		{"twice with another key", []journal.Entry{took("a", "1"), took("a", "9"), took("b", "2")}, good, both, bounds{repeats: 1}, "key: a"},
		{"one key for two", []journal.Entry{took("a", "1"), took("b", "1")}, good, both, bounds{}, "key: a and b"},
		{"account off", []journal.Entry{took("a", "1"), took("b", "2")}, account{Planned: 2, States: map[string]int{"sent": 1, "failed": 1}}, both, bounds{}, "miscounted"},
		{"uncertain", []journal.Entry{took("a", "1")}, doubt, doubtful, bounds{}, "uncertain: 1"},
		{"uncertain inside the bound", []journal.Entry{took("a", "1"), took("b", "2")}, doubt, doubtful, bounds{uncertain: 1}, ""},
		{"failed and taken", []journal.Entry{took("a", "1"), took("b", "2")}, no, denied, bounds{failed: 1}, "denied: b"},
		{"failed unasked", []journal.Entry{took("a", "1")}, no, denied, bounds{}, "failed: 1"},
		{"still open", []journal.Entry{took("a", "1")}, still, open, bounds{}, "open: b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := compare([]string{"a", "b"}, c.entries, c.a, c.rows, c.b)
			kind, _, _ := strings.Cut(c.want, ":")
			for _, g := range got {
				if c.want == "" || !strings.HasPrefix(g, kind) {
					t.Errorf("complaint %q", g)
				}
			}
			if c.want != "" && !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, c.want) }) {
				t.Errorf("complaints %q, want %q", got, c.want)
			}
		})
	}
}
