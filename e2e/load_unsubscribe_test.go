//go:build load

package e2e

import (
	"runtime"
	"testing"
	"time"

	"rapport/internal/fake/journal"
)

// leave is the run in which ten people a second leave by one click, of
// RAPPORT_LOAD_N, and a thousand scanners look at the links of others:
// -run 'TestLoad/sqlite/unsubscribe'. The channel is held to a thousand a second,
// so that the storm lasts. What is judged is who still gets a letter after they
// have been told that they have left.
func (l load) leave(t *testing.T) {
	n := number(t, "RAPPORT_LOAD_N", 100_000)
	record, err := journal.New(journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mail := stormy(0)
	mail.Journal = record
	s := setup{people: n, postgres: l.postgres, connections: number(t, "RAPPORT_LOAD_CONNS", 10), mail: mail, channel: "    rate: 1000/s\n"}
	r := newRig(t, s)
	t.Logf("%d cores, %s", runtime.NumCPU(), runtime.Version())
	file := r.people.write(t, r.dir)
	if in := r.runFor(loadPatience, "contacts", "import", file, "--json"); in.code != 0 {
		t.Fatalf("import: exit %d\n%s", in.code, in.stderr)
	}
	r.must("templates", "put", r.letter())
	r.create("load-offers", "")
	r.serve()
	x := &storm{rig: r, campaign: "load-offers", every: 100 * time.Millisecond, scans: 1000, limit: loadPatience}
	a, line := x.play()
	t.Logf("%d planned, %d sent, %d suppressed in %s", a.Planned, a.States["sent"], a.States["suppressed"], a.FinishedAt.Sub(a.StartedAt).Round(time.Second))
	t.Log(line)
	r.judge("load-offers", x.expected(), record.Entries(), bounds{stopped: -1})
	r.well()
}
