package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport"
	"rapport/outbox"
	"rapport/responses"
)

const qHandovers query = `
SELECT d.run_id, d.contact_id, d.state, d.updated_at
FROM {{each $1}}
JOIN deliveries d ON d.run_id = CAST(e.value ->> 0 AS BIGINT) AND d.contact_id = CAST(e.value ->> 1 AS BIGINT)`

const qAddResponses query = `
INSERT INTO responses (kind, run_id, contact_id, link, machine, agent, detail, dedupe, at)
SELECT e.value ->> 0, CAST(e.value ->> 1 AS BIGINT), CAST(e.value ->> 2 AS BIGINT), CAST(e.value ->> 3 AS BIGINT),
  CAST(e.value ->> 4 AS SMALLINT), e.value ->> 5, e.value ->> 6, e.value ->> 7, CAST(e.value ->> 8 AS BIGINT)
FROM {{each $1}} WHERE true
ON CONFLICT (dedupe) DO NOTHING`

// What was taken for a person's makes room for a person's own.
const qMarkMachine query = `
UPDATE responses SET machine = 1, agent = $2, dedupe = dedupe || '.b' || CAST(id AS TEXT)
FROM (
  SELECT CAST(e.value ->> 0 AS BIGINT) AS run_id, CAST(e.value ->> 1 AS BIGINT) AS contact_id, CAST(e.value ->> 2 AS BIGINT) AS since
  FROM {{each $1}}
) AS v
WHERE responses.run_id = v.run_id AND responses.contact_id = v.contact_id AND responses.machine = 0
  AND responses.kind IN ('opened', 'clicked') AND responses.at >= v.since`

