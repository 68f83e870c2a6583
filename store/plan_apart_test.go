package store

import (
	"fmt"
	"testing"

	"rapport/campaigns"
)

// TestLargeDomainsHaveBatchesOfTheirOwn: also one that is named from the
// start; nobody is planned twice, and the counts are those of the rows.
func TestLargeDomainsHaveBatchesOfTheirOwn(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const people = 8 * batchSize
		s.crowd(t, people)
		domain := `CASE WHEN contact_id % 2 = 0 THEN 'large.example' WHEN contact_id % 400 = 1 THEN 'named.example' ELSE 'd' || contact_id || '.example' END`
		s.do(t, `UPDATE addresses SET value = 'person-' || contact_id || '@' || `+domain,
			`UPDATE consents SET address = 'person-' || contact_id || '@' || `+domain)
		run := s.planned(t, 1)
		aim := campaigns.Aim{Driver: "pigeon", Kind: "loft", Topic: "news", Now: start, Apart: campaigns.NewApart("@", "named.example", "nobody.example")}
		var sum int64
		for {
			s.lanes.mu.Lock()
			s.lanes.lately = start // pages of one size
			s.lanes.mu.Unlock()
			page, err := s.PlanPage(t.Context(), run, aim)
			if err != nil {
				t.Fatal(err)
			}
			if sum += page.Planned; page.Done {
				break
			}
		}
		if sum != people {
			t.Errorf("planned %d of %d", sum, people)
		}
		type batch struct {
			pace             string
			planned, rows, d int64
		}
		list, err := collect(t.Context(), s.reader(), query(`
SELECT b.pace, b.planned, COUNT(*), SUM(CASE WHEN d.address LIKE '%@' || b.pace THEN 1 ELSE 0 END)
FROM batches b JOIN deliveries d ON d.batch_id = b.id WHERE b.run_id = $1 GROUP BY b.id, b.pace, b.planned ORDER BY b.id`), func(scan func(...any) error) (b batch, err error) {
			err = scan(&b.pace, &b.planned, &b.rows, &b.d)
			return b, err
		}, run)
		if err != nil {
			t.Fatal(err)
		}
		own := map[string]int64{}
		batches := map[string]int{}
		for _, b := range list {
			if b.planned != b.rows {
				t.Errorf("a batch counts %d and has %d", b.planned, b.rows)
			}
			if b.planned >= 2*batchSize {
				t.Errorf("a batch has %d", b.planned)
			}
			if b.pace != "" && b.d != b.rows {
				t.Errorf("batch of %s: %d of %d go there", b.pace, b.d, b.rows)
			}
			own[b.pace] += b.rows
			batches[b.pace]++
		}
		if own["large.example"] < people/4 {
			t.Errorf("%d of the large domain are apart", own["large.example"])
		}
		if own["named.example"] != people/400 || batches["named.example"] != 1 {
			t.Errorf("%d of the named domain in %d batches", own["named.example"], batches["named.example"])
		}
		if len(batches) != 3 {
			t.Errorf("batches of %v", batches)
		}
		if batches[""] > 8 {
			t.Errorf("those that share have %d batches", batches[""])
		}
		s.accountOf(t, run)
	})
}

func TestApartForgetsSmallDomains(t *testing.T) {
	t.Parallel()
	a := campaigns.NewApart("@")
	for page := range 200 {
		counts := map[string]int64{"large.example": 300}
		for i := range 700 {
			counts[fmt.Sprintf("d%d-%d.example", page, i)] = 1
		}
		a.Counted(counts)
	}
	if got := a.Domains(); len(got) != 1 || got[0] != "large.example" {
		t.Errorf("apart are %v", got)
	}
	if campaigns.NewApart("").Look() || (*campaigns.Apart)(nil).Look() {
		t.Error("addresses without domains are looked at")
	}
}
