package journal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fake/journal"
)

func TestCountsSurviveTheRing(t *testing.T) {
	j, err := journal.New(journal.Options{Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	j.Add(journal.Entry{To: "a", Key: "1", Outcome: journal.Accepted})
	j.Add(journal.Entry{To: "a", Key: "1", Outcome: journal.ReplyLost})
	j.Add(journal.Entry{To: "a", Key: "2", Outcome: journal.Accepted})
	j.Add(journal.Entry{To: "b", Key: "3", Outcome: journal.Refused, Code: 550})
	j.Add(journal.Entry{To: "a", Key: "2", Outcome: journal.Accepted})
	j.Add(journal.Entry{To: "c", Outcome: journal.Dropped})

	if got := j.Len(); got != 6 {
		t.Errorf("Len = %d, want 6", got)
	}
	if got := j.Taken(); got != 4 {
		t.Errorf("Taken = %d, want 4", got)
	}
	if got := j.Accepted("a"); got != 4 {
		t.Errorf("Accepted(a) = %d, want 4", got)
	}
	if got := j.Accepted("b"); got != 0 {
		t.Errorf("Accepted(b) = %d, want 0", got)
	}
	if diff := cmp.Diff(map[string]int{"a": 4}, j.Recipients()); diff != "" {
		t.Errorf("Recipients (-want +got):\n%s", diff)
	}
	want := []journal.Duplicate{{To: "a", Key: "1", Times: 2}, {To: "a", Key: "2", Times: 2}}
	if diff := cmp.Diff(want, j.Duplicates()); diff != "" {
		t.Errorf("Duplicates (-want +got):\n%s", diff)
	}
	var seqs []uint64
	for _, e := range j.Entries() {
		seqs = append(seqs, e.Seq)
	}
	if diff := cmp.Diff([]uint64{5, 6}, seqs); diff != "" {
		t.Errorf("Entries (-want +got):\n%s", diff)
	}
	if got := len(j.For("c")); got != 1 {
		t.Errorf("For(c) has %d entries, want 1", got)
	}
}

func TestCountOnlyKeepsNoEntries(t *testing.T) {
	j, err := journal.New(journal.Options{CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		j.Add(journal.Entry{To: "a", Key: "1", Outcome: journal.Accepted})
	}
	if j.Accepted("a") != 3 || len(j.Entries()) != 0 || len(j.Duplicates()) != 0 {
		t.Errorf("accepted %d, entries %d, duplicates %d; want 3, 0, 0",
			j.Accepted("a"), len(j.Entries()), len(j.Duplicates()))
	}
}

func TestFileIsReadBackAndAppendedTo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal.jsonl")
	at := time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC)
	var want []journal.Entry
	for range 2 {
		j, err := journal.New(journal.Options{File: file, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, j.Add(journal.Entry{
			Session: 7, From: "shop@example.com", To: "jürgen@example.com", Key: "<1@x>",
			Size: 12, Outcome: journal.Accepted, Code: 250, Meta: map[string]string{"Subject": "a\nb"},
		}))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := journal.Read(strings.NewReader(string(text) + `{"seq":3,"to":"cut o`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if _, err := journal.Read(strings.NewReader("{broken}\n")); err == nil {
		t.Error("a broken line was read without an error")
	}
}

func TestFileFailureIsReported(t *testing.T) {
	if _, err := journal.New(journal.Options{File: t.TempDir()}); err == nil {
		t.Error("a folder was opened as a journal file")
	}
}

func TestWait(t *testing.T) {
	j := journal.Memory()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := j.Wait(t.Context(), 100); err != nil {
				t.Errorf("Wait: %v", err)
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for range 25 {
				j.Add(journal.Entry{To: "a", Outcome: journal.Accepted})
			}
		})
	}
	all.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Wait(ctx, 101); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait for more than there is: %v, want context.Canceled", err)
	}
	if err := j.Wait(ctx, 100); err != nil {
		t.Errorf("Wait for what is there, context ended: %v, want nil", err)
	}
}

func TestPeak(t *testing.T) {
	j := journal.Memory()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, ms := range []int{0, 100, 900, 1000, 1050, 3000} {
		j.Add(journal.Entry{To: "a", Outcome: journal.Accepted, Time: start.Add(time.Duration(ms) * time.Millisecond)})
	}
	j.Add(journal.Entry{To: "a", Outcome: journal.Refused, Time: start})
	if got := j.Peak(time.Second); got != 4 {
		t.Errorf("Peak(1s) = %d, want 4", got)
	}
	if got := journal.Memory().Peak(time.Second); got != 0 {
		t.Errorf("Peak of nothing = %d, want 0", got)
	}
}
