package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"rapport/outbox"
)

// counts gathers how many deliveries of which batch move from state to state,
// so that the batch's counters change with its rows.
type counts struct {
	byBatch map[int64]*delta
}

type delta struct {
	n   map[outbox.State]int64
	due int64 // earliest time something was queued for; 0: nothing was
}

// add counts one move. A row that is queued again tells when it is due.
func (c *counts) add(batch int64, from, to outbox.State, due time.Time) {
	c.addN(batch, from, to, 1, due)
}

func (c *counts) addN(batch int64, from, to outbox.State, n int64, due time.Time) {
	if c.byBatch == nil {
		c.byBatch = map[int64]*delta{}
	}
	d := c.byBatch[batch]
	if d == nil {
		d = &delta{n: map[outbox.State]int64{}}
		c.byBatch[batch] = d
	}
	d.n[from] -= n
	d.n[to] += n
	if to == outbox.Queued {
		at := max(micros(due), 1)
		if d.due == 0 || at < d.due {
			d.due = at
		}
	}
}

const qCount query = `
UPDATE batches SET
  queued = queued + $3, claimed = claimed + $4, sending = sending + $5, sent = sent + $6, failed = failed + $7,
  uncertain = uncertain + $8, suppressed = suppressed + $9, cancelled = cancelled + $10, expired = expired + $11,
  next_at = CASE WHEN CAST($2 AS BIGINT) = 0 THEN next_at WHEN next_at IS NULL OR $2 < next_at THEN $2 ELSE next_at END
WHERE id = $1`

// Nearly always it is one batch, and nothing of it has to wait again.
const qCountOn query = `
UPDATE batches SET claimed = claimed + $2, sending = sending + $3, sent = sent + $4 WHERE id = $1`

func (c *counts) write(ctx context.Context, t tx) error {
	return t.together(ctx, c.steps(nil)...)
}

// steps adds the statements that count, in the order of the batches' numbers.
func (c *counts) steps(steps []step) []step {
	for _, id := range slices.Sorted(maps.Keys(c.byBatch)) {
		d := c.byBatch[id]
		q, args := qCountOn, append(make([]any, 0, 12), id, d.n[outbox.Claimed], d.n[outbox.Sending], d.n[outbox.Sent])
		if !d.onward() {
			q, args = qCount, append(args[:0], id, d.due)
			for _, st := range outbox.States() {
				args = append(args, d.n[st])
			}
		}
		steps = append(steps, step{q, args, nil})
	}
	return steps
}

// onward says that rows have only gone from claimed to sending to sent.
func (d *delta) onward() bool {
	for st, n := range d.n {
		if n != 0 && st != outbox.Claimed && st != outbox.Sending && st != outbox.Sent {
			return false
		}
	}
	return d.due == 0
}
