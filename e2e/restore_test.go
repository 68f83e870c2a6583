package e2e

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/journal"
)

// TestRestoredBackup: an older copy of the database is known for one. Nothing
// is sent, and everybody who asks is told why, until a person confirms; then
// nobody gets a marketing message twice, a transactional one keeps its
// Message-ID, and what is written later has numbers of its own (T26).
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.people, s.mail = 150, slow(20*time.Millisecond)
			r := newRig(t, s)
			r.stock("old-offers", "old-service", "between-offers")
			p := r.serve()
			r.must("campaigns", "start", "old-offers")
			r.must("campaigns", "start", "old-service")
			r.taken(60)
			p = r.backUp(p)
			r.finished("old-offers")
			r.finished("old-service")
			r.must("campaigns", "start", "between-offers")
			r.finished("between-offers")
			lately := r.mail.Journal().Entries()
			p.stop()
			r.putBack()

			p = r.start("serve", "serve")
			r.ready(p)
			r.heldBack(p, len(lately))
			res := r.must("restore", "confirm")
			if !strings.Contains(res.stdout, "now uncertain") || !strings.Contains(res.stdout, "sent again") {
				t.Errorf("restore confirm says\n%s", res.stdout)
			}
			a := r.finished("old-offers")
			if a.Reasons["uncertain"]["restored"] == 0 || a.States["sent"]+a.States["uncertain"] != a.Planned {
				t.Errorf("account %v %v", a.States, a.Reasons)
			}
			r.judge("old-offers", r.people.willing(), r.ofRun(lately, a.Run), bounds{uncertain: a.Planned})
			b := r.finished("old-service")
			if b.States["sent"] != b.Planned {
				t.Errorf("transactional: %v %v", b.States, b.Reasons)
			}
			r.fresh(lately)
			r.well()
		})
	}
}

// heldBack checks that nothing leaves and that everybody who asks is told why.
func (r *rig) heldBack(p *process, taken int) {
	r.t.Helper()
	const why = "the database is older than the last message sent"
	eventually(r.t, "the process says why it sends nothing", patience, 50*time.Millisecond, func() bool { return strings.Contains(p.out.String(), why) })
	a := r.await("old-offers", "waiting", func(a account) bool { return a.Waiting["held"] > 0 })
	if a.State != "running" {
		r.t.Errorf("old-offers is %s", a.State)
	}
	res, err := r.ask(http.MethodGet, "http://"+r.admin+"/readyz", "")
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(read(r.t, res), why) {
		r.t.Errorf("health: %v, %v", res, err)
	}
	if out := r.must("campaigns", "status", "old-offers").stdout; !strings.Contains(out, why) {
		r.t.Errorf("status does not say why:\n%s", out)
	}
	if out := r.must("restore", "status").stdout; !strings.Contains(out, why) || !strings.Contains(out, "will become uncertain") {
		r.t.Errorf("restore status:\n%s", out)
	}
	r.refused(4, "rapport restore confirm", "channels", "release", "news")
	time.Sleep(2 * time.Second) // a pump that is not held would have rung by now
	if n := len(r.mail.Journal().Entries()); n != taken {
		r.t.Errorf("%d messages left while all was held", n-taken)
	}
}

// fresh sends another campaign and checks that no Message-ID of before comes
// again in it, and that only transactional messages were repeated so far.
func (r *rig) fresh(lately []journal.Entry) {
	r.t.Helper()
	known := map[string]bool{}
	for _, e := range lately {
		known[e.Key] = true
	}
	service := map[string]bool{}
	repeated := r.mail.Journal().Entries()[len(lately):]
	for _, e := range repeated {
		service[e.Key] = true
		if !known[e.Key] {
			r.t.Errorf("%s got %s, which is none of the messages that were open in the backup", e.To, e.Key)
		}
	}
	n := len(lately) + len(repeated)
	r.create("fresh-offers", "")
	r.must("campaigns", "start", "fresh-offers")
	a := r.finished("fresh-offers")
	if a.States["sent"] != a.Planned || a.Planned == 0 {
		r.t.Errorf("a campaign after the restore: %v", a.States)
	}
	for _, e := range r.mail.Journal().Entries()[n:] {
		if known[e.Key] {
			r.t.Errorf("%s is the Message-ID of two messages", e.Key)
		}
	}
}

// backUp makes a copy of the database while the campaign goes on; on
// PostgreSQL the process is stopped for it. It returns the process that goes on.
func (r *rig) backUp(p *process) *process {
	r.t.Helper()
	if r.database == "" {
		r.must("backup", r.path("backup.db"))
		return p
	}
	p.stop()
	r.onServer(func(name string) []string { return []string{"CREATE DATABASE " + name + "_old TEMPLATE " + name} })
	return r.serve()
}

// putBack puts the copy in the place of the database.
func (r *rig) putBack() {
	r.t.Helper()
	if r.database != "" {
		r.onServer(func(name string) []string {
			return []string{"DROP DATABASE " + name + " WITH (FORCE)", "ALTER DATABASE " + name + "_old RENAME TO " + name}
		})
		return
	}
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Remove(r.path("data", "rapport.db"+side)); err != nil && !os.IsNotExist(err) {
			r.t.Fatal(err)
		}
	}
	if err := os.Rename(r.path("backup.db"), r.path("data", "rapport.db")); err != nil {
		r.t.Fatal(err)
	}
}

// onServer runs statements about the rig's database from another one.
func (r *rig) onServer(statements func(name string) []string) {
	r.t.Helper()
	address, query, _ := strings.Cut(r.database, "?")
	name := path.Base(address)
	db, err := sql.Open("pgx", strings.TrimSuffix(address, name)+"postgres?"+query)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements(name) {
		if _, err := db.ExecContext(context.WithoutCancel(r.t.Context()), s); err != nil {
			r.t.Fatalf("%s: %v", s, err)
		}
	}
}

// ofRun are the entries whose Message-ID is of a run.
func (r *rig) ofRun(entries []journal.Entry, uid string) []journal.Entry {
	db := r.db()
	defer func() { _ = db.Close() }()
	var run int64
	if err := db.QueryRowContext(r.t.Context(), "SELECT id FROM runs WHERE uid = '"+uid+"'").Scan(&run); err != nil {
		r.t.Fatal(err)
	}
	mine := "<d" + strconv.FormatInt(run, 36) + "-"
	var out []journal.Entry
	for _, e := range entries {
		if strings.HasPrefix(e.Key, mine) {
			out = append(out, e)
		}
	}
	return out
}

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
