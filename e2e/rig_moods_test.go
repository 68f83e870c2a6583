package e2e

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// scale is how much longer and larger the matrix is than in its short form:
// RAPPORT_FAULTS_SCALE, 1 when it is not set.
func scale(t testing.TB) int {
	t.Helper()
	text := os.Getenv("RAPPORT_FAULTS_SCALE")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RAPPORT_FAULTS_SCALE: %q is not a number from 1 on", text)
	}
	return n
}

// group is a number of people who meet the same fault; its name is the
// beginning of their addresses.
type group struct {
	name   string
	people int
	domain string       // empty: post.example
	bare   bool         // addressed by their own ID alone, as webhooks are
	mood   smtpd.Script // nil: none
	state  string       // in which each of them ends
	reason string       // of that state
	taken  int          // messages each of them took
	tries  int          // how often at least each of them was offered one, by the receiver's record; 0: not asked
}

func (g group) address(i int) string {
	if g.bare {
		return g.id(i)
	}
	domain := g.domain
	if domain == "" {
		domain = "post.example"
	}
	return g.id(i) + "@" + domain
}

// id is the external ID of one of them.
func (g group) id(i int) string { return fmt.Sprintf("%s-%05d", g.name, i) }

// groups are the people of an installation.
type groups []group

// script is a mail server with all their moods.
func (gs groups) script() smtpd.Script {
	moods := map[string]smtpd.Script{}
	for _, g := range gs {
		if g.mood != nil {
			moods[g.name+"-*"] = g.mood
		}
	}
	return smtpd.ByRecipient(moods)
}

// rows are the lines of the file, each group spread over the whole of it, so
// that nobody has a batch or a connection of their own, and those who break
// their connections do not all come at once.
func (gs groups) rows(c crowd) [][]string {
	type line struct {
		place float64 // in the file, from 0 to 1
		cells []string
	}
	var lines []line
	for n, g := range gs {
		shift := (float64(n) + 0.5) / float64(len(gs)) // or groups of one size would stand together
		for i := range g.people {
			p := person{ID: g.id(i), Email: g.address(i), Locale: "en", Consent: granted, Attributes: c.at(i).Attributes}
			lines = append(lines, line{(float64(i) + shift) / float64(g.people), c.row(p)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.place, b.place) })
	out := make([][]string, len(lines))
	for i, l := range lines {
		out[i] = l.cells
	}
	return out
}

// bring imports the groups and the letter.
func (r *rig) bring(gs groups) {
	r.t.Helper()
	r.must("contacts", "import", r.people.write(r.t, r.dir, gs.rows(r.people)...))
	r.must("templates", "put", r.letter())
}

// run is a campaign that is over, as the judges see it.
type run struct {
	account account
	rows    map[string]row
	seen    map[string][]journal.Entry // by recipient
}

// judged reads what became of a campaign.
func (r *rig) judged(campaign string, entries []journal.Entry) run {
	r.t.Helper()
	out := run{account: r.status(campaign), rows: map[string]row{}, seen: map[string][]journal.Entry{}}
	for _, d := range r.rows(out.account.Run) {
		out.rows[d.address] = d
	}
	for _, e := range entries {
		out.seen[e.To] = append(out.seen[e.To], e)
	}
	return out
}

// taken is how many messages somebody took.
func (r run) taken(to string) int {
	n := 0
	for _, e := range r.seen[to] {
		if e.Outcome.Taken() {
			n++
		}
	}
	return n
}

// judge finds everybody of a group with whom something else happened than it
// says.
func (r run) judge(t *testing.T, g group) {
	t.Helper()
	wrong := map[string]int{}
	for i := range g.people {
		to := g.address(i)
		d, n := r.rows[to], r.taken(to)
		switch {
		case d.state != g.state || d.reason != g.reason:
			wrong[fmt.Sprintf("%s(%s), want %s(%s)", d.state, d.reason, g.state, g.reason)]++
		case n != g.taken:
			wrong[fmt.Sprintf("took %d, want %d", n, g.taken)]++
		case len(r.seen[to]) < g.tries:
			wrong[fmt.Sprintf("was tried %d times, want %d", len(r.seen[to]), g.tries)]++
		}
	}
	for _, what := range slices.Sorted(maps.Keys(wrong)) {
		t.Errorf("%s: %d people: %s", g.name, wrong[what], what)
	}
}

// suppressed lists the addresses that are suppressed.
func (r *rig) suppressed() []string {
	r.t.Helper()
	var out []string
	type suppression struct{ Value string }
	for _, s := range decode[[]suppression](r.t, r.must("suppressions", "list", "--json").stdout) {
		out = append(out, s.Value)
	}
	return out
}

// switchboard is a mood that a test changes while the server runs.
type switchboard struct {
	now atomic.Pointer[smtpd.Script]
}

func (s *switchboard) set(script smtpd.Script) { s.now.Store(&script) }

func (s *switchboard) script(step smtpd.Step) smtpd.Action {
	if f := s.now.Load(); f != nil && *f != nil {
		return (*f)(step)
	}
	return smtpd.Action{}
}

// mailServer starts one more mail server.
func (r *rig) mailServer(o smtpd.Options) *smtpd.Server {
	r.t.Helper()
	s, err := smtpd.Start(context.WithoutCancel(r.t.Context()), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// mailChannel adds an email channel over one server; {{addr}} in the url is
// the server's. More are further lines of the channel.
func (r *rig) mailChannel(name string, s *smtpd.Server, url string, connections int, more string) {
	r.t.Helper()
	r.append(fmt.Sprintf("  - name: %s\n    driver: email\n    from: Example Shop <news@shop.example>\n%s    servers:\n      - url: %s\n        connections: %d\n",
		name, more, strconv.Quote(strings.ReplaceAll(url, "{{addr}}", s.Addr())), connections))
}

// over creates and starts a campaign over a channel to those whose address
// begins so; its topic follows the name after its dash.
func (r *rig) over(name, channel, template, begin string) {
	r.t.Helper()
	r.must("campaigns", "create", r.file(name+".yaml", fmt.Sprintf(
		"name: %s\ntopic: %s\nchannel: %s\ntemplate: %s\nschedule: {now: true}\naudience: {where: 'contact.email.startsWith(%q)'}\n",
		name, name[strings.LastIndexByte(name, '-')+1:], channel, template, begin)))
	r.must("campaigns", "start", name)
}

// finishes waits for the end of a run for as long as the scale asks.
func (r *rig) finishes(campaign string) account {
	r.t.Helper()
	limit := time.Duration(scale(r.t)) * patience
	return r.awaitFor(campaign, "finished", limit, 200*time.Millisecond, func(a account) bool { return a.State == "finished" })
}

// held waits until a campaign stands still because its channel is held.
func (r *rig) held(campaign string) account {
	r.t.Helper()
	return r.await(campaign, "held", func(a account) bool {
		return a.Planned > 0 && a.Waiting["held"] == a.Planned-a.States["sent"]-a.States["failed"]-a.States["uncertain"]
	})
}

// between counts the messages that were taken in a span of time.
func between(entries []journal.Entry, from, to time.Time) int {
	n := 0
	for _, e := range entries {
		if e.Outcome.Taken() && e.Time.After(from) && e.Time.Before(to) {
			n++
		}
	}
	return n
}

// sub runs a part of a test with the rig's failures being the part's own.
func (r *rig) sub(t *testing.T, name string, part func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		whole := r.t
		r.t = t
		defer func() { r.t = whole }()
		part(t)
	})
}
