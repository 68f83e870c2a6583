package e2e

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// engines are the two ways to run.
func engines() map[string]setup {
	return map[string]setup{"embedded": {}, "postgres": {postgres: true}}
}

// TestStory: from a CSV file to a report, through the doors that people use.
func TestStory(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, s)
		})
	}
}

func story(t *testing.T, s setup) {
	s.people = 120
	r := newRig(t, s)
	r.importWithErrors()
	r.must("templates", "put", r.letter())
	r.create("first-offers", "")
	r.create("second-offers", "")
	r.must("campaigns", "check", "first-offers")
	r.must("campaigns", "start", "first-offers")
	r.serve()
	if r.database != "" {
		r.start("worker", "work")
	}
	r.finished("first-offers")
	a := r.judge("first-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{})
	left := 0
	for _, n := range a.NotPlanned {
		left += n
	}
	if left != r.people.unwilling() || a.NotPlanned["withdrawn"] == 0 || a.NotPlanned["pending_consent"] == 0 || a.NotPlanned["no_consent"] == 0 {
		t.Errorf("not planned %v, want %d people for want of consent", a.NotPlanned, r.people.unwilling())
	}

	reader, leaver, sceptic := r.people.willing()[0], r.people.willing()[1], r.people.willing()[2]
	r.reads(reader)
	r.leaves(leaver, sceptic)
	r.reports("first-offers", reader)

	banned := r.people.willing()[3]
	r.must("suppressions", "add", "email:"+banned)
	before := r.mail.Journal().Len()
	r.must("campaigns", "start", "second-offers")
	b := r.finished("second-offers")
	want := slices.DeleteFunc(r.people.willing(), func(to string) bool { return to == leaver || to == sceptic || to == banned })
	r.judge("second-offers", want, since(r.mail.Journal().Entries(), before), bounds{})
	if b.NotPlanned["withdrawn"] != a.NotPlanned["withdrawn"]+2 || b.NotPlanned["manual"] != 1 {
		t.Errorf("two people left and one is banned, but %v were not planned before and %v after", a.NotPlanned, b.NotPlanned)
	}
	r.well()
}

// importWithErrors brings in the people from a file that has bad rows too:
// they are listed with their lines, the rest goes in, and the same file again
// changes nothing.
func (r *rig) importWithErrors() {
	r.t.Helper()
	bad := func(id, email, zone string) []string {
		p := person{ID: id, Email: email, Zone: zone, Consent: granted, Attributes: r.people.at(0).Attributes}
		return r.people.row(p)
	}
	file := r.people.write(r.t, r.dir, bad("bad-1", "not an address", ""), bad("bad-2", "bad2@mail.example", "Mars/Olympus"), []string{"bad-3", "too short"})
	type imported struct{ Created, Changed, Unchanged, Errors int }
	res := r.must("contacts", "import", file, "--errors", r.path("bad.csv"), "--json")
	got := decode[imported](r.t, res.stdout)
	if got.Created != r.people.size || got.Errors != 3 {
		r.t.Errorf("import: %+v, want %d created and 3 errors", got, r.people.size)
	}
	list, err := os.ReadFile(r.path("bad.csv"))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range 3 {
		if line := strconv.Itoa(r.people.size + 2 + i); !strings.Contains(string(list), line) {
			r.t.Errorf("the list of bad rows does not name line %s:\n%s", line, list)
		}
	}
	again := decode[imported](r.t, r.must("contacts", "import", file, "--json").stdout)
	if again.Created+again.Changed != 0 || again.Unchanged != r.people.size {
		r.t.Errorf("the same file again: %+v", again)
	}
}

// letterFor is the newest letter an address got.
func (r *rig) letterFor(to string) opened {
	r.t.Helper()
	m, ok := r.mail.Latest(to)
	if !ok {
		r.t.Fatalf("%s got no letter", to)
	}
	return open(r.t, m)
}

// reads looks at the pictures of a letter, follows a link and opens it in the
// browser.
func (r *rig) reads(to string) {
	r.t.Helper()
	l := r.letterFor(to)
	if l.pixel() == "" || len(l.links("/c/")) < 2 || len(l.links("/v/")) == 0 || l.text == "" {
		r.t.Fatalf("the letter lacks a pixel, links or its text:\n%s", l.html)
	}
	for _, c := range []struct {
		target string
		code   int
		word   string // in the place it leads to, or in its text
	}{
		{l.links("/c/")[0], http.StatusFound, "https://shop.example/points"},
		{l.links("/c/")[1], http.StatusFound, "https://shop.example/offers?from=letter&week=40"},
		{l.pixel(), http.StatusOK, "GIF89a"},
		{l.links("/v/")[0], http.StatusOK, l.links("/u/")[0]},
		{l.links("/c/")[0] + "7", http.StatusNotFound, ""},
		{strings.Replace(l.links("/c/")[0], "/c/", "/c/A", 1), http.StatusNotFound, ""},
	} {
		res, err := r.ask(http.MethodGet, c.target, "")
		if err != nil {
			r.t.Fatal(err)
		}
		text := res.Header.Get("Location") + res.Body.(nopBody).String()
		if res.StatusCode != c.code || !strings.Contains(text, c.word) {
			r.t.Errorf("GET %s: %s, %q; want %d and %q", c.target, res.Status, tail(text, 5), c.code, c.word)
		}
	}
}

// leaves lets one person leave by one click and another by the page; looking
// at the page changes nothing.
func (r *rig) leaves(byClick, byPage string) {
	r.t.Helper()
	click, page := r.letterFor(byClick), r.letterFor(byPage)
	if click.leave() == "" || click.header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		r.t.Fatalf("no one-click unsubscription: %v", click.header)
	}
	for _, c := range []struct{ method, target, form string }{
		{http.MethodGet, click.leave(), ""},
		{http.MethodPost, click.leave(), "List-Unsubscribe=One-Click"},
		{http.MethodPost, click.leave(), "List-Unsubscribe=One-Click"},
		{http.MethodGet, page.links("/u/")[0], ""},
	} {
		res, err := r.ask(c.method, c.target, c.form)
		if err != nil {
			r.t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			r.t.Errorf("%s %s: %s", c.method, c.target, res.Status)
		}
	}
	if res := r.must("consent", "show", byPage); !strings.Contains(res.stdout, granted) {
		r.t.Errorf("looking at the page changed the consent:\n%s", res.stdout)
	}
	res, err := r.ask(http.MethodPost, page.links("/u/")[0], "confirm=yes")
	if err != nil || res.StatusCode/100 > 3 {
		r.t.Fatalf("the form of the page: %v, %v", res, err)
	}
}

// reading is how long a person takes between two clicks; who is quicker is
// taken for a machine.
const reading = 2500 * time.Millisecond

// reports waits until the report knows what came back: two left, and one
// person read, as soon as a person can have.
func (r *rig) reports(campaign, reader string) {
	r.t.Helper()
	l := r.letterFor(reader)
	link, pixel := l.links("/c/")[0], l.pixel()
	var got report
	defer func() {
		if r.t.Failed() {
			r.t.Logf("report: %+v", got)
		}
	}()
	eventually(r.t, "the report shows what came back", patience, reading, func() bool {
		for _, target := range []string{link, pixel} {
			if _, err := r.ask(http.MethodGet, target, ""); err != nil {
				r.t.Fatal(err)
			}
		}
		res := r.must("campaigns", "report", campaign, "--json")
		got = decode[report](r.t, res.stdout)
		return got.people("unsubscribed") == 2 && got.people("opened") == 1 && got.people("clicked") == 1
	})
}
