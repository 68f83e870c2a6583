package store

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/outbox"
	"rapport/responses"
)

// tracking runs a test on a store that tracks in that way, with four people:
// the first has said yes to it, the second for another address, the third no,
// and the fourth was never asked.
func tracking(t *testing.T, way Tracking, test func(t *testing.T, s *Store)) {
	t.Helper()
	prepare := func(t *testing.T, o Options) {
		o.Tracking = way
		s := opened(t, o)
		s.people(t, "marketing", 4)
		s.do(t, `INSERT INTO topics (id, name, kind, created_at) VALUES (2, 'tracking', 'marketing', 1)`)
		s.says(t, 1, "granted", "loft-1")
		s.says(t, 2, "granted", "another loft")
		s.says(t, 3, "withdrawn", "loft-3")
		test(t, s)
	}
	t.Run("sqlite", func(t *testing.T) { prepare(t, Options{Data: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) {
		url := os.Getenv("RAPPORT_TEST_POSTGRES")
		if url == "" {
			t.Skip("RAPPORT_TEST_POSTGRES is not set")
		}
		prepare(t, Options{Data: t.TempDir(), Database: ownSchema(t, url)})
	})
}

// says records what somebody says about being tracked; the line is 200 and the
// number of the person.
func (s *Store) says(t *testing.T, contact int, state, address string) {
	t.Helper()
	entry := 200 + contact
	s.do(t, fmt.Sprintf(`DELETE FROM consents WHERE contact_id = %d AND topic_id = 2`, contact),
		fmt.Sprintf(`INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment)
		 SELECT %d, %d, 'pigeon', 2, '%s', 'consent', 1, 1, '' WHERE NOT EXISTS (SELECT 1 FROM consent_entries WHERE id = %d)`, entry, contact, state, entry),
		fmt.Sprintf(`INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at) VALUES (%d, 'pigeon', 2, '%s', '%s', %d, 1)`,
			contact, state, address, entry))
}

// named claims everything and says who the letters lead to.
func (s *Store) claimNamed(t *testing.T) map[int64]bool {
	t.Helper()
	seat, err := s.Sit(t.Context(), "w", start)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Claim(t.Context(), 1, seat.ID(), 100, start)
	if err != nil || len(list) != 4 {
		t.Fatalf("claimed %d: %v", len(list), err)
	}
	out := map[int64]bool{}
	for _, d := range list {
		if d.Named {
			out[d.Contact] = true
		}
	}
	return out
}

// rests reads on what the tracking of each delivery rests; -1 for none.
func (s *Store) rests(t *testing.T) map[int64]int64 {
	t.Helper()
	out := map[int64]int64{}
	_, err := collect(t.Context(), s.reader(), `SELECT contact_id, COALESCE(tracked, -1) FROM deliveries`, func(scan func(...any) error) (struct{}, error) {
		var contact, on int64
		err := scan(&contact, &on)
		out[contact] = on
		return struct{}{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOnlyWhoSaidYesIsTracked(t *testing.T) {
	tracking(t, TrackGranted, func(t *testing.T, s *Store) {
		if diff := cmp.Diff(map[int64]bool{1: true}, s.claimNamed(t)); diff != "" {
			t.Errorf("letters lead to (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[int64]int64{1: 201, 2: -1, 3: -1, 4: -1}, s.rests(t)); diff != "" {
			t.Errorf("it rests on (-want +got):\n%s", diff)
		}
	})
}

func TestAYesThatHasEndedTracksNobody(t *testing.T) {
	tracking(t, TrackGranted, func(t *testing.T, s *Store) {
		s.says(t, 4, "granted", "loft-4")
		s.do(t, fmt.Sprintf(`UPDATE consents SET expires_at = %d WHERE topic_id = 2 AND contact_id = 1`, micros(start)),
			fmt.Sprintf(`UPDATE consents SET expires_at = %d WHERE topic_id = 2 AND contact_id = 4`, micros(start)+1))
		if diff := cmp.Diff(map[int64]bool{4: true}, s.claimNamed(t)); diff != "" {
			t.Errorf("letters lead to (-want +got):\n%s", diff)
		}
		for contact, want := range map[int64]bool{1: false, 4: true} {
			if d, err := s.Delivered(t.Context(), 1, contact); err != nil || d.Named != want {
				t.Errorf("the letter of contact %d shown once more leads to them: %v (%v)", contact, d.Named, err)
			}
		}
	})
}

func TestStatedGroundEndsWithANo(t *testing.T) {
	tracking(t, TrackStated, func(t *testing.T, s *Store) {
		if diff := cmp.Diff(map[int64]bool{1: true, 2: true, 4: true}, s.claimNamed(t)); diff != "" {
			t.Errorf("letters lead to (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[int64]int64{1: 0, 2: 0, 3: -1, 4: 0}, s.rests(t)); diff != "" {
			t.Errorf("it rests on (-want +got):\n%s", diff)
		}
	})
}

// TestMarksEndTracking: a general objection ends what rests on a stated ground,
// and a restriction ends all of it.
func TestMarksEndTracking(t *testing.T) {
	for way, want := range map[Tracking]map[int64]bool{TrackGranted: {4: true}, TrackStated: {2: true}} {
		tracking(t, way, func(t *testing.T, s *Store) {
			s.says(t, 4, "granted", "loft-4")
			s.do(t, `UPDATE contacts SET restricted_at = 1 WHERE id = 1`, `UPDATE contacts SET objected_at = 1 WHERE id = 4`)
			if diff := cmp.Diff(want, s.claimNamed(t)); diff != "" {
				t.Errorf("%s: letters lead to (-want +got):\n%s", way, diff)
			}
			for contact := range int64(4) {
				d, err := s.Delivered(t.Context(), 1, contact+1)
				if err != nil || d.Named != want[contact+1] {
					t.Errorf("%s: the letter of contact %d shown once more leads to them: %v (%v)", way, contact+1, d.Named, err)
				}
			}
		})
	}
}

func TestARunMayTrackLess(t *testing.T) {
	for _, way := range []Tracking{TrackGranted, TrackStated} {
		for _, mode := range []string{outbox.TrackAggregate, outbox.TrackOff} {
			tracking(t, way, func(t *testing.T, s *Store) {
				s.do(t, `UPDATE runs SET terms = '{"tracking":"`+mode+`"}'`)
				if got := s.claimNamed(t); len(got) != 0 {
					t.Errorf("letters of a run with tracking: %s lead to %v", mode, got)
				}
			})
		}
	}
	tracking(t, TrackNobody, func(t *testing.T, s *Store) {
		if got := s.claimNamed(t); len(got) != 0 {
			t.Errorf("letters lead to %v though nothing permits it", got)
		}
	})
}

// TestHitsAfterAWithdrawalNameNobody: the letter leads to the person, who has
// withdrawn since; what comes back is counted, each visitor on their own.
func TestHitsAfterAWithdrawalNameNobody(t *testing.T) {
	tracking(t, TrackGranted, func(t *testing.T, s *Store) {
		s.says(t, 4, "granted", "loft-4")
		s.claimNamed(t)
		s.do(t, `UPDATE deliveries SET state = 'sent', updated_at = 1`)
		open := func(contact int64, visitor uint64) responses.Event {
			return responses.Event{Kind: responses.Opened, Run: 1, Contact: contact, At: start, Visitor: visitor}
		}
		add := func(want int, events ...responses.Event) {
			t.Helper()
			if n, err := s.AddResponses(t.Context(), events, nil); err != nil || n != want {
				t.Fatalf("%d added, want %d: %v", n, want, err)
			}
		}
		add(2, open(1, 11), open(4, 14))
		s.says(t, 4, "withdrawn", "loft-4")
		later := start.Add(time.Hour)
		a, b, again, left := open(4, 14), open(2, 12), open(1, 11), open(4, 14)
		a.At, b.At, again.At, left.At = later, later, later, later
		left.Kind = responses.Unsubscribed // is said by a person, not found out
		add(4, a, b, again, left)
		got, err := s.Tracked(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Sent != 4 || got.ByPerson != 2 || got.Opened != 2 || got.AnonOpens != 2 || got.Clicked != 0 {
			t.Errorf("counted: %+v", got)
		}
		for contact, want := range map[int64]int{1: 2, 2: 0, 4: 2} {
			list, err := s.ResponsesOf(t.Context(), contact, 10)
			if err != nil || len(list) != want {
				t.Errorf("of contact %d there are %v (%v), want %d", contact, list, err, want)
			}
		}
		for contact, want := range map[int64]bool{1: true, 2: false, 3: false, 4: false} {
			d, err := s.Delivered(t.Context(), 1, contact)
			if err != nil || d.Named != want {
				t.Errorf("the letter of contact %d shown once more leads to them: %v (%v)", contact, d.Named, err)
			}
		}
	})
}
