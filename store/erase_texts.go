package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rapport/rights"
)

// telling are texts that lead to a person: addresses and an external ID.
type telling []string

// minTelling is how long a text has to be to be looked for in notes: shorter
// ones are in half of all words.
const minTelling = 4

func (t *telling) add(text string) {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(text) >= minTelling && !slices.Contains(*t, text) {
		*t = append(*t, text)
	}
}

// Notes of operators and servers that may quote a person: they are read, and
// emptied where they do. $1 are the telling texts.
const tells = `EXISTS (SELECT 1 FROM {{each $1}} WHERE replace(lower(x.note), e.value ->> 0, '') <> lower(x.note))`

func scrubSteps() []struct {
	where, what string
	q           query
} {
	return []struct {
		where, what string
		q           query
	}{
		{"holds", "texts of servers about a held channel", `UPDATE holds SET detail = '' WHERE channel IN (
  SELECT x.channel FROM (SELECT channel, detail AS note FROM holds WHERE detail <> '') x WHERE ` + tells + `)`},
		{"slow_domains", "texts of servers about a slow domain", `UPDATE slow_domains SET detail = '' WHERE (channel, domain) IN (
  SELECT x.channel, x.domain FROM (SELECT channel, domain, detail AS note FROM slow_domains WHERE detail <> '') x WHERE ` + tells + `)`},
		{"runs", "notes that quote the person", `UPDATE runs SET note = '' WHERE id IN (
  SELECT x.id FROM (SELECT id, note FROM runs WHERE note <> '') x WHERE ` + tells + `)`},
		{"campaigns", "notes that quote the person", `UPDATE campaigns SET note = '' WHERE id IN (
  SELECT x.id FROM (SELECT id, note FROM campaigns WHERE note <> '') x WHERE ` + tells + `)`},
		{"suppressions", "details that quote the person", `UPDATE suppressions SET detail = '', reference = '' WHERE (kind, hash) IN (
  SELECT x.kind, x.hash FROM (SELECT kind, hash, detail || ' ' || reference AS note FROM suppressions WHERE detail <> '' OR reference <> '') x WHERE ` + tells + `)`},
	}
}

// Reports of imports list what was wrong with rows, and files have names.
const qTellingImports query = `
SELECT x.id, x.name, x.report FROM (SELECT id, name, report, name || ' ' || report AS note FROM imports) x WHERE ` + tells + ` ORDER BY x.id`

// scrubImports takes the listed rows out of reports that quote a person.
func (t tx) scrubImports(ctx context.Context, had telling, marks string) (int64, error) {
	list, err := collect(ctx, t, qTellingImports, scanImportReport, marks)
	if err != nil {
		return 0, err
	}
	for _, r := range list {
		if slices.ContainsFunc(had, func(text string) bool { return strings.Contains(strings.ToLower(r.name), text) }) {
			r.name = ""
		}
		if err := t.shorten(ctx, r); err != nil {
			return 0, err
		}
	}
	return int64(len(list)), nil
}

// Samples that SQLite's planner keeps of indexes are rows of somebody.
const (
	qHasSamples query = `SELECT COUNT(*) FROM sqlite_schema WHERE name = 'sqlite_stat4'`

	// The table is there once something was counted, so this is no statement
	// that can be prepared on every database.
	forgetSamples = `DELETE FROM sqlite_stat4 WHERE EXISTS (
  SELECT 1 FROM {{each $1}} WHERE instr(sample, CAST(e.value ->> 0 AS BLOB)) > 0 OR instr(lower(CAST(sample AS TEXT)), e.value ->> 0) > 0)`
)

// scrub takes a person out of notes and samples.
func (t tx) scrub(ctx context.Context, had telling) (out []rights.Count, err error) {
	if len(had) == 0 {
		return nil, nil
	}
	marks := make([][]string, len(had))
	for i, text := range had {
		marks[i] = []string{text}
	}
	for _, step := range scrubSteps() {
		n, err := t.exec(ctx, step.q, asJSON(marks))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.where, err)
		}
		out = counted(out, step.where, step.what, n)
	}
	n, err := t.scrubImports(ctx, had, asJSON(marks))
	if err != nil {
		return nil, fmt.Errorf("imports: %w", err)
	}
	out = counted(out, "imports", "reports that quote the person", n)
	if t.s.d != &sqliteDialect {
		return out, nil
	}
	there, _, err := one(ctx, t, qHasSamples, scalar[int64])
	if err != nil || there == 0 {
		return out, err
	}
	n, err = t.exec(ctx, query(forgetSamples), asJSON(marks))
	return counted(out, "sqlite_stat4", "samples of the planner", n), err
}

// forgetTime is how long readers are waited for.
const forgetTime = 2 * time.Second

// forgetLog moves SQLite's log into the file and empties it, so that what was
// erased does not live on in it. Where somebody reads for too long it stays,
// and goes with the next erasure or the end of the last process. PostgreSQL's
// own vacuum does the like.
func (s *Store) forgetLog(ctx context.Context) error {
	if s.d != &sqliteDialect {
		return nil
	}
	leave, err := s.lanes.enter(ctx, bulk)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, forgetTime)
	defer cancel()
	if _, err := s.pools.quick.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && ctx.Err() == nil {
		return fmt.Errorf("empty the log of the database: %w", err)
	}
	return nil
}

// Overwrite implements rights.EraseStore. SQLite writes the whole file anew;
// PostgreSQL does so for each table, and counts anew what its planner knows.
func (s *Store) Overwrite(ctx context.Context) error {
	if s.d != &sqliteDialect {
		conn, err := s.pools.durable.Conn(ctx)
		if err != nil {
			return fmt.Errorf("connect: %w", s.classify(err))
		}
		defer func() { _ = conn.Close() }() // gives it back
		for _, statement := range []string{"VACUUM (FULL, ANALYZE)", "CHECKPOINT"} {
			if _, err := conn.ExecContext(ctx, statement); err != nil && statement != "CHECKPOINT" {
				return fmt.Errorf("rewrite the database: %w", s.classify(err))
			}
		}
		return nil
	}
	leave, err := s.lanes.enter(ctx, bulk)
	if err != nil {
		return err
	}
	_, err = s.pools.quick.ExecContext(ctx, "VACUUM")
	leave()
	if err != nil {
		return fmt.Errorf("rewrite the database: %w", s.classify(err))
	}
	return s.forgetLog(ctx)
}
