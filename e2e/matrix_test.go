package e2e

import (
	"os"
	"testing"
)

// fault is one line of docs/faults.md: what is done to an installation and
// what has to come of it. Its name begins with its number in that page.
type fault struct {
	name    string
	engines []string // embedded, postgres
	try     func(t *testing.T, s setup)
}

var (
	onBoth     = []string{"embedded", "postgres"}
	onEmbedded = []string{"embedded"}
	onPostgres = []string{"postgres"}
)

// matrix are the cases of TestMatrix, room by room.
func matrix() [][]fault {
	return [][]fault{crashFaults(), queueFaults(), sqlFaults(), clockFaults(), quietFaults(), campaignFaults(), inboxFaults()}
}

// TestMatrix is the fault matrix of processes, queue, database, clock and
// campaigns, in its short form; make chaos is the long one. Each case has an
// installation of its own. One is chosen by -run 'TestMatrix/T9_/postgres'.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, list := range matrix() {
		for _, f := range list {
			for _, engine := range f.engines {
				t.Run(f.name+"/"+engine, func(t *testing.T) {
					t.Parallel()
					f.try(t, setup{postgres: engine == "postgres"})
				})
			}
		}
	}
}

// copyFolder copies the regular files of a folder.
func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// plan makes people, letter and campaign, and starts it; nothing sends yet.
func (r *rig) plan(campaign, more string) {
	r.t.Helper()
	r.stock()
	r.create(campaign, more)
	r.must("campaigns", "start", campaign)
}

// works starts what sends: the serving process on SQLite, n workers otherwise.
func (r *rig) works(n int) []*process {
	r.t.Helper()
	if r.database == "" {
		return []*process{r.serve()}
	}
	list := make([]*process, n)
	for i, name := range []string{"one", "two", "three"}[:n] {
		list[i] = r.start(name, "work")
	}
	return list
}

// ends waits for the end of a run and lets the oracle judge it by everything
// the receiver took.
func (r *rig) ends(campaign string, b bounds) account {
	r.t.Helper()
	r.finished(campaign)
	a := r.judge(campaign, r.people.willing(), r.mail.Journal().Entries(), b)
	r.well()
	return a
}
