package store

import (
	"context"
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
  queued = queued + v.n0, claimed = claimed + v.n1, sending = sending + v.n2, sent = sent + v.n3, failed = failed + v.n4,
  uncertain = uncertain + v.n5, suppressed = suppressed + v.n6, cancelled = cancelled + v.n7, expired = expired + v.n8,
  next_at = CASE WHEN v.due = 0 THEN next_at WHEN next_at IS NULL OR v.due < next_at THEN v.due ELSE next_at END
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS id, CAST(e.value ->> 1 AS BIGINT) AS due,
    CAST(e.value ->> 2 AS BIGINT) AS n0, CAST(e.value ->> 3 AS BIGINT) AS n1, CAST(e.value ->> 4 AS BIGINT) AS n2,
    CAST(e.value ->> 5 AS BIGINT) AS n3, CAST(e.value ->> 6 AS BIGINT) AS n4, CAST(e.value ->> 7 AS BIGINT) AS n5,
    CAST(e.value ->> 8 AS BIGINT) AS n6, CAST(e.value ->> 9 AS BIGINT) AS n7, CAST(e.value ->> 10 AS BIGINT) AS n8
  FROM {{each $1}}
) v
WHERE batches.id = v.id`

func (c *counts) write(ctx context.Context, t tx) error {
	if len(c.byBatch) == 0 {
		return nil
	}
	var ids []int64
	for id := range c.byBatch {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	rows := make([][]int64, 0, len(ids))
	for _, id := range ids {
		d := c.byBatch[id]
		row := []int64{id, d.due}
		for _, st := range outbox.States() {
			row = append(row, d.n[st])
		}
		rows = append(rows, row)
	}
	_, err := t.exec(ctx, qCount, asJSON(rows))
	return err
}
