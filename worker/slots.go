package worker

import (
	"context"
	"sync"

	"rapport/outbox"
)

// slots are the rights to call Send at once, shared by all batches of a
// channel in this process. Campaigns may take fewer than all, so that what one
// person waits for always finds one. No receiving domain takes all of what
// campaigns may take while there are others, and when one becomes free it goes
// to who waits for the domain that holds the fewest: so a slow domain costs
// the others little.
type slots struct {
	most func(domain string) int // for a domain that is limited; 0: not limited

	mu      sync.Mutex
	total   int
	used    int
	bulk    int // of used, by campaigns
	domains map[string]int
	waiting []*guest
}

// guest is somebody who waits for a slot.
type guest struct {
	which  outbox.Lane
	domain string
	free   chan struct{} // closed when the slot is theirs
}

func newSlots(total int, most func(domain string) int) *slots {
	return &slots{most: most, total: max(1, total), domains: map[string]int{}}
}

// resize changes how many there are; who has one keeps it.
func (s *slots) resize(total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if total = max(1, total); total != s.total {
		s.total = total
		s.hand()
	}
}

// size is how many there are.
func (s *slots) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// enter waits for a slot and returns how to give it back.
func (s *slots) enter(ctx context.Context, which outbox.Lane, domain string) (leave func(), err error) {
	leave = func() { s.leave(which, domain) }
	s.mu.Lock()
	e := &guest{which: which, domain: domain}
	if len(s.waiting) == 0 && s.fits(e) {
		s.take(e)
		s.mu.Unlock()
		return leave, nil
	}
	e.free = make(chan struct{})
	s.waiting = append(s.waiting, e)
	s.hand()
	s.mu.Unlock()
	select {
	case <-e.free:
		return leave, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for i, other := range s.waiting {
		if other == e {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			s.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	s.mu.Unlock() // it became theirs at the same moment
	s.leave(which, domain)
	return nil, ctx.Err()
}

// crowded says whether a limited domain has as many slots as it may.
func (s *slots) crowded(domain string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.limit(domain)
	return most > 0 && s.domains[domain] >= most
}

// forward brings a delivery to the front whose domain finds a slot, so that
// those of a crowded one do not keep the others waiting.
func (s *slots) forward(rows []outbox.Delivery, which outbox.Lane, domain func(string) string) {
	if which == outbox.Now || len(rows) < 2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.domains) == 0 || !s.room(which) {
		return
	}
	for i, d := range rows {
		if s.welcome(which, domain(d.Address)) {
			rows[0], rows[i] = rows[i], rows[0]
			return
		}
	}
}

// fits says whether somebody may enter now.
func (s *slots) fits(e *guest) bool { return s.room(e.which) && s.welcome(e.which, e.domain) }

// campaigns is how many slots campaigns may have.
func (s *slots) campaigns() int {
	if s.total == 1 {
		return 1
	}
	return s.total - max(1, s.total/8)
}

// room says whether anybody of the lane may enter.
func (s *slots) room(which outbox.Lane) bool {
	return s.used < s.total && (which == outbox.Now || s.bulk < s.campaigns())
}

// welcome says whether the domain may have another slot.
func (s *slots) welcome(which outbox.Lane, domain string) bool {
	if domain == "" {
		return true
	}
	held := s.domains[domain]
	if most := s.limit(domain); most > 0 && held >= most {
		return false
	}
	share := s.campaigns() - max(1, s.campaigns()/8)
	if which == outbox.Now || share < 1 || held < share {
		return true
	}
	for _, other := range s.waiting { // the last ones are for others, if there are any
		if other.domain != domain {
			return false
		}
	}
	return len(s.domains) < 2
}

// limit is how many slots a limited domain may have.
func (s *slots) limit(domain string) int {
	if domain == "" {
		return 0
	}
	most := s.most(domain)
	if most <= 0 {
		return 0
	}
	return max(1, min(most, s.total/2))
}

func (s *slots) take(e *guest) {
	s.used++
	if e.which != outbox.Now {
		s.bulk++
	}
	s.domains[e.domain]++
}

func (s *slots) leave(which outbox.Lane, domain string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if which != outbox.Now {
		s.bulk--
	}
	if s.domains[domain]--; s.domains[domain] <= 0 {
		delete(s.domains, domain)
	}
	s.hand()
}

// hand gives free slots to those who wait: what one person waits for first,
// then whose domain holds the fewest, then who came first.
func (s *slots) hand() {
	for {
		best := -1
		for i, e := range s.waiting {
			if s.fits(e) && (best < 0 || s.before(e, s.waiting[best])) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		e := s.waiting[best]
		s.waiting = append(s.waiting[:best], s.waiting[best+1:]...)
		s.take(e)
		close(e.free)
	}
}

func (s *slots) before(a, b *guest) bool {
	if a.which != b.which {
		return a.which == outbox.Now
	}
	return a.domain != b.domain && s.domains[a.domain] < s.domains[b.domain]
}