// AddResponses implements responses.Store.
func (s *Store) AddResponses(ctx context.Context, events []responses.Event, bursts []responses.Burst) (int, error) {
	var added int64
	err := s.update(ctx, quick, func(t tx) error {
		judged, err := t.judged(ctx, events)
		if err != nil {
			return err
		}
		if err := t.attributed(ctx, judged); err != nil {
			return err
		}
		if added, err = t.exec(ctx, qAddResponses, responseRows(judged)); err != nil || len(bursts) == 0 {
			return err
		}
		var b rowsJSON
		for _, x := range bursts {
			b.begin()
			b.number(x.Run)
			b.number(x.Contact)
			b.number(micros(x.From))
			b.end()
		}
		_, err = t.exec(ctx, qMarkMachine, b.text(), responses.AgentBurst)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add %d responses: %w", len(events), err)
	}
	return int(added), nil
}

// judged reads when the messages were handed over and asks the room of
// responses what that says about the hits on them.
func (t tx) judged(ctx context.Context, events []responses.Event) ([]responses.Event, error) {
	type key struct{ run, contact int64 }
	var b rowsJSON
	asked := map[key]bool{}
	for _, e := range events {
		if k := (key{e.Run, e.Contact}); !asked[k] {
			asked[k] = true
			b.begin()
			b.number(e.Run)
			b.number(e.Contact)
			b.end()
		}
	}
	at := make(map[key]responses.Handover, len(asked))
	_, err := collect(ctx, t, qHandovers, func(scan func(...any) error) (struct{}, error) {
		var k key
		var state outbox.State
		var changed int64
		err := scan(&k.run, &k.contact, &state, &changed)
		h := responses.Handover{}
		if !state.Open() {
			h.At = when(changed)
		}
		at[k] = h
		return struct{}{}, err
	}, b.text())
	if err != nil {
		return nil, fmt.Errorf("read hand-overs: %w", err)
	}
	out := make([]responses.Event, len(events))
	for i, e := range events {
		h, known := at[key{e.Run, e.Contact}]
		out[i] = responses.Judge(e, h, known)
	}
	return out, nil
}

func responseRows(events []responses.Event) string {
	var b rowsJSON
	for _, e := range events {
		machine := int64(0)
		if e.Machine {
			machine = 1
		}
		b.begin()
		b.string(string(e.Kind))
		b.number(e.Run)
		b.number(e.Contact)
		b.number(int64(e.Link))
		b.number(machine)
		b.string(e.Agent)
		b.string(e.Detail)
		b.string(e.Key())
		b.number(micros(e.At))
		b.end()
	}
	return b.text()
}

// A hit that names nobody is a person of its own: contact numbers begin at 1.
const onePerson = `CASE WHEN contact_id = 0 THEN -id ELSE contact_id END`

const qResponsePeople query = `
SELECT kind, human, COUNT(*) FROM (
  SELECT kind, MAX(1 - machine) AS human FROM responses WHERE run_id = $1 GROUP BY kind, ` + onePerson + `
) AS p GROUP BY kind, human`

const qResponseLinks query = `
SELECT link, human, COUNT(*) FROM (
  SELECT link, MAX(1 - machine) AS human FROM responses WHERE run_id = $1 AND kind = 'clicked' GROUP BY link, ` + onePerson + `
) AS p GROUP BY link, human ORDER BY link`

// ResponseSummary implements responses.Store.
func (s *Store) ResponseSummary(ctx context.Context, run int64) (responses.Summary, error) {
	sum := responses.Summary{Links: []responses.LinkCount{}}
	err := s.view(ctx, func(r runner) error {
		folded, err := foldedTo(ctx, r, run)
		if err != nil {
			return err
		}
		_, err = collect(ctx, r, unfolded(qResponsePeople, qResponsePeopleFolded, folded), func(scan func(...any) error) (struct{}, error) {
			var kind responses.Kind
			var human, n int64
			err := scan(&kind, &human, &n)
			switch kind {
			case responses.Opened:
				addPeople(&sum.Opened, human, n)
			case responses.Clicked:
				addPeople(&sum.Clicked, human, n)
			case responses.Unsubscribed:
				sum.Unsubscribed += n
			default:
			}
			return struct{}{}, err
		}, run)
		if err != nil {
			return err
		}
		_, err = collect(ctx, r, unfolded(qResponseLinks, qResponseLinksFolded, folded), func(scan func(...any) error) (struct{}, error) {
			var link int
			var human, n int64
			err := scan(&link, &human, &n)
			if last := len(sum.Links) - 1; last < 0 || sum.Links[last].Link != link {
				sum.Links = append(sum.Links, responses.LinkCount{Link: link})
			}
			addPeople(&sum.Links[len(sum.Links)-1].People, human, n)
			return struct{}{}, err
		}, run)
		return err
	})
	if err != nil {
		return sum, fmt.Errorf("count the responses to run %d: %w", run, s.classify(err))
	}
	return sum, nil
}

func addPeople(p *responses.People, human, n int64) {
	if human == 1 {
		p.Human += n
	} else {
		p.Machine += n
	}
}

const qResponsesOf query = `
SELECT kind, run_id, contact_id, link, machine, agent, detail, dedupe, at FROM responses
WHERE contact_id = $1 ORDER BY at DESC, id DESC LIMIT $2`

// ResponsesOf implements responses.Store.
func (s *Store) ResponsesOf(ctx context.Context, contact int64, limit int) ([]responses.Event, error) {
	list, err := collect(ctx, s.reader(), qResponsesOf, func(scan func(...any) error) (e responses.Event, err error) {
		var machine, at int64
		err = scan(&e.Kind, &e.Run, &e.Contact, &e.Link, &machine, &e.Agent, &e.Detail, &e.Dedupe, &at)
		e.Machine, e.At = machine == 1, when(at)
		return e, err
	}, contact, limit)
	if err != nil {
		return nil, fmt.Errorf("list the responses of contact %d: %w", contact, s.classify(err))
	}
	return list, nil
}

const qRunLinks query = `SELECT v.links FROM runs r JOIN revisions v ON v.id = r.revision_id WHERE r.id = $1`

// RunLinks implements responses.Store.
func (s *Store) RunLinks(ctx context.Context, run int64) ([]string, error) {
	text, ok, err := one(ctx, s.reader(), qRunLinks, scalar[string], run)
	if err != nil {
		return nil, fmt.Errorf("read the links of run %d: %w", run, s.classify(err))
	}
	if !ok {
		return nil, rapport.NotFoundf("there is no run %d", run)
	}
	var links []string
	if err := json.Unmarshal([]byte(text), &links); err != nil {
		return nil, fmt.Errorf("read the links of run %d: %w", run, err)
	}
	return links, nil
}
