//go:build linux

package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDiskFull: when the disk of the data folder fills up, sending stops before
// an outcome is lost; health says why, unsubscribing does not pretend, and with
// room everything goes on by itself (T20).
func TestDiskFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{people: 400, mail: slow(15 * time.Millisecond)})
	if err := os.MkdirAll(r.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", r.path("data"), "tmpfs", 0, "size=32m,mode=0700"); err != nil {
		t.Skipf("a small disk cannot be made here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(r.path("data"), syscall.MNT_DETACH) })
	r.stock("full-offers")
	p := r.serve()
	r.must("campaigns", "start", "full-offers")
	r.taken(60)
	leave := r.letterFor(r.mail.Journal().Entries()[0].To).leave()
	fill(t, r.path("data", "filler"))

	eventually(t, "health says that the disk is full", patience, 100*time.Millisecond, func() bool {
		res, err := r.ask(http.MethodGet, "http://"+r.admin+"/readyz", "")
		return err == nil && res.StatusCode == http.StatusServiceUnavailable && strings.Contains(read(t, res), "is full")
	})
	stood := r.stands()
	if stood >= len(r.people.willing()) {
		t.Fatalf("everybody got it before the disk was full: %d", stood)
	}
	if res, err := r.ask(http.MethodPost, leave, "List-Unsubscribe=One-Click"); err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("unsubscribing on a full disk: %v, %v", res, err)
	}
	if p.ended() {
		t.Fatal("the process ended")
	}
	if err := os.Remove(r.path("data", "filler")); err != nil {
		t.Fatal(err)
	}
	a := r.finished("full-offers")
	r.judge("full-offers", r.people.willing(), r.mail.Journal().Entries(), bounds{})
	t.Logf("stood at %d, then %v", stood, a.States)
	if res, err := r.ask(http.MethodPost, leave, "List-Unsubscribe=One-Click"); err != nil || res.StatusCode/100 != 2 {
		t.Errorf("unsubscribing with room again: %v, %v", res, err)
	}
	eventually(t, "health is well again", patience, 100*time.Millisecond, func() bool {
		res, err := r.ask(http.MethodGet, "http://"+r.admin+"/readyz", "")
		return err == nil && res.StatusCode == http.StatusOK
	})
	r.intact()
	r.well()
}

// fill takes all the room there is.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 16
		}
	}
}

// stands waits until nothing more leaves, and says how many have.
func (r *rig) stands() int {
	r.t.Helper()
	last, since := r.mail.Journal().Taken(), time.Now()
	eventually(r.t, "nothing more leaves", patience, 50*time.Millisecond, func() bool {
		if n := r.mail.Journal().Taken(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 3*time.Second
	})
	return last
}

// intact asks SQLite whether its file is whole.
func (r *rig) intact() {
	r.t.Helper()
	db := r.db()
	defer func() { _ = db.Close() }()
	var said string
	if err := db.QueryRowContext(r.t.Context(), "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		r.t.Errorf("integrity check: %q, %v", said, err)
	}
}
