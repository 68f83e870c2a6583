package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/conditions"
)

// TestConditionsAgree is the promise of package conditions: for random people
// and random conditions, whoever matches in memory is whom SQL selects, for the
// condition and for its negation, so that all three truth values agree.
func TestConditionsAgree(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		furnish(t, s)
		refused, checked, matched := 0, 0, 0
		rapid.Check(t, func(r *rapid.T) {
			now := pick(r, someNows)
			people := make([]soul, rapid.IntRange(1, 12).Draw(r, "people"))
			for i := range people {
				people[i] = randomSoul(r, i+1, now)
			}
			if err := settle(r.Context(), s, people); err != nil {
				r.Fatal(err)
			}
			for range 4 {
				source := grammar{r, now}.boolean(rapid.IntRange(0, 4).Draw(r, "depth"))
				for _, source := range []string{source, "!(" + source + ")"} {
					c, err := conditions.Check(source, conditionSchema())
					if err != nil {
						refused++ // calculations too large, dates of the contact beside moments of the contact
						continue
					}
					checked++
					matched += agree(r, s, c, people, now)
				}
			}
		})
		if refused > checked/2 || matched < checked/10 {
			t.Errorf("%d conditions were refused, %d checked, %d people matched: the generator is no good", refused, checked, matched)
		}
	})
}

// tester is what agree needs of *testing.T and *rapid.T.
type tester interface {
	Context() context.Context
	Fatalf(format string, args ...any)
}

