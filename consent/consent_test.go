package consent

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func TestNext(t *testing.T) {
	none := Current{}
	yes := Current{Answer: Yes, State: Granted, Basis: ByConsent, Address: "a", At: day(5), Entry: 1}
	sure := Current{Answer: Yes, State: Confirmed, Basis: ByConsent, Address: "a", At: day(5), Entry: 1}
	wait := Current{Answer: Wait, State: Requested, Basis: ByConsent, Address: "a", At: day(5), Entry: 1}
	no := Current{Answer: No, State: Withdrawn, Basis: ByConsent, Address: "a", At: day(5), Entry: 1}
	say := func(s State, d int) Entry {
		return Entry{State: s, At: day(d), Address: "a", Source: "form", Basis: ByConsent}
	}
	with := func(e Entry, change func(*Entry)) Entry { change(&e); return e }
	again := func(e *Entry) { e.Resubscribe = true }
	undated := func(e *Entry) { e.Undated = true }
	until := func(d int) func(*Entry) { return func(e *Entry) { e.Expires = day(d) } }
	ends := yes
	ends.Expires = day(9)
	of := func(c Current, s State) Current { c.State = s; return c }
	for _, c := range []struct {
		name    string
		cur     Current
		entry   Entry
		answer  Answer
		changes bool
		err     error
	}{
		{"first yes", none, say(Granted, 6), Yes, true, nil},
		{"yes again", yes, say(Granted, 6), Yes, false, nil},
		{"yes for another address", yes, with(say(Granted, 6), func(e *Entry) { e.Address = "b" }), Yes, true, nil},
		{"old yes for another address", yes, with(say(Granted, 4), func(e *Entry) { e.Address = "b" }), Yes, false, nil},
		{"yes on another basis", yes, with(say(Granted, 6), func(e *Entry) { e.Basis = ByContract }), Yes, true, nil},
		{"yes without source", none, with(say(Granted, 6), func(e *Entry) { e.Source = "" }), None, false, ErrNoSource},
		{"yes without address", none, with(say(Granted, 6), func(e *Entry) { e.Address = "" }), None, false, ErrNoAddress},
		{"yes after no", no, say(Granted, 6), No, false, ErrWithdrawn},
		{"newer yes after no, of the person", no, with(say(Granted, 6), again), Yes, true, nil},
		{"older yes after no, of the person", no, with(say(Granted, 5), again), No, false, ErrWithdrawn},
		{"request", none, say(Requested, 6), Wait, true, nil},
		{"request again", wait, say(Requested, 6), Wait, false, nil},
		{"request when granted", yes, say(Requested, 6), Yes, false, nil},
		{"request after no", no, say(Requested, 6), No, false, ErrWithdrawn},
		{"confirmation", wait, say(Confirmed, 6), Yes, true, nil},
		{"confirmation of a grant", yes, say(Confirmed, 6), Yes, true, nil},
		{"grant of what is confirmed", sure, say(Granted, 6), Yes, false, nil},
		{"confirmation after no", no, say(Confirmed, 6), No, false, ErrWithdrawn},
		{"no", yes, say(Withdrawn, 6), No, true, nil},
		{"old no", yes, say(Withdrawn, 1), No, true, nil},
		{"no to a stranger", none, Entry{State: Withdrawn, At: day(6)}, No, true, nil},
		{"no again at once", no, with(say(Withdrawn, 5), func(e *Entry) { e.At = e.At.Add(time.Minute) }), No, false, nil},
		{"no again later", no, say(Withdrawn, 6), No, true, nil},
		{"no again of a file without times", no, with(say(Withdrawn, 6), undated), No, false, nil},
		{"yes after no, of a file without times", no, with(with(say(Granted, 6), again), undated), No, false, ErrWithdrawn},
		{"objection after no", no, say(Objected, 6), No, true, nil},
		{"expiry of a yes without end", yes, say(Expired, 6), Yes, false, nil},
		{"expiry before the end", ends, say(Expired, 8), Yes, false, nil},
		{"expiry at the end", ends, say(Expired, 9), None, true, nil},
		{"renewal", ends, with(say(Granted, 6), until(20)), Yes, true, nil},
		{"renewal of a confirmed one", of(ends, Confirmed), with(say(Confirmed, 6), until(20)), Yes, true, nil},
		{"renewal by a file without times", ends, with(with(say(Granted, 6), until(20)), undated), Yes, false, nil},
		{"renewal to an earlier end", ends, with(say(Granted, 6), until(8)), Yes, false, nil},
		{"a yes without end after one with an end", ends, say(Granted, 6), Yes, true, nil},
		{"a yes with an end after one without", yes, with(say(Granted, 6), until(20)), Yes, false, nil},
		{"a request after the end", ends, say(Requested, 9), Wait, true, nil},
		{"a file without times after the end", ends, with(with(say(Granted, 10), until(20)), undated), Yes, false, ErrEnded},
		{"a file without times after the expiry", Current{State: Expired}, with(say(Granted, 10), undated), None, false, ErrEnded},
		{"a file with times after the expiry", Current{State: Expired}, say(Granted, 10), Yes, true, nil},
		{"expiry of a request", wait, say(Expired, 6), None, true, nil},
		{"expiry of nothing", none, say(Expired, 6), None, false, nil},
		{"expiry of a no", no, say(Expired, 6), No, false, nil},
		{"erasure", no, say(Erased, 6), None, true, nil},
	} {
		next, changes, err := Next(c.cur, c.entry)
		if next.Answer != c.answer || changes != c.changes || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v, %v; want %q, %v, %v", c.name, next.Answer, changes, err, c.answer, c.changes, c.err)
		}
		if !changes && next != c.cur {
			t.Errorf("%s: nothing is written, but %+v becomes %+v", c.name, c.cur, next)
		}
	}
	if next, _, _ := Next(yes, say(Withdrawn, 1)); !next.At.Equal(day(5)) {
		t.Errorf("an old no counts from %v: a yes older than the last one could overturn it", next.At)
	}
}

