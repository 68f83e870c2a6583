package store

import (
	"context"
	"slices"

	"rapport/outbox"
)

// Being sent is what becomes of nearly every row that may leave. Where a
// statement is no journey it is written without reading the row first: the
// condition says all that would be asked, and batch is what its worker knows.
const qSentKnown query = `
UPDATE deliveries SET state = 'sent', attempt = attempt + 1, worker_id = NULL,
  code = '', provider_id = $4, server = $5, updated_at = $3
WHERE id = $1 AND turn = $2 AND state = 'sending' AND batch_id = $6`

// settleKnown writes what needs no reading and returns the rest: what is of
// another kind, and what did not find its row as it should be.
func (t tx) settleKnown(ctx context.Context, c *counts, settled []outbox.Settlement) (rest []outbox.Settlement, err error) {
	if t.w == nil {
		return settled, nil
	}
	for i, m := range settled {
		known := m.Batch > 0 && m.State == outbox.Sent && m.Charge && m.Verdict == "" && m.Hold == nil &&
			!slices.ContainsFunc(rest, func(before outbox.Settlement) bool { return before.Delivery == m.Delivery })
		if known {
			n, err := t.exec(ctx, qSentKnown, m.Delivery, m.Turn, micros(m.At), m.ProviderID, m.Server, m.Batch)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				c.add(m.Batch, outbox.Sending, outbox.Sent, m.NotBefore)
				continue
			}
		}
		if rest == nil {
			rest = make([]outbox.Settlement, 0, len(settled)-i)
		}
		rest = append(rest, m)
	}
	return rest, nil
}
