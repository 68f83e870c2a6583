package web

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"rapport"
)

// The limit on pages with tokens, for each network. It is there against those
// who try tokens by the million; a whole company behind one proxy does not
// notice it.
const (
	perSecond   = 200
	burst       = 2000
	maxNetworks = 8192
)

// limiter counts requests by network: a bucket that fills again with time.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[netip.Prefix]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, buckets: map[netip.Prefix]bucket{}}
}

// allow takes one from the bucket of the network.
func (l *limiter) allow(from netip.Addr) bool {
	bits := 24
	if from.Is6() {
		bits = 56
	}
	key, err := from.Prefix(bits)
	if err != nil {
		return true
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[key]
	if !known {
		if len(l.buckets) >= maxNetworks {
			l.forget(now)
		}
		b = bucket{burst, now}
	}
	b.left = min(b.left+now.Sub(b.at).Seconds()*perSecond, burst)
	b.at = now
	ok := b.left >= 1
	if ok {
		b.left--
	}
	l.buckets[key] = b
	return ok
}

// forget drops networks whose bucket is full again; when none is, all, so that
// memory stays bounded.
func (l *limiter) forget(now time.Time) {
	for k, b := range l.buckets {
		if b.left+now.Sub(b.at).Seconds()*perSecond >= burst {
			delete(l.buckets, k)
		}
	}
	if len(l.buckets) >= maxNetworks {
		clear(l.buckets)
	}
}

// limited refuses what a network asks too often. Unsubscribing and the open
// pixel always pass, and so does what comes from a proxy that does not say for
// whom it speaks.
func (d *Door) limited(l *limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, ok := address(r.RemoteAddr)
		if ok && !near(from) && counted(r) && !l.allow(from) {
			d.answer(w, r, Problem{
				Type: "about:blank", Status: http.StatusTooManyRequests, Kind: rapport.Unavailable.String(),
				Detail: "too many requests came from your network; try again in a moment", ID: RequestID(r.Context()),
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func counted(r *http.Request) bool {
	for _, prefix := range []string{"/c/", "/v/", "/p/", "/f/", "/r/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return true
		}
	}
	return strings.HasPrefix(r.URL.Path, "/u/") && r.Method != http.MethodPost
}
