package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport/rights"
)

// settled is how long after a hit its row is certainly committed: only rows
// that are older are folded.
const settled = time.Hour

// foldable is the moment before which a hit may become a count: hits that are
// younger than the rule says stay, however long ago their run ended.
func (s *Store) foldable(before time.Time) time.Time {
	if at := s.now().Add(-settled); at.Before(before) {
		return at
	}
	return before
}

// A run whose responses are older is folded once: what its rows say is written
// as counts, and from that moment only counts and newer rows are read. Then the
// rows go, some at a time.
const (
	qRunWithResponses query = qOldRunsPart + `EXISTS (SELECT 1 FROM responses p WHERE ` + oldResponses + `) ORDER BY r.id LIMIT 1`

	qFoldUpTo query = `
SELECT COALESCE(MAX(p.id), 0) FROM responses p WHERE p.run_id = $1 AND p.at < $2`

	qFoldedTo query = `SELECT f.up_to FROM folded_responses f WHERE f.run_id = $1 {{lock f}}`

	qFoldMark query = `
INSERT INTO folded_responses (run_id, up_to, at) VALUES ($1, $2, $3)
ON CONFLICT (run_id) DO UPDATE SET up_to = excluded.up_to, at = excluded.at`

	qAddCountsPart = `
ON CONFLICT (run_id, view, kind, link, machine) DO UPDATE SET n = response_counts.n + excluded.n, people = response_counts.people + excluded.people`

	foldRange = ` FROM responses WHERE run_id = $1 AND id > $2 AND id <= $3`

	qFoldHits query = `
INSERT INTO response_counts (run_id, view, kind, link, machine, n, people)
SELECT run_id, 'hits', kind, link, machine, COUNT(*), COUNT(DISTINCT ` + onePerson + `)` + foldRange + `
GROUP BY run_id, kind, link, machine` + qAddCountsPart

	qFoldPeople query = `
INSERT INTO response_counts (run_id, view, kind, link, machine, n, people)
SELECT CAST($1 AS BIGINT), 'people', q.kind, 0, q.machine, COUNT(*), COUNT(*) FROM (
  SELECT kind, MIN(machine) AS machine` + foldRange + ` GROUP BY kind, ` + onePerson + `
) AS q GROUP BY q.kind, q.machine` + qAddCountsPart

	qFoldLinks query = `
INSERT INTO response_counts (run_id, view, kind, link, machine, n, people)
SELECT CAST($1 AS BIGINT), 'links', 'clicked', q.link, q.machine, COUNT(*), COUNT(*) FROM (
  SELECT link, MIN(machine) AS machine` + foldRange + ` AND kind = 'clicked' GROUP BY link, ` + onePerson + `
) AS q GROUP BY q.link, q.machine` + qAddCountsPart

	qFoldNamed query = `
INSERT INTO response_counts (run_id, view, kind, link, machine, n, people)
SELECT CAST($1 AS BIGINT), 'named', kind, 0, 0, SUM(CASE WHEN contact_id = 0 THEN 1 ELSE 0 END), COUNT(DISTINCT NULLIF(contact_id, 0))` + foldRange + `
  AND machine = 0 GROUP BY kind` + qAddCountsPart

	qPickFolded query = `
SELECT p.id FROM folded_responses f JOIN responses p ON p.run_id = f.run_id AND p.id <= f.up_to
WHERE f.run_id = $1 AND p.contact_id NOT IN ` + spared + ` LIMIT $2`

	// A fold that was interrupted has rows left to remove.
	qRunHalfFolded query = `
SELECT f.run_id FROM folded_responses f WHERE f.run_id > $1 AND EXISTS (
  SELECT 1 FROM responses p WHERE p.run_id = f.run_id AND p.id <= f.up_to AND p.contact_id NOT IN ` + spared + `)
ORDER BY f.run_id LIMIT 1`

	qDropResponses query = `
DELETE FROM responses WHERE id IN (SELECT CAST(e.value AS BIGINT) FROM {{each $1}}) AND contact_id NOT IN ` + spared
)

// responses folds a run or removes rows of one that is folded. Place.ID is
// 1 while it is about the folded ones.
func (p pruning) responses(ctx context.Context, before time.Time, from rights.Place) (rights.Pruned, error) {
	if from.ID == 0 {
		run, ok, err := one(ctx, p.s.reader(), qRunWithResponses, scalar[int64], micros(before), from.Run, micros(p.s.foldable(before)))
		if err != nil {
			return rights.Pruned{}, err
		}
		if !ok { // all are folded: now the rows, from the first run on
			return rights.Pruned{Next: rights.Place{ID: 1}}, nil
		}
		return rights.Pruned{Next: rights.Place{Run: run}}, p.s.fold(ctx, run, p.s.foldable(before))
	}
	run, ok, err := one(ctx, p.s.reader(), qRunHalfFolded, scalar[int64], from.Run)
	if err != nil || !ok {
		return rights.Pruned{Done: true}, err
	}
	ids, err := collect(ctx, p.s.reader(), qPickFolded, scalar[int64], run, prunePage)
	if err != nil {
		return rights.Pruned{}, err
	}
	out := rights.Pruned{Next: rights.Place{Run: run - 1, ID: 1}}
	out.N, err = p.remove(ctx, func(t tx) (int64, error) { return t.exec(ctx, qDropResponses, idsJSON(ids)) })
	return out, err
}

