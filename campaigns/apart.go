package campaigns

import "maps"

// How planning tells large receiving domains from others.
const (
	apartFrom  = 1000 // deliveries of a run, as far as they were counted
	apartShare = 100  // and at least one in so many
	apartMost  = 64   // domains with batches of their own
	apartKept  = 4096 // domains that are counted
	apartLook  = 4    // one page in so many is looked at
)

// Apart is what planning remembers from page to page about the receiving
// domains of a run: large ones, and those that have a limit, get batches of
// their own, so that a throttle holds batches and not rows. It is kept by one
// process; another that goes on with the run learns it anew, which costs a few
// mixed batches.
type Apart struct {
	Separator string // what stands before the domain of an address

	batches map[string]*Batch // by domain; "" for those that share
	counts  map[string]int64
	seen    int64
	looks   int
}

// Batch is a batch with room, and how many deliveries it has.
type Batch struct{ ID, Planned int64 }

// NewApart begins a run over addresses whose domain stands behind separator.
// The domains named have batches of their own from the start.
func NewApart(separator string, domains ...string) *Apart {
	a := &Apart{Separator: separator, batches: map[string]*Batch{}, counts: map[string]int64{}}
	for _, d := range domains {
		a.part(d)
	}
	return a
}

func (a *Apart) part(domain string) {
	if domain != "" && len(a.batches) < apartMost {
		if _, known := a.batches[domain]; !known {
			a.batches[domain] = &Batch{}
		}
	}
}

// Domains lists those with batches of their own; none when addresses have no
// domain.
func (a *Apart) Domains() []string {
	if a == nil || a.Separator == "" {
		return nil
	}
	var out []string
	for d := range a.batches {
		if d != "" {
			out = append(out, d)
		}
	}
	return out
}

// In is the batch in hand of a domain; the zero Batch when there is none.
func (a *Apart) In(domain string) Batch {
	if a == nil || a.batches[domain] == nil {
		return Batch{}
	}
	return *a.batches[domain]
}

// Took remembers the batch in hand of a domain.
func (a *Apart) Took(domain string, b Batch) {
	if a != nil {
		a.batches[domain] = &b
	}
}

// Look says whether the page that was just planned should be counted by domain.
func (a *Apart) Look() bool {
	if a == nil || a.Separator == "" {
		return false
	}
	a.looks++
	return a.looks%apartLook == 1
}

// Counted takes in how many deliveries of a page went to which domain.
func (a *Apart) Counted(domains map[string]int64) {
	for d, n := range domains {
		a.seen += apartLook * n
		a.counts[d] += apartLook * n
	}
	for d := range domains {
		if n := a.counts[d]; n >= apartFrom && n >= a.seen/apartShare {
			a.part(d)
		}
	}
	if len(a.counts) > apartKept { // small ones are forgotten, a large one comes again
		least := a.seen / apartKept
		maps.DeleteFunc(a.counts, func(_ string, n int64) bool { return n <= least })
	}
}
