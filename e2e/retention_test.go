package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRetention: years later everything that is old goes, by a process that is
// killed again and again in the middle of it. Accounts stay exact after each
// death, what a restricted person has stays, and nothing has gone of which the
// audit log does not say so. Afterwards the links of the letters still work.
func TestRetention(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.people, s.tag = 700, "failpoints"
			r := newRig(t, s)
			a := ages{rig: r}
			a.send("old-offers")
			a.killAgainAndAgain()
			a.finish()
			a.linksWork()
			r.well()
		})
	}
}

// ages is an installation whose campaign was sent five years ago.
type ages struct {
	*rig

	campaign         string
	reader, disputed string // addresses of somebody who answers, and of somebody restricted
	sent             opened // letter to the reader
	before           string
	rows             map[string]int // by rule, when nothing had gone
}

func (a *ages) send(campaign string) {
	a.t.Helper()
	a.campaign = campaign
	a.must("contacts", "import", a.people.write(a.t, a.dir))
	letter := a.rig.letter()
	a.file("letter/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", `<p><a href="{{ links.preferences }}">…</a></p>`))
	a.must("templates", "put", letter)
	a.create(campaign, "")
	willing := a.people.willing()
	a.disputed = willing[1]
	p := a.serve()
	a.must("campaigns", "start", campaign)
	a.finished(campaign)
	for _, a.reader = range willing { // an English letter
		if a.sent = a.letterFor(a.reader); a.reader != a.disputed && len(a.sent.links("/p/")) > 0 {
			break
		}
	}
	for _, link := range append([]string{a.sent.pixel()}, a.sent.links("/c/")...) {
		a.looks(http.MethodGet, link)
	}
	eventually(a.t, "the hits are stored", patience, 50*time.Millisecond, func() bool { return a.one("SELECT COUNT(*) FROM responses") >= 2 })
	a.must("rights", "restrict", a.disputed, "--reason", "a dispute")
	if code := p.stop(); code != 0 {
		a.t.Fatalf("serve ended with %d", code)
	}
	a.before = a.numbers()
	a.rows = a.old()
	a.oneClock().set(5 * 365 * 24 * time.Hour)
}

// numbers are what nobody may see a difference in.
func (a *ages) numbers() string {
	s := a.status(a.campaign)
	return fmt.Sprint(s.State, s.Planned, s.States, s.Reasons, s.NotPlanned)
}

// old counts what the rules remove.
func (a *ages) old() map[string]int {
	return map[string]int{
		"deliveries":  a.one("SELECT COUNT(*) FROM deliveries"),
		"not_planned": a.one("SELECT COUNT(*) FROM not_planned"),
		"responses":   a.one("SELECT COUNT(*) FROM responses"),
		"agents":      a.one("SELECT COUNT(*) FROM responses WHERE agent <> ''"),
	}
}

// stands looks whether everything is as it has to be at any moment.
func (a *ages) stands(when string) {
	a.t.Helper()
	if now := a.numbers(); now != a.before {
		a.t.Errorf("%s: %s became %s", when, a.before, now)
	}
	if n := a.one("SELECT COUNT(*) FROM deliveries d JOIN addresses x ON x.contact_id = d.contact_id WHERE x.value = '" + a.disputed + "'"); n != 1 {
		a.t.Errorf("%s: the restricted person has %d deliveries", when, n)
	}
	for rule, n := range a.old() {
		if n < a.rows[rule] && a.one("SELECT COUNT(*) FROM audit WHERE action = 'retention.begin' AND object = '"+rule+"'") == 0 {
			a.t.Errorf("%s: %d of %d %s are left, and no line says so", when, n, a.rows[rule], rule)
		}
	}
	a.well()
}

// killAgainAndAgain ends each run in the middle of a transaction or between
// two, until there is too little left to be killed at.
func (a *ages) killAgainAndAgain() {
	a.t.Helper()
	moments := []string{"in_prune:1", "after_prune:2", "in_prune:2"}
	deaths, plain := 0, a.env
	for i := 0; ; i++ {
		moment := moments[i%len(moments)]
		a.env = append(slices.Clone(plain), "RAPPORT_FAILPOINT="+moment)
		res := a.run("retention", "run")
		a.env = plain
		if moment == "in_prune:2" && res.code == 0 {
			break
		}
		if res.code != -1 && moment != "in_prune:1" || deaths > 60 {
			a.t.Fatalf("%s, after %d deaths: exit %d\n%s", moment, deaths, res.code, tail(res.stderr, 20))
		}
		if res.code == -1 {
			deaths++
		}
		a.stands(fmt.Sprintf("death %d, %s", deaths, moment))
	}
	a.t.Logf("%d deaths", deaths)
	if deaths < 8 {
		a.t.Errorf("it was killed only %d times", deaths)
	}
}

// finish: a run that nobody kills ends the work, and the next one has none.
func (a *ages) finish() {
	a.t.Helper()
	a.must("retention", "run")
	type kept struct {
		Rule string
		Went int
	}
	for _, k := range decode[[]kept](a.t, a.must("retention", "run", "--json").stdout) {
		if k.Went != 0 {
			a.t.Errorf("%d of %s went once more", k.Went, k.Rule)
		}
	}
	a.stands("at the end")
	if left := a.old(); left["deliveries"] != 1 || left["not_planned"] != 0 || left["responses"] != 0 {
		a.t.Errorf("left: %v", left)
	}
}

// linksWork: who finds the letter after years can still leave, see what they
// decided and follow its links; the letter itself cannot be shown any more.
func (a *ages) linksWork() {
	a.t.Helper()
	a.serve()
	for _, link := range a.sent.links("/c/") {
		if res := a.looks(http.MethodGet, link); res.StatusCode != http.StatusFound || res.Header.Get("Location") == "" {
			a.t.Errorf("a link of the letter: %d to %q", res.StatusCode, res.Header.Get("Location"))
		}
	}
	for what, c := range map[string]struct {
		link string
		code int
	}{
		"picture":     {a.sent.pixel(), http.StatusOK},
		"view":        {a.sent.links("/v/")[0], http.StatusNotFound},
		"preferences": {a.sent.links("/p/")[0], http.StatusOK},
		"unsubscribe": {a.sent.leave(), http.StatusOK},
	} {
		if res := a.looks(http.MethodGet, c.link); res.StatusCode != c.code {
			a.t.Errorf("%s: %d, want %d", what, res.StatusCode, c.code)
		}
	}
	if res, err := a.ask(http.MethodPost, a.sent.leave(), "List-Unsubscribe=One-Click"); err != nil || res.StatusCode != http.StatusOK {
		a.t.Fatalf("leave: %+v, %v", res, err)
	}
	if said := a.must("consent", "show", a.reader, "--json").stdout; !strings.Contains(said, `"withdrawn"`) {
		a.t.Errorf("they left, and the ledger does not say so:\n%s", said)
	}
}