// fold writes the responses of a run as counts. It reads the rows of one run
// in one transaction, which is the price of counts that stay exact.
func (s *Store) fold(ctx context.Context, run int64, until time.Time) error {
	err := s.update(ctx, bulk, func(t tx) error {
		upTo, _, err := one(ctx, t, qFoldUpTo, scalar[int64], run, micros(until))
		if err != nil {
			return err
		}
		before, _, err := one(ctx, t, qFoldedTo, scalar[int64], run)
		if err != nil || upTo <= before {
			return err
		}
		for _, q := range []query{qFoldHits, qFoldPeople, qFoldLinks, qFoldNamed} {
			if _, err := t.exec(ctx, q, run, before, upTo); err != nil {
				return err
			}
		}
		_, err = t.exec(ctx, qFoldMark, run, upTo, micros(t.s.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("fold the responses of run %d: %w", run, err)
	}
	return nil
}

const qFoldUpToNow query = `SELECT f.up_to FROM folded_responses f WHERE f.run_id = $1`

// foldedTo is up to which number the responses of a run are counts only; 0 for
// nearly all.
func foldedTo(ctx context.Context, r runner, run int64) (int64, error) {
	upTo, _, err := one(ctx, r, qFoldUpToNow, scalar[int64], run)
	if err != nil {
		return 0, fmt.Errorf("ask whether run %d is folded: %w", run, err)
	}
	return upTo, nil
}

// unfolded chooses the statement for a run: reading rows alone, which an index
// answers, unless some of them are counts.
func unfolded(rows, both query, upTo int64) query {
	if upTo == 0 {
		return rows
	}
	return both
}

// What a folded run answers: the counts, and the rows that came after.
const (
	since = ` AND id > (SELECT f.up_to FROM folded_responses f WHERE f.run_id = $1)`

	qResponsesFolded query = `
SELECT kind, link, machine, SUM(n), SUM(people) FROM (
  SELECT kind, link, machine, COUNT(*) AS n, COUNT(DISTINCT ` + onePerson + `) AS people FROM responses WHERE run_id = $1` + since + `
  GROUP BY kind, link, machine
  UNION ALL SELECT kind, link, machine, n, people FROM response_counts WHERE run_id = $1 AND view = 'hits'
) q GROUP BY kind, link, machine ORDER BY kind, link, machine`

	qResponsePeopleFolded query = `
SELECT kind, human, COUNT(*) FROM (
  SELECT kind, MAX(1 - machine) AS human FROM responses WHERE run_id = $1` + since + ` GROUP BY kind, ` + onePerson + `
) AS p GROUP BY kind, human
UNION ALL SELECT kind, 1 - machine, people FROM response_counts WHERE run_id = $1 AND view = 'people'`

	qResponseLinksFolded query = `
SELECT link, human, n FROM (
  SELECT link, human, COUNT(*) AS n FROM (
    SELECT link, MAX(1 - machine) AS human FROM responses WHERE run_id = $1 AND kind = 'clicked'` + since + ` GROUP BY link, ` + onePerson + `
  ) AS p GROUP BY link, human
  UNION ALL SELECT link, 1 - machine, people FROM response_counts WHERE run_id = $1 AND view = 'links'
) AS q ORDER BY link`

	qTrackedHitsFolded query = `
SELECT kind, COUNT(DISTINCT NULLIF(contact_id, 0)), SUM(CASE WHEN contact_id = 0 THEN 1 ELSE 0 END) FROM responses
WHERE run_id = $1 AND kind IN ('opened', 'clicked') AND machine = 0` + since + ` GROUP BY kind
UNION ALL SELECT kind, people, n FROM response_counts WHERE run_id = $1 AND view = 'named' AND kind IN ('opened', 'clicked')`
)

const (
	qOldReports query = `
SELECT i.id, i.name, i.report FROM imports i WHERE i.finished_at < $1 AND (i.report LIKE '%"listed":%' OR i.report LIKE '%"skipped":[%') ORDER BY i.id LIMIT $2`

	qPutReport query = `UPDATE imports SET name = $2, report = $3 WHERE id = $1`
)

type importReport struct {
	id           int64
	name, report string
}

func scanImportReport(scan func(...any) error) (r importReport, err error) {
	err = scan(&r.id, &r.name, &r.report)
	return r, err
}

// pruneImports takes the rows that reports list out of them; the counts stay.
func (p pruning) imports(ctx context.Context, before time.Time) (out rights.Pruned, err error) {
	out.N, err = p.remove(ctx, func(t tx) (int64, error) {
		list, err := collect(ctx, t, qOldReports, scanImportReport, micros(before), prunePage)
		if err != nil {
			return 0, err
		}
		for _, r := range list {
			if err := t.shorten(ctx, r); err != nil {
				return 0, err
			}
		}
		return int64(len(list)), nil
	})
	out.Done = out.N < prunePage
	return out, err
}

// shorten takes what was said about rows out of the report of an import.
func (t tx) shorten(ctx context.Context, r importReport) error {
	var report map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.report), &report); err != nil {
		return fmt.Errorf("read the report of import %d: %w", r.id, err)
	}
	delete(report, "listed")
	delete(report, "skipped")
	_, err := t.exec(ctx, qPutReport, r.id, r.name, asJSON(report))
	return err
}
