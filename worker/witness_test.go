package worker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/internal/testkit"
	"rapport/outbox"
	"rapport/store"
)

// begun is a worker's witness over a store, as a process of that folder and
// Redis would have it.
func begun(t *testing.T, s outbox.Milestones, data string, found ...spooled) (*witness, error) {
	t.Helper()
	w := newWitness(Options{
		Milestones: s, Space: "witness", Data: data, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Random: func() string { return "this" },
	}, nil)
	return w, w.begin(t.Context(), []string{"birds"}, found)
}

// TestOlderDatabaseIsKnown: what is counted in the database is remembered in
// the folder, and a database that is behind it stands still until somebody
// lets it go on; then it is no longer behind.
func TestOlderDatabaseIsKnown(t *testing.T) {
	t.Parallel()
	testkit.EachStore(t, func(t *testing.T, s *store.Store) {
		data := t.TempDir()
		w, err := begun(t, s, data)
		if err != nil || w.stands() != nil {
			t.Fatalf("a new one stands still: %v, %v", w.stands(), err)
		}
		for range 7 {
			w.departed()
		}
		if err := w.look(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		here, _, err := s.Milestone(t.Context(), "")
		if err != nil || here.Departed != 7 {
			t.Fatalf("%+v, %v", here, err)
		}
		if again, err := begun(t, s, data); err != nil || again.stands() != nil {
			t.Fatalf("the same database stands still: %v", err)
		}
		// The folder remembers more than the database: it is an older copy.
		ahead := here
		ahead.Departed += 1234
		if err := Remember(data, ahead); err != nil {
			t.Fatal(err)
		}
		older, err := begun(t, s, data)
		if err != nil || older.stands() == nil || !strings.Contains(older.stands().Why, "1,234 messages sent since") {
			t.Fatalf("%+v, %v", older.stands(), err)
		}
		if holds, err := s.Holds(t.Context(), time.Now()); err != nil || len(holds) != 1 || holds[0].Reason != outbox.Restored {
			t.Errorf("holds %+v, %v", holds, err)
		}
		if lifted, err := s.Lift(t.Context(), "birds"); err != nil || lifted {
			t.Errorf("the channel could be released by itself: %v, %v", lifted, err)
		}
		next, err := begun(t, s, data) // a restart changes nothing
		if err != nil || next.stands() == nil {
			t.Fatalf("%+v, %v", next.stands(), err)
		}
		if err := s.GoAgain(t.Context(), 100, 1000); err != nil {
			t.Fatal(err)
		}
		if err := next.look(t.Context(), nil); err != nil || next.stands() != nil {
			t.Errorf("it does not hear that it may go on: %v, %v", next.stands(), err)
		}
		if last, err := begun(t, s, data); err != nil || last.stands() != nil {
			t.Errorf("it stands still again: %v, %v", last.stands(), err)
		}
		if holds, err := s.Holds(t.Context(), time.Now()); err != nil || len(holds) != 0 {
			t.Errorf("holds %+v, %v", holds, err)
		}
	})
}

// neighbours are others who send and remember right after each look into the
// database.
type neighbours struct {
	*store.Store

	data string
}

func (n neighbours) Milestone(ctx context.Context, name string) (outbox.Milestone, outbox.Standstill, error) {
	here, still, err := n.Store.Milestone(ctx, name)
	if err == nil {
		var later outbox.Milestone
		if later, _, err = n.Pass(ctx, 5, time.Now()); err == nil {
			err = Remember(n.data, later)
		}
	}
	return here, still, err
}

// TestBusyDatabaseIsNotOld: a process that starts while others send does not
// take the database for an older copy.
func TestBusyDatabaseIsNotOld(t *testing.T) {
	t.Parallel()
	testkit.EachStore(t, func(t *testing.T, s *store.Store) {
		data := t.TempDir()
		for range 3 {
			w, err := begun(t, neighbours{s, data}, data)
			if err != nil || w.stands() != nil {
				t.Fatalf("%+v, %v", w.stands(), err)
			}
		}
	})
}

// TestDatabaseReplacedBeneathAProcess: a living process finds it within its
// next look.
func TestDatabaseReplacedBeneathAProcess(t *testing.T) {
	t.Parallel()
	s := testkit.Store(t)
	w, err := begun(t, s, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.last.Departed = 50 // as of the database that was there a second ago
	if err := w.look(t.Context(), []string{"birds"}); err != nil || w.stands() == nil {
		t.Errorf("it goes on: %v", err)
	}
}

// TestOutcomesNobodyKnows: an outcome in the spool of a claim that the database
// knows nothing of is proof enough.
func TestOutcomesNobodyKnows(t *testing.T) {
	t.Parallel()
	s := testkit.Store(t)
	w, err := begun(t, s, t.TempDir(), spooled{Settlement: outbox.Settlement{Delivery: 9, Turn: 1}})
	if err != nil || w.stands() == nil || !strings.Contains(w.stands().Why, "the spool holds 1 message") {
		t.Errorf("%+v, %v", w.stands(), err)
	}
}

func TestTornMilestoneSaysNothing(t *testing.T) {
	t.Parallel()
	m := outbox.Milestone{Installation: "x", Departed: 5, At: time.UnixMicro(7).UTC(), Run: 2, Contact: 3}
	text := milestoneText(m)
	if got, ok := parseMilestone(text + "   \n"); !ok || got != m {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, bad := range []string{"", "x", text[:len(text)-1], strings.Replace(text, "5", "6", 1), "a b c d e f"} {
		if _, ok := parseMilestone(bad); ok {
			t.Errorf("%q is believed", bad)
		}
	}
	dir := t.TempDir()
	if err := Remember(dir, m); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, witnessFile))
	if err != nil || info.Size() != witnessSize || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestSpoolOfAnotherDatabase: its outcomes are refused, an empty one is taken.
func TestSpoolOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _, err := openSpools(dir, fingerprint("mine"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.add(outbox.Settlement{Delivery: 1, Turn: 1, State: outbox.Sent, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	letGo(s)
	if _, _, err := openSpools(dir, fingerprint("yours")); !errors.Is(err, errForeign) {
		t.Errorf("outcomes of another database: %v", err)
	}
	s, found, err := openSpools(dir, fingerprint("mine"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	s.settled(found[0].from)
	s.close()
	if s, _, err = openSpools(dir, fingerprint("yours")); err != nil {
		t.Errorf("an empty spool is refused: %v", err)
	} else {
		s.close()
	}
}

// letGo closes the files as the end of the process does.
func letGo(s *spool) {
	for _, seg := range s.pair {
		_ = seg.file.Close()
	}
}

// TestForeignSpoolIsASentence: who starts over it is told what to do.
func TestForeignSpoolIsASentence(t *testing.T) {
	t.Parallel()
	one := testkit.Store(t)
	r := newRig(t, one, birds(newLoft()), func(o *Options) { o.Milestones = one })
	s, _, err := openSpools(r.o.Data, fingerprint("another"))
	if err != nil {
		t.Fatal(err)
	}
	_ = s.reserve()
	if _, err := s.add(outbox.Settlement{Delivery: 1, Turn: 1, State: outbox.Sent, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	letGo(s)
	w, err := New(t.Context(), r.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(context.WithoutCancel(t.Context())); rapport.KindOf(err) != rapport.Conflict || !strings.Contains(err.Error(), "of another database") {
		t.Errorf("%v", err)
	}
}
