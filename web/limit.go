package web

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"rapport"
	"rapport/internal/throttle"
)

// The limit on pages with tokens, for each network. It is there against those
// who try tokens by the million; a whole company behind one proxy does not
// notice it.
const (
	perSecond   = 200
	burst       = 2000
	maxNetworks = 8192
)

// pageRate is what one network may ask for.
func pageRate() throttle.Rate {
	return throttle.Rate{Burst: burst, Every: time.Second / perSecond, Most: maxNetworks}
}

// limited refuses what a network asks too often. Unsubscribing and the open
// pixel always pass, and so does what comes from a proxy that does not say for
// whom it speaks.
func (d *Door) limited(l *throttle.Limit[netip.Prefix], next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, ok := throttle.Network(r.RemoteAddr)
		if ok && counted(r) && !l.Allow(from) {
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