// TestHistories plays random histories against the few sentences that people
// are promised, and derives each answer from the lines alone.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cur Current
		var lines []Record
		var model Answer
		var newest time.Time // of what the model stands on
		var lastNo time.Time // the newest no since one was overturned
		for i := range rapid.IntRange(1, 30).Draw(t, "length") {
			e := Entry{
				Contact: 1, Driver: "d", Topic: "t", Basis: ByConsent, Salt: []byte{byte(i)},
				State:       rapid.SampledFrom([]State{Requested, Granted, Confirmed, Withdrawn, Objected, Expired}).Draw(t, "state"),
				At:          day(rapid.IntRange(1, 9).Draw(t, "day")),
				Resubscribe: rapid.Bool().Draw(t, "resubscribe"),
				Source:      rapid.SampledFrom([]string{"", "form"}).Draw(t, "source"),
				Address:     rapid.SampledFrom([]string{"a", "b"}).Draw(t, "address"),
			}
			if end := rapid.IntRange(0, 9).Draw(t, "end"); end > 0 {
				e.Expires = day(end)
			}
			stood := cur.Address
			ended := cur.Ended(e.At)
			next, changes, _ := Next(cur, e)
			if cur.Answer == No && next.Answer != No {
				if !e.At.After(lastNo) {
					t.Fatalf("a %s of %s overturns a no of %s", e.State, e.At, lastNo)
				}
				lastNo = time.Time{} // overturned once and for all
			}
			if e.State.Answer() == No && e.At.After(lastNo) {
				lastNo = e.At
			}
			if changes {
				r, err := Draft(e, 1, day(20))
				if err != nil {
					t.Fatal(err)
				}
				r.ID = int64(i + 1)
				next.Contact, next.Driver, next.Topic, next.Entry = 1, "d", "t", r.ID
				if lines = append(lines, r); next.Answer == None {
					next = Current{}
				}
				cur = next
			}
			switch e.State.Answer() {
			case No:
				model = No
			case None:
				if model == Wait || model == Yes && ended {
					model = None
				}
			case Yes, Wait:
				heard := (e.State == Requested || e.Source != "") && (model != No || e.Resubscribe && e.At.After(newest))
				other := model == Yes && e.State == Requested && (e.Address == stood || e.At.Before(newest))
				if heard && (ended || !other && (model == None || model == No || !e.At.Before(newest))) {
					model = cur.Answer // which of the two is the table's matter
					if model != Yes && model != Wait {
						t.Fatalf("a %s that should be heard leaves %q", e.State, model)
					}
				}
			}
			if cur.Answer != model {
				t.Fatalf("after %d entries the answer is %q, want %q", i+1, cur.Answer, model)
			}
			newest = cur.At
			if e.Source == "" && changes && e.State != Requested && cur.Answer == Yes {
				t.Fatal("granted without a source")
			}
		}
		derived := Standing(lines)
		var want []Current
		if cur.Answer != None {
			want = []Current{cur}
		}
		if !same(derived, want) {
			t.Fatalf("derived %+v, want %+v", derived, want)
		}
	})
}

// TestChain changes one field of one line and expects another seal.
func TestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "lines")
		list := make([]Line, n)
		for i := range list {
			list[i] = Line{ID: int64(i + 1), Contact: 7, Driver: "d", TopicID: 1, State: Granted, Basis: ByConsent, At: day(1), RecordedAt: day(2), Commitment: "c", Topic: "t", Schema: Schema, Expires: day(9)}
		}
		seal := Chain(Seal{}, list, day(3))
		i := rapid.IntRange(0, n-1).Draw(t, "line")
		switch rapid.IntRange(0, 11).Draw(t, "field") {
		case 0:
			list[i].Contact++
		case 1:
			list[i].Driver += " "
		case 2:
			list[i].TopicID++
		case 3:
			list[i].State = Withdrawn
		case 4:
			list[i].Basis = ByContract
		case 5:
			list[i].At = list[i].At.Add(time.Microsecond)
		case 6:
			list[i].RecordedAt = list[i].RecordedAt.Add(time.Microsecond)
		case 7:
			list[i].Commitment += "c"
		case 8:
			list = append(list[:i], list[i+1:]...)
		case 9:
			list[i].Topic = "u"
		case 10:
			list[i].Schema--
		case 11:
			list[i].Expires = time.Time{}
		}
		if again := Chain(Seal{}, list, day(3)); again.Hash == seal.Hash {
			t.Fatal("a changed ledger has the same seal")
		}
	})
}