// agree compares the two readings of one condition.
func agree(t tester, s *Store, c *conditions.Condition, people []soul, now time.Time) (matched int) {
	berlin := conditions.Zone("Europe/Berlin", nil)
	var want []int64
	for i, p := range people {
		p.person.Zone = conditions.Zone(p.person.TimeZone, berlin)
		p.person.History = p
		ok, err := c.Eval(t.Context(), &p.person, now)
		if err != nil {
			t.Fatalf("%s: %v", c.Source(), err)
		}
		if ok {
			want = append(want, int64(i+1))
		}
	}
	at := clock{now: now, zone: berlin}
	if c.Uses().Today {
		var err error
		if at.zones, err = zonesInUse(t.Context(), s.reader()); err != nil {
			t.Fatalf("%v", err)
		}
	}
	var args binds
	where := compileCondition(s.d, c.Tree(), at, &args)
	got, err := members(t.Context(), s, where, args)
	if err != nil {
		t.Fatalf("%s\n%s\n%v\n%v", c.Source(), where, args.args, err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s\nSQL matches %v, memory %v\n%s\n%v", c.Source(), got, want, where, args.args)
	}
	return len(got)
}

func members(ctx context.Context, s *Store, where string, args binds) (ids []int64, err error) {
	rows, err := s.pools.durable.QueryContext(ctx, "SELECT c.id FROM contacts c WHERE "+where+" ORDER BY c.id", args.args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Consented and Last answer from the random past.
func (s soul) Consented(_ context.Context, driver, topic string) (bool, time.Time, error) {
	return s.consents[driver+":"+topic] == "granted", s.ends[driver+":"+topic], nil
}

func (s soul) Last(_ context.Context, kind conditions.PastKind, campaign string) (last time.Time, err error) {
	for _, h := range s.last {
		if h.kind == kind && h.campaign == campaign && h.counts && (last.IsZero() || h.at.After(last)) {
			last = h.at
		}
	}
	return last, nil
}

func (s soul) Happened(_ context.Context, event string, from, to time.Time) (n int64, err error) {
	for _, e := range s.events {
		if e.name == event && !e.at.Before(from) && !e.at.After(to) {
			n++
		}
	}
	return n, nil
}

// furnish writes what every person's past refers to: topics 1 and 2, campaigns
// 1 and 2, and five runs of each, so that one person may have several
// deliveries.
func furnish(t *testing.T, s *Store) {
	t.Helper()
	sql := []string{
		"INSERT INTO topics (id, name, kind, created_at) VALUES (1, 'news', 'marketing', 0), (2, 'offers', 'marketing', 0)",
		"INSERT INTO consent_entries (id, contact_id, driver, topic_id, state, basis, at, recorded_at, commitment) VALUES (1, 1, 'email', 1, 'granted', 'consent', 0, 0, '')",
		"INSERT INTO templates (id, uid, name, driver, locale, created_at, updated_at) VALUES (1, 't', 't', 'email', 'en', 0, 0)",
		"INSERT INTO revisions (id, template_id, number, content, digest, created_at) VALUES (1, 1, 1, '{}', '', 0)",
		"INSERT INTO campaigns (id, uid, name, state, definition, created_at, updated_at) VALUES (1, 'a', 'spring', 'running', '{}', 0, 0), (2, 'b', 'autumn', 'running', '{}', 0, 0)",
	}
	for i, name := range conditionSchema().Events {
		sql = append(sql, fmt.Sprintf("INSERT INTO event_names (id, name, created_at) VALUES (%d, '%s', 0)", i+1, name))
	}
	for run := 1; run <= 10; run++ {
		sql = append(sql,
			fmt.Sprintf("INSERT INTO runs (id, uid, campaign_id, name, channel, driver, kind, topic_id, class, revision_id, state, scheduled_for, started_at) VALUES (%d, 'r%d', %d, '', 'n', 'email', 'email', 1, 'marketing', 1, 'running', %d, 0)", run, run, 1+run%2, run),
			fmt.Sprintf("INSERT INTO batches (id, run_id, channel, lane) VALUES (%d, %d, 'n', 'bulk')", run, run))
	}
	s.do(t, sql...)
}

// settle replaces the people in the store.
func settle(ctx context.Context, s *Store, people []soul) error {
	var w writer
	for _, table := range []string{"events", "responses", "deliveries", "consents", "addresses", "contacts"} {
		w.add("DELETE FROM " + table)
	}
	for i := range people {
		if err := w.person(int64(i+1), &people[i]); err != nil {
			return err
		}
	}
	return s.update(ctx, quick, func(x tx) error {
		for i, sql := range w.sql {
			if _, err := x.tx.ExecContext(ctx, s.d.spell(sql), w.args[i]...); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
}

// writer gathers the statements of settle.
type writer struct {
	sql  []string
	args [][]any
}

func (w *writer) add(sql string, args ...any) {
	w.sql, w.args = append(w.sql, sql), append(w.args, args)
}

func (w *writer) person(id int64, p *soul) error {
	attributes, err := json.Marshal(p.attributes)
	if err != nil {
		return err
	}
	var external any
	if p.person.ExternalID != "" {
		external = p.person.ExternalID
	}
	w.add("INSERT INTO contacts (id, uid, external_id, locale, zone, attributes, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, {{json $6}}, $7, 0)",
		id, p.person.ID, external, p.person.Locale, p.person.TimeZone, string(attributes), p.person.CreatedAt.UnixMicro())
	for kind, value := range p.person.Addresses {
		w.add("INSERT INTO addresses (contact_id, kind, value, display, hash, position) VALUES ($1, $2, $3, '', '', 0), ($1, $2, $4, '', '', 1)", id, kind, value, "second "+value)
	}
	for at, state := range p.consents {
		driver, topic, _ := strings.Cut(at, ":")
		w.add("INSERT INTO consents (contact_id, driver, topic_id, state, address, entry_id, at, expires_at) SELECT $1, $2, id, $3, '', 1, 0, $5 FROM topics WHERE name = $4", id, driver, state, topic, micros(p.ends[at]))
	}
	for n, e := range p.events {
		w.add("INSERT INTO events (key, contact_id, name_id, at, recorded_at, digest) SELECT $1, $2, id, $3, 0, 0 FROM event_names WHERE name = $4",
			fmt.Sprintf("%d-%d", id, n), id, e.at.UnixMicro(), e.name)
	}
	for n, h := range p.last {
		run := int64(2*n + 1) // odd runs are autumn's
		if h.campaign == "spring" {
			run++
		}
		if h.kind == conditions.Received {
			state := map[bool]string{true: "sent", false: "failed"}[h.counts]
			w.add("INSERT INTO deliveries (run_id, batch_id, contact_id, state, updated_at) VALUES ($1, $1, $2, $3, $4)", run, id, state, h.at.UnixMicro())
			continue
		}
		w.add("INSERT INTO responses (kind, run_id, contact_id, machine, dedupe, at) VALUES ($1, $2, $3, $4, $5, $6)",
			string(h.kind), run, id, map[bool]int64{true: 0, false: 1}[h.counts], fmt.Sprintf("%d-%d", id, n), h.at.UnixMicro())
	}
	return nil
}
