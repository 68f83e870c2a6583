package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rapport"
	"rapport/outbox"
)

// TestExchangesInHaste: exchanges that are given up at any moment, while
// another process writes too, are whole or have not been; the counters say
// what the rows say, and nobody is admitted twice.
func TestExchangesInHaste(t *testing.T) {
	people := int64(400)
	if testing.Short() {
		people = 60
	}
	data := t.TempDir()
	s := opened(t, Options{Data: data})
	s.people(t, "marketing", int(people))
	seat, list := claimAll(t, s, int(people))
	other, err := sql.Open("sqlite", "file:"+filepath.Join(data, fileName)+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	stop := make(chan struct{})
	var outside, inside sync.WaitGroup
	outside.Go(func() {
		for n := int64(0); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			tx, err := other.BeginTx(t.Context(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := tx.ExecContext(t.Context(), "UPDATE contacts SET locale = locale WHERE id = ?", 1+n%people); err != nil {
				t.Error(err)
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
		}
	})
	var mu sync.Mutex
	admitted := map[int64]int{}
	for part := range int64(4) {
		random := rand.New(rand.NewPCG(uint64(part), 3)) // #nosec G404 -- a repeatable test
		mine := list[part*people/4 : (part+1)*people/4]
		inside.Go(func() {
			var settled []outbox.Settlement
			for len(mine) > 0 || len(settled) > 0 {
				n := min(len(mine), 1+random.IntN(9))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(3000))*time.Microsecond)
				got, err := s.exchanged(ctx, seat.ID(), settled, tickets(mine[:n]), start.Add(time.Second))
				cancel()
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) && rapport.KindOf(err) != rapport.Unavailable {
						t.Error(err)
						return
					}
					continue
				}
				settled = settled[:0]
				mu.Lock()
				for _, a := range got {
					if a.Go {
						admitted[a.Delivery]++
					}
					settled = append(settled, outbox.Settlement{Delivery: a.Delivery, Turn: a.Turn, State: outbox.Sent, Charge: true, At: start.Add(2 * time.Second)})
				}
				mu.Unlock()
				mine = mine[n:]
			}
		})
	}
	inside.Wait()
	close(stop)
	outside.Wait()
	for _, d := range list {
		if admitted[d.ID] != 1 {
			t.Errorf("delivery %d was admitted %d times", d.ID, admitted[d.ID])
		}
	}
	if a := s.accountOf(t, 1); a.States[outbox.Sent] != people || !a.Balanced() {
		t.Errorf("account %+v", a.States)
	}
	n, _, err := one(t.Context(), s.reader(), `SELECT COUNT(*) FROM deliveries WHERE state = 'sent' AND attempt = 1`, scalar[int64])
	if err != nil || n != people {
		t.Errorf("%d rows are sent with one attempt, want %d: %v", n, people, err)
	}
	sent, _, err := one(t.Context(), s.reader(), `SELECT SUM(sent) FROM batches WHERE claimed = 0 AND sending = 0 AND queued = 0`, scalar[int64])
	if err != nil || sent != people {
		t.Errorf("the counters say %d are sent, want %d: %v", sent, people, err)
	}
}
