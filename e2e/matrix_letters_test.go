package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/smtpd"
)

// TestMatrixLetters: letters that spoil, letters and people that change while
// a campaign runs, and people who are there twice.
func TestMatrixLetters(t *testing.T) {
	t.Parallel()
	for engine, s := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var mood switchboard
			s.mail = smtpd.Options{Script: mood.script}
			s.connections = 8
			r := newRig(t, s)
			n := 200 * scale(t)
			gs := groups{{name: "t43", people: n}, {name: "t46", people: n}, {name: "t34", people: n}, {name: "t47-stay", people: 20}, {name: "t47-move", people: 5}, {name: "t47-gone", people: 5}}
			r.bring(gs)
			r.must("attributes", "declare", "divisor=number")
			r.bringTwins()
			r.bringHostile(gs[2])
			r.serve()
			if r.database != "" {
				r.start("worker", "work")
			}
			r.sub(t, "T34_torture", func(t *testing.T) { r.tortures(t, gs[2]) })
			r.sub(t, "T35_header_injection", func(t *testing.T) { r.injects(t, gs[2]) })
			r.sub(t, "T43_poison_template", func(t *testing.T) { r.poison(t, gs[0]) })
			r.sub(t, "T46_template_changes", func(t *testing.T) { r.rewrites(t, &mood, gs[1]) })
			r.sub(t, "T47_person_changes", func(t *testing.T) { r.changes(t, gs[3], gs[4], gs[5]) })
			r.sub(t, "T48_twins", func(t *testing.T) { r.twins(t) })
			r.well()
		})
	}
}

// write puts a letter with a line of its own.
func (r *rig) write(name, line string) {
	r.t.Helper()
	r.file(name+"/template.yaml", "name: "+name+"\ndriver: email\nlocale: en\nsamples:\n"+
		"  - {name: Anna, locale: en, contact: {first_name: Anna, last_name: Lind, city: Berlin, points: 120, tier: gold, divisor: 4}, data: {list: [1]}}\n")
	r.file(name+"/en/subject.liquid", "Your points")
	r.file(name+"/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", line))
	r.must("templates", "put", r.path(name))
}

// poison: a letter that fails for one person costs that person only, with the
// line in words; one that never ends is ended; one that fails for everybody
// pauses the campaign long before all have failed.
func (r *rig) poison(t *testing.T, g group) {
	victim := g.address(g.people / 2)
	r.must("contacts", "put", "--external-id", g.id(g.people/2), "--set", "divisor=0")
	before := r.mail.Journal().Len()
	r.write("poison", "<p>{% if contact.divisor == 0 %}{{ 100 | divided_by: contact.divisor }}{% endif %}</p>\n")
	r.over("poison-offers", "news", "poison", g.name+"-")
	r.onlyFails(t, "poison-offers", victim, g.people, before)
	type failed struct{ ID string }
	list := decode[[]failed](t, r.must("deliveries", "list", "--campaign", "poison-offers", "--state", "failed", "--json").stdout)
	if len(list) != 1 {
		t.Fatalf("%d deliveries failed, want 1", len(list))
	}
	if res := r.must("deliveries", "show", list[0].ID, "--json"); !strings.Contains(res.stdout, "divided_by") || !strings.Contains(res.stdout, "line ") {
		t.Errorf("the failed delivery does not say which line:\n%s", res.stdout)
	}

	before = r.mail.Journal().Len()
	loop := strings.Repeat("{% for i in data.list %}", 2) + "{{ i | plus: 1 }}" + strings.Repeat("{% endfor %}", 2)
	r.write("endless", "<p>{% if contact.divisor == 0 %}"+loop+"{% endif %}</p>\n")
	r.must("campaigns", "create", r.file("endless-offers.yaml", fmt.Sprintf(
		"name: endless-offers\ntopic: offers\nchannel: news\ntemplate: endless\nschedule: {now: true}\naudience: {where: 'contact.email.startsWith(\"%s-\")'}\ndata: {list: [%s1]}\n",
		g.name, strings.Repeat("1, ", 999))))
	r.must("campaigns", "start", "endless-offers")
	r.onlyFails(t, "endless-offers", victim, g.people, before)

	before = r.mail.Journal().Len()
	r.write("toxic", "<p>{{ 100 | divided_by: contact.divisor }}</p>\n")
	r.over("toxic-offers", "news", "toxic", g.name+"-")
	a := r.await("toxic-offers", "paused", func(a account) bool {
		return a.State == "paused" && a.States["claimed"]+a.States["sending"] == 0
	})
	if r.mail.Journal().Len() != before || a.States["sent"] != 0 || a.States["failed"] < 50 || a.States["failed"] >= a.Planned {
		t.Errorf("a letter that fails for everybody: %s %v", a.State, a.States)
	}
	r.must("campaigns", "cancel", "toxic-offers")
}

