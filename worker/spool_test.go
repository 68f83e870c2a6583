package worker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rapport/outbox"
)

func settlement(n int64) outbox.Settlement {
	return outbox.Settlement{
		Delivery: n, Turn: n % 7, State: outbox.Sent, Charge: true,
		At: time.UnixMicro(1_760_000_000_000_000 + n).UTC(), ProviderID: fmt.Sprintf("p-%d", n), Server: "mx1",
	}
}

func numbers(found []spooled) (out []int64) {
	for _, f := range found {
		out = append(out, f.Delivery)
	}
	return out
}

func mustOpen(t *testing.T, folder string) (*spool, []spooled) {
	t.Helper()
	s, found, err := openSpools(folder, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s, found
}

// add reserves and adds, as a message that leaves does.
func add(t *testing.T, s *spool, one outbox.Settlement) (done func()) {
	t.Helper()
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	done, err := s.add(one)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestRecordHoldsEverything(t *testing.T) {
	t.Parallel()
	at := time.UnixMicro(1_760_000_000_123_456).UTC()
	for _, s := range []outbox.Settlement{
		{},
		settlement(5),
		{
			Delivery: 1 << 40, Turn: 3, State: outbox.Queued, Reason: outbox.WaitHeld, NotBefore: at.Add(time.Hour), At: at,
			Verdict: "broken", Code: "550 5.7.1", Detail: "nicht erwünscht", Suppress: true, Strike: true,
			Hold: &outbox.Hold{Channel: "birds", Until: at.Add(time.Minute), Reason: outbox.PolicyRefused, Detail: "nicht erwünscht", Since: at},
		},
	} {
		got, err := decodeRecord(appendRecord(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("got  %+v\nwant %+v", got, s)
		}
	}
}

func TestRecordKeepsNoName(t *testing.T) {
	t.Parallel()
	s := settlement(1)
	s.Code, s.Detail = "550 jane.doe@example.com", `5.1.1 <jane.doe+news@example.com>: user unknown; "Jörg"@example.org too`
	b := string(appendRecord(nil, s))
	for _, name := range []string{"jane", "doe", "news"} {
		if strings.Contains(b, name) {
			t.Errorf("the record holds %q", name)
		}
	}
	if !strings.Contains(b, "example.com") || !strings.Contains(b, "user unknown") {
		t.Error("the record lost what a person needs to see")
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 5000)
	s := outbox.Settlement{
		Delivery: 1 << 62, Turn: 1 << 62, At: time.Now(), NotBefore: time.Now(), State: outbox.State(long), Reason: outbox.Reason(long),
		Verdict: long, Code: long, Detail: long, ProviderID: long, Server: long,
		Hold: &outbox.Hold{Channel: long, Until: time.Now(), Since: time.Now(), Reason: outbox.Reason(long)},
	}
	b := appendRecord(make([]byte, frameHeader), s)
	if len(b) > maxRecord {
		t.Fatalf("%d octets, at most %d are reserved", len(b), maxRecord)
	}
	if _, err := decodeRecord(b[frameHeader:]); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(appendRecord(nil, settlement(9)))
	f.Add([]byte{recordVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeRecord(b)
		if err != nil && !errors.Is(err, errRecord) {
			t.Errorf("%v", err)
		}
		if err == nil {
			if again, err := decodeRecord(appendRecord(nil, s)); err != nil || again.Delivery != s.Delivery {
				t.Errorf("not stable: %v, %v", again, err)
			}
		}
	})
}

func TestSpoolIsReadAgainUntilSettled(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, found := mustOpen(t, folder)
	if len(found) != 0 {
		t.Fatalf("a new spool holds %v", numbers(found))
	}
	add(t, s, settlement(1))
	add(t, s, settlement(2))
	s.close()
	for range 2 { // replayed twice: nothing was settled in between
		s, found = mustOpen(t, folder)
		if got := fmt.Sprint(numbers(found)); got != "[1 2]" {
			t.Fatalf("found %s", got)
		}
		if !reflect.DeepEqual(found[1].Settlement, settlement(2)) {
			t.Errorf("found %+v", found[1].Settlement)
		}
		if s.waiting() == 0 {
			t.Error("says that nothing waits")
		}
		s.close()
	}
	s, found = mustOpen(t, folder)
	for _, f := range found {
		s.settled(f.from)
	}
	s.close()
	s, found = mustOpen(t, folder)
	if len(found) != 0 || s.waiting() != 0 {
		t.Fatalf("settled outcomes came back: %v", numbers(found))
	}
}

func TestSpoolWithATornTail(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, _ := mustOpen(t, folder)
	for n := range int64(3) {
		add(t, s, settlement(n))
	}
	end := s.pair[0].at
	s.close()
	path := filepath.Join(folder, "spool", "00a")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := end - int64(len(appendRecord(nil, settlement(2)))) - frameHeader
	for cut := last; cut < end; cut += 5 {
		for _, tail := range [][]byte{nil, make([]byte, segmentSize-cut)} { // file ends, or was reserved
			if err := os.WriteFile(path, append(whole[:cut:cut], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			s, found, err := openSpools(folder, 7)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if got := fmt.Sprint(numbers(found)); got != "[0 1]" {
				t.Fatalf("cut at %d: found %s", cut, got)
			}
			s.close()
		}
	}
}

func TestSpoolTurnsItsFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, _ := mustOpen(t, folder)
	var open []func()
	const most = 100_000
	n := int64(0)
	for ; n < most && s.active == 0; n++ {
		open = append(open, add(t, s, settlement(n)))
	}
	if n == most {
		t.Fatal("the first file never filled")
	}
	for _, done := range open[:len(open)-1] { // the last one lies in the second file
		done()
	}
	for ; n < most && s.active == 1; n++ {
		open = append(open, add(t, s, settlement(n)))
	}
	if s.active != 0 {
		t.Fatal("it did not go back to the first file, which is empty")
	}
	s.close()
	_, found := mustOpen(t, folder)
	seen := map[int64]bool{}
	for _, f := range found {
		seen[f.Delivery] = true
	}
	if seen[0] {
		t.Error("a settled outcome came back from a file that was used again")
	}
	if !seen[n-1] {
		t.Error("the newest outcome is lost")
	}
}

func TestFullSpoolLetsNothingLeave(t *testing.T) {
	t.Parallel()
	s, _ := mustOpen(t, t.TempDir())
	var open []func()
	for n := int64(0); ; n++ {
		if err := s.reserve(); err != nil {
			break
		}
		done, err := s.add(settlement(n))
		if err != nil {
			t.Fatalf("room was reserved for outcome %d and there was none: %v", n, err)
		}
		open = append(open, done)
	}
	for _, done := range open {
		done()
	}
	if err := s.reserve(); err != nil {
		t.Fatalf("it does not recover: %v", err)
	}
}

func TestReservedRoomIsThere(t *testing.T) {
	t.Parallel()
	s, _ := mustOpen(t, t.TempDir())
	reserved := 0
	for ; s.reserve() == nil; reserved++ {
	}
	one := settlement(1)
	one.Detail = strings.Repeat("x", 1000)
	for n := range reserved {
		if _, err := s.add(one); err != nil {
			t.Fatalf("outcome %d of %d: %v", n, reserved, err)
		}
	}
}

func TestSpoolsOfOneFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, _ := mustOpen(t, folder)
	second, _ := mustOpen(t, folder)
	add(t, first, settlement(1))
	add(t, second, settlement(2))
	if _, found, err := orphans(folder, 7); err != nil || len(found) != 0 {
		t.Fatalf("took %v from living processes: %v", numbers(found), err)
	}
	second.close()
	taken, found, err := orphans(folder, 7)
	if err != nil || fmt.Sprint(numbers(found)) != "[2]" || len(taken) != 1 {
		t.Fatalf("found %v: %v", numbers(found), err)
	}
	first.settled(found[0].from)
	taken[0].close()
	if _, found, _ := orphans(folder, 7); len(found) != 0 {
		t.Fatalf("found %v again", numbers(found))
	}
}

func TestBrokenDiskStopsDeparturesAndHeals(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, _ := mustOpen(t, folder)
	add(t, s, settlement(1))
	good := s.pair[0].file
	broken, err := os.Open(good.Name()) // for reading only: every write fails
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = broken.Close() }()
	s.pair[0].file = broken
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.add(settlement(2)); err == nil {
		t.Fatal("wrote to a file that takes nothing")
	}
	if s.reserve() == nil || s.check() == nil {
		t.Fatal("messages may leave although the spool takes nothing")
	}
	s.pair[0].file = good
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	add(t, s, settlement(3))
	s.close()
	if _, found := mustOpen(t, folder); fmt.Sprint(numbers(found)) != "[1 3]" {
		t.Errorf("found %v", numbers(found))
	}
}

func TestSpoolOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, _ := mustOpen(t, folder)
	add(t, s, settlement(1))
	seg := s.pair[0]
	body := append([]byte(nil), seg.buf[frameHeader:]...)
	body[0] = 99
	frame := append([]byte{byte(len(body)), 0, 0, 0}, 0, 0, 0, 0)
	sum := seg.sum(body)
	frame[4], frame[5], frame[6], frame[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	if _, err := seg.file.WriteAt(append(frame, body...), segmentHeader); err != nil {
		t.Fatal(err)
	}
	s.close()
	if _, _, err := openSpools(folder, 7); !errors.Is(err, errRecord) {
		t.Errorf("got %v", err)
	}
}

// TestSpoolKeepsNoWords: what a provider said is overwritten once it stands in
// the database and the spool is idle.
func TestSpoolKeepsNoWords(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, _, err := openSpools(folder, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	holds := func() bool {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(folder, "spool", "00a"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(data, []byte("says-marker"))
	}
	var settle []func()
	for range 3 {
		if err := s.reserve(); err != nil {
			t.Fatal(err)
		}
		done, err := s.add(outbox.Settlement{Delivery: 1, Turn: 1, State: outbox.Failed, Verdict: "permanent", Detail: "550 says-marker", ProviderID: "says-marker"})
		if err != nil {
			t.Fatal(err)
		}
		settle = append(settle, done)
	}
	if err := s.check(); err != nil || !holds() {
		t.Fatalf("what is not in the database is gone: %v", err)
	}
	for _, done := range settle {
		done()
	}
	if err := s.check(); err != nil || holds() {
		t.Fatalf("words are left: %v", err)
	}
}
