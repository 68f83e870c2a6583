package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rapport/outbox"
)

// TestSettledByWhatIsKnown: whether a settlement names its batch makes no
// difference to what is written, whatever else comes with it.
func TestSettledByWhatIsKnown(t *testing.T) {
	const people = 9
	at := start.Add(time.Second)
	settlements := func(list []outbox.Delivery, batch int64) (out []outbox.Settlement) {
		sent := func(n int) outbox.Settlement {
			return outbox.Settlement{Delivery: list[n].ID, Turn: list[n].Turn, Batch: batch, State: outbox.Sent, Charge: true, At: at, ProviderID: fmt.Sprint("p", n), Server: "mx"}
		}
		with := func(m outbox.Settlement, do func(*outbox.Settlement)) outbox.Settlement {
			do(&m)
			return m
		}
		again := func(m *outbox.Settlement) {
			m.State, m.Reason, m.NotBefore, m.Verdict, m.Code = outbox.Queued, outbox.WaitRetry, at.Add(time.Hour), "temporary", "451"
		}
		return []outbox.Settlement{
			sent(0),
			with(sent(1), func(m *outbox.Settlement) { m.Turn++ }), // of another turn
			with(sent(2), again), sent(2), // waits, and an outcome too late
			sent(3), with(sent(3), again), // the other way round
			sent(4), with(sent(4), func(m *outbox.Settlement) { m.ProviderID = "twice" }),
			with(sent(5), func(m *outbox.Settlement) { m.Charge = false }),
			with(sent(6), func(m *outbox.Settlement) { m.State, m.Reason, m.Verdict = outbox.Failed, outbox.Refused, "malformed" }),
			sent(7), // whose intent is not written
		}
	}
	each(t, func(t *testing.T, s *Store) {
		s.people(t, "marketing", people)
		seat, list := claimAll(t, s, people)
		rows := func() []string {
			t.Helper()
			all, err := collect(t.Context(), s.reader(), `
SELECT d.id, d.turn, d.batch_id, d.state, d.reason, d.attempt, d.not_before, COALESCE(d.worker_id, 0), d.code, d.provider_id, d.server, d.updated_at,
  b.queued, b.claimed, b.sending, b.sent, b.failed, COALESCE(b.next_at, 0), (SELECT COUNT(*) FROM attempts)
FROM deliveries d, batches b WHERE b.id = d.batch_id ORDER BY d.id`, func(scan func(...any) error) (string, error) {
				var n [19]string
				into := make([]any, len(n))
				for i := range n {
					into[i] = &n[i]
				}
				err := scan(into...)
				return fmt.Sprint(n), err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		exchange := func(batch int64) []string {
			t.Helper()
			leave := append(slices.Clone(list[:7]), list[8])
			if got, err := s.exchanged(t.Context(), seat.ID(), nil, tickets(leave), start); err != nil || !got[0].Go {
				t.Fatalf("%+v %v", got, err)
			}
			// The ninth asks again in the exchange that settles it.
			last := outbox.Settlement{Delivery: list[8].ID, Turn: list[8].Turn, Batch: batch, State: outbox.Sent, Charge: true, At: at}
			got, err := s.exchanged(t.Context(), seat.ID(), append(settlements(list, batch), last), tickets(list[8:]), at)
			if err != nil || got[0].Go {
				t.Fatalf("%+v %v", got, err)
			}
			return rows()
		}
		want := exchange(0)
		for _, batch := range []int64{list[0].Batch, 77} {
			s.do(t, `DELETE FROM attempts`, fmt.Sprintf(`UPDATE deliveries SET state = 'claimed', reason = '', attempt = 0, not_before = 0, worker_id = %d,
				code = '', provider_id = '', server = '', updated_at = %d`, seat.ID(), start.UnixMicro()),
				fmt.Sprintf(`UPDATE batches SET queued = 0, claimed = %d, sending = 0, sent = 0, failed = 0, next_at = 1`, people))
			if got := exchange(batch); !slices.Equal(got, want) {
				t.Errorf("with batch %d:\n%q\nwant\n%q", batch, got, want)
			}
		}
		if a := s.accountOf(t, 1); a.States[outbox.Sent] != 6 || !a.Balanced() {
			t.Errorf("account %+v", a.States)
		}
	})
}