// onlyFails waits for the end of a campaign that fails for one person.
func (r *rig) onlyFails(t *testing.T, campaign, victim string, people, before int) {
	t.Helper()
	a := r.finishes(campaign)
	entries := since(r.mail.Journal().Entries(), before)
	if a.States["sent"] != people-1 || a.Reasons["failed"]["render"] != 1 || len(entries) != people-1 {
		t.Errorf("%s: %v %v, the server took %d", campaign, a.States, a.Reasons, len(entries))
	}
	if d := r.judged(campaign, entries).rows[victim]; d.state != "failed" {
		t.Errorf("%s: %s is %s", campaign, victim, d.state)
	}
}

// rewrites: letter and segment are changed while a campaign runs; it goes on
// with those it began with, and the next one has the new ones.
func (r *rig) rewrites(t *testing.T, mood *switchboard, g group) {
	mood.set(smtpd.Delay(30 * time.Millisecond).At(smtpd.Dot))
	defer mood.set(nil)
	r.must("segments", "put", "chosen", "--where", `contact.email.startsWith("t46-")`)
	r.write("edited", "<p>as it was at first</p>\n")
	start := func(name string) {
		r.must("campaigns", "create", r.file(name+".yaml", fmt.Sprintf(
			"name: %s\ntopic: offers\nchannel: news\ntemplate: edited\nschedule: {now: true}\naudience: {segments: [chosen]}\n", name)))
		r.must("campaigns", "start", name)
	}
	before := r.mail.Journal().Len()
	start("edited-offers")
	r.taken(r.mail.Journal().Taken() + 20)
	r.write("edited", "<p>as it is by now</p>\n")
	r.must("segments", "put", "chosen", "--where", `contact.email == "`+g.address(0)+`"`)
	if early := r.mail.Journal().Len() - before; early >= g.people {
		t.Fatalf("all %d had theirs before the change: the test came too late", early)
	}
	if a := r.finishes("edited-offers"); a.States["sent"] != g.people {
		t.Errorf("%v, want all %d who were in the segment at the start", a.States, g.people)
	}
	old := 0
	for _, m := range r.mail.Messages() {
		o := open(t, m)
		if strings.Contains(o.html, "as it is by now") {
			t.Errorf("%v got the new letter of a campaign that began with the old one", m.EnvelopeTo)
		}
		if strings.Contains(o.html, "as it was at first") {
			old++
		}
	}
	if old != g.people {
		t.Errorf("%d got the letter the campaign began with, want %d", old, g.people)
	}
	start("later-offers")
	if a := r.finishes("later-offers"); a.States["sent"] != 1 || !strings.Contains(r.letterFor(g.address(0)).html, "as it is by now") {
		t.Errorf("the next campaign: %v, and the letter is not the new one", a.States)
	}
}

// changes: while their messages wait, some people get another address and some
// are erased. Nobody is written to at an address the campaign was not planned
// for, and who is erased is never written to and found nowhere.
func (r *rig) changes(t *testing.T, stay, move, gone group) {
	r.must("channels", "hold", "news")
	before := r.mail.Journal().Len()
	r.over("waiting-offers", "news", "letter", "t47-")
	r.held("waiting-offers")
	for i := range move.people {
		r.must("contacts", "put", "--external-id", move.id(i), "--address", "email:new-"+move.address(i))
	}
	for i := range gone.people {
		r.must("contacts", "erase", gone.id(i), "--yes")
	}
	r.must("channels", "release", "news")
	a := r.finishes("waiting-offers")
	entries := since(r.mail.Journal().Entries(), before)
	run := r.judged("waiting-offers", entries)
	stay.state, stay.taken = "sent", 1
	run.judge(t, stay)
	if a.Reasons["suppressed"]["address_changed"] != move.people || a.States["suppressed"] != move.people+gone.people {
		t.Errorf("account %v %v, want %d whose address changed and %d erased", a.States, a.Reasons, move.people, gone.people)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.To, stay.name) {
			t.Errorf("%s was written to", e.To)
		}
	}
	for _, table := range []string{"SELECT count(*) FROM addresses WHERE value LIKE 't47-gone%'", "SELECT count(*) FROM deliveries WHERE address LIKE 't47-gone%'"} {
		if n := r.count(table); n != 0 {
			t.Errorf("%s: %d", table, n)
		}
	}
}

