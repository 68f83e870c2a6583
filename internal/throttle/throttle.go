package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is what each key may do.
type Rate struct {
	Burst int           // at once
	Every time.Duration // and then one in so long
	Most  int           // keys that are remembered
}

// Limit counts by key: a bucket for each that fills again with time. It is safe
// for concurrent use.
type Limit[K comparable] struct {
	rate Rate
	now  func() time.Time

	mu      sync.Mutex
	buckets map[K]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// New makes a limit of a rate whose Burst, Every and Most are positive.
func New[K comparable](now func() time.Time, rate Rate) *Limit[K] {
	return &Limit[K]{rate: rate, now: now, buckets: map[K]bucket{}}
}

// Allow takes one from the bucket of the key; false: it is empty.
func (l *Limit[K]) Allow(key K) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[key]
	if !known {
		if len(l.buckets) >= l.rate.Most {
			l.forget(now)
		}
		b = bucket{float64(l.rate.Burst), now}
	}
	b = bucket{l.filled(b, now), now}
	ok := b.left >= 1
	if ok {
		b.left--
	}
	l.buckets[key] = b
	return ok
}

// Kept is how many keys are remembered.
func (l *Limit[K]) Kept() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

func (l *Limit[K]) filled(b bucket, now time.Time) float64 {
	return min(b.left+now.Sub(b.at).Seconds()/l.rate.Every.Seconds(), float64(l.rate.Burst))
}

// forget drops keys whose bucket is full again; when none is, all, so that
// memory stays bounded.
func (l *Limit[K]) forget(now time.Time) {
	for k, b := range l.buckets {
		if l.filled(b, now) >= float64(l.rate.Burst) {
			delete(l.buckets, k)
		}
	}
	if len(l.buckets) >= l.rate.Most {
		clear(l.buckets)
	}
}

// The part of an address that names a network.
const (
	networkIPv4 = 24
	networkIPv6 = 56
)

// Network is the network that a connection comes from, given as HOST:PORT. ok
// is false for what is no address, and for a near one: it belongs to a proxy
// that does not say for whom it speaks, so it stands for everybody.
func Network(remote string) (network netip.Prefix, ok bool) {
	p, err := netip.ParseAddrPort(remote)
	from := p.Addr().Unmap().WithZone("")
	if err != nil || Near(from) {
		return netip.Prefix{}, false
	}
	size := networkIPv4
	if from.Is6() {
		size = networkIPv6
	}
	network, err = from.Prefix(size)
	return network, err == nil
}

// Near says whether an address is of this machine or its own network.
func Near(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }
