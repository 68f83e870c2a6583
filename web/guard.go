package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"rapport/internal/throttle"
)

// maxBody bounds the body of every request; rooms that need less say so.
const maxBody = 1 << 20

// policy is the content security policy of every page that sets no other: only
// what this server serves, nothing inline, in nobody's frame.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded sets the headers that tell browsers how little they may do, and
// bounds the body.
func guarded(next http.Handler, https bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if https {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// located replaces the address of a proxy in front of us by the one it speaks
// for. A proxy is believed only when it is on this machine or in a private
// network, and only about the last address it did not know itself, which is the
// one it saw.
func located(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := address(r.RemoteAddr); ok && throttle.Near(from) {
			if real, found := forwarded(r.Header.Values("X-Forwarded-For")); found {
				at := *r
				at.RemoteAddr = net.JoinHostPort(real.String(), "0")
				r = &at
			}
		}
		next.ServeHTTP(w, r)
	})
}

func address(hostPort string) (netip.Addr, bool) {
	p, err := netip.ParseAddrPort(hostPort)
	return p.Addr().Unmap(), err == nil
}

// forwarded is the last address in the fields that is not near, else the first.
func forwarded(fields []string) (netip.Addr, bool) {
	var found netip.Addr
	list := strings.Split(strings.Join(fields, ","), ",")
	for _, text := range slices.Backward(list) {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		found = a.Unmap().WithZone("")
		if !throttle.Near(found) {
			break
		}
	}
	return found, found.IsValid()
}