// count runs a query that counts.
func (r *rig) count(query string) int {
	r.t.Helper()
	db := r.db()
	defer func() { _ = db.Close() }()
	n := 0
	if err := db.QueryRowContext(r.t.Context(), query).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// bringTwins imports people whose addresses are the same in other spellings,
// and people whose addresses only look alike. A spelling that is there already
// is a bad row, which names the first.
func (r *rig) bringTwins() {
	r.t.Helper()
	var rows [][]string
	for i, email := range []string{
		"T48.Case@post.example", "t48.case@POST.example", // one
		"t48.idn@bücher.example", "t48.idn@xn--bcher-kva.example", "t48.idn@BÜCHER.example", // one
		"t48-jos\u00e9@post.example", "t48-jose\u0301@post.example", // one
		"t48.dots@post.example", "t48dots@post.example", "t48.dots+news@post.example", // three: only a receiver knows what they mean
	} {
		rows = append(rows, r.people.row(person{ID: fmt.Sprintf("t48-%d", i), Email: email, Consent: granted, Attributes: r.people.at(i).Attributes}))
	}
	type imported struct{ Created, Errors int }
	got := decode[imported](r.t, r.must("contacts", "import", r.people.write(r.t, r.dir, rows...), "--errors", r.path("twins.csv"), "--json").stdout)
	if got.Created != 6 || got.Errors != 4 {
		r.t.Errorf("twins: %+v, want 6 created and 4 refused:\n%s", got, r.read(r.path("twins.csv")))
	}
}

// twins: one message for each address, however it is spelt.
func (r *rig) twins(t *testing.T) {
	before := r.mail.Journal().Len()
	r.over("twins-offers", "news", "letter", "t48")
	r.finishes("twins-offers")
	took := map[string]int{}
	for _, e := range since(r.mail.Journal().Entries(), before) {
		if e.Outcome.Taken() {
			took[e.To]++
		}
	}
	for _, to := range []string{
		"t48.case@post.example", "t48.idn@xn--bcher-kva.example", "t48-jos\u00e9@post.example",
		"t48.dots@post.example", "t48dots@post.example", "t48.dots+news@post.example",
	} {
		if took[to] != 1 {
			t.Errorf("%s took %d", to, took[to])
		}
		delete(took, to)
	}
	if len(took) > 0 {
		t.Errorf("others took something too: %v", took)
	}
}

// villains are names that want to be more than a name.
var villains = []string{
	"Anna\r\nBcc: evil@evil.example", "Anna\nSubject: won", "Anna\r\n\r\n<script>", "Anna\u2028Bcc: evil@evil.example", "Anna\u0085X: y",
	"=?utf-8?q?Anna=0D=0ABcc:_evil@evil.example?=", `"Anna" <evil@evil.example>, x`, "Anna\r\n.\r\nMAIL FROM:<evil@evil.example>", "\u202eannA", strings.Repeat("Ä", 150),
}

// bringHostile gives the people of a group names that are attacks.
func (r *rig) bringHostile(g group) {
	r.t.Helper()
	var rows [][]string
	for i := range g.people {
		attributes := append([]string{villains[i%len(villains)], villains[(i+3)%len(villains)]}, r.people.at(i).Attributes[2:]...)
		rows = append(rows, r.people.row(person{ID: g.id(i), Email: g.address(i), Locale: "en", Consent: granted, Attributes: attributes}))
	}
	r.must("contacts", "import", r.people.write(r.t, r.dir, rows...))
}

// torture are the lines of a letter that a careless sender breaks.
const torture = ".\n..\n.a\n\n.\n\nFrom here\nnaïve … 🎉\n=3D=\n" + "\t tab at the end \t\n"

// tortures: a body of dots, of lines that are far too long and of signs outside
// ASCII arrives as it was written, as one message and in lines that may be
// sent.
func (r *rig) tortures(t *testing.T, g group) {
	long := strings.Repeat("x", 5000) + strings.Repeat(" ü", 2500)
	r.write("torture", "<pre>\n"+torture+long+"\n</pre>\n")
	before := r.mail.Journal().Len()
	r.over("torture-offers", "news", "torture", g.name+"-")
	r.finishes("torture-offers")
	g.state, g.taken = "sent", 1
	r.judged("torture-offers", since(r.mail.Journal().Entries(), before)).judge(t, g)
	for i := range g.people {
		m, ok := r.mail.Latest(g.address(i))
		if !ok {
			t.Fatalf("%s got nothing", g.address(i))
		}
		if html := strings.ReplaceAll(open(t, m).html, "\r\n", "\n"); !strings.Contains(html, torture+long) {
			t.Fatalf("the body did not arrive as it was written:\n%.2000s", html)
		}
		for line := range strings.SplitSeq(string(m.Source), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a line of %d octets, or one with a bare CR, LF or NUL", len(line))
			}
		}
	}
}

// injects: whatever a person is called, the letter has the header fields of
// every other letter and one recipient.
func (r *rig) injects(t *testing.T, g group) {
	before := r.mail.Journal().Len()
	r.over("named-offers", "news", "letter", g.name+"-")
	r.finishes("named-offers")
	g.state, g.taken = "sent", 1
	r.judged("named-offers", since(r.mail.Journal().Entries(), before)).judge(t, g)
	usual := ""
	for i := range g.people {
		m, _ := r.mail.Latest(g.address(i))
		o := open(t, m)
		names := strings.Join(slices.Sorted(maps.Keys(o.header)), " ")
		if usual == "" {
			usual = names
		}
		if names != usual || len(m.EnvelopeTo) != 1 || len(o.header["Subject"]) != 1 {
			t.Errorf("called %q: fields %s, recipients %v; others have %s", villains[i%len(villains)], names, m.EnvelopeTo, usual)
		}
	}
	if strings.Contains(strings.ToLower(usual), "bcc") {
		t.Errorf("the fields are %s", usual)
	}
	if n := r.mail.Journal().Accepted("evil@evil.example"); n > 0 {
		t.Errorf("a name made a recipient of somebody else")
	}
}
