package contacts

// Seen is the set of contacts an import has met. Numbers are dense, so a bit
// for each costs a million people some 125 KB.
type Seen struct{ pages map[int64]*[seenWords]uint64 }

const (
	seenWords = 64
	seenBits  = seenWords * 64
)

// NewSeen returns an empty set.
func NewSeen() *Seen { return &Seen{pages: map[int64]*[seenWords]uint64{}} }

// Has says whether the contact was met; a nil set has nobody.
func (s *Seen) Has(id int64) bool {
	if s == nil {
		return false
	}
	p := s.pages[id/seenBits]
	return p != nil && p[id%seenBits/64]&(1<<(id%64)) != 0
}

// Add notes that the contact was met; a nil set forgets it.
func (s *Seen) Add(id int64) {
	if s == nil {
		return
	}
	p := s.pages[id/seenBits]
	if p == nil {
		p = new([seenWords]uint64)
		s.pages[id/seenBits] = p
	}
	p[id%seenBits/64] |= 1 << (id % 64)
}
