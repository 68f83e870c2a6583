package web

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport"
	"rapport/internal/throttle"
	"rapport/web/inbound"
	"rapport/web/public"
)

//go:embed pages
var files embed.FS

// Options is what the public site is made of.
type Options struct {
	Name, Version string // shown on the status page
	HTTPS         bool   // people reach it by https
	Pages         *public.Pages
	Inbound       http.Handler // calls of providers; nil: none is expected
	Checks        []Check
	Registry      prometheus.Registerer
	Random        io.Reader // numbers of requests; safe for concurrent use
	Now           func() time.Time
	Log           *slog.Logger
}

// Site makes the handler of the public listener.
func Site(o Options) (http.Handler, error) {
	d, err := newDoor(o.Log, o.Random, public.StylePath)
	if err != nil {
		return nil, err
	}
	watch, err := newObserver(o.Registry, o.Now)
	if err != nil {
		return nil, err
	}
	h := &health{checks: o.Checks, now: o.Now}
	mux := http.NewServeMux()
	for _, pattern := range o.Pages.Patterns() {
		mux.Handle(pattern, o.Pages)
	}
	if o.Inbound != nil {
		mux.Handle(inbound.Path, o.Inbound)
	}
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /readyz", h.readiness)
	mux.Handle("GET /{$}", d.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		return d.status(w, r, o, h)
	}))
	mux.Handle("/", d.Wrap(nowhere))
	limit := throttle.New[netip.Prefix](o.Now, pageRate())
	return d.numbered(d.caught(guarded(located(d.limited(limit, watch.watched(mux))), o.HTTPS))), nil
}

// nowhere answers what no route matches.
func nowhere(http.ResponseWriter, *http.Request) error {
	return rapport.NotFoundf("there is nothing at this address")
}

func newDoor(log *slog.Logger, random io.Reader, style string) (*Door, error) {
	page, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the pages of the front door: %w", err)
	}
	return &Door{log: log, random: random, page: page, style: style}, nil
}

// status shows that the product is here and whether it works, and no more.
func (d *Door) status(w http.ResponseWriter, r *http.Request, o Options, h *health) error {
	ready, _ := h.ask(r.Context())
	code := http.StatusOK
	if !ready {
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	w.WriteHeader(code)
	_ = d.page.ExecuteTemplate(w, "status.html", struct { // the reader has gone
		Name, Version, Style string
		Ready                bool
	}{o.Name, o.Version, d.style, ready})
	return nil
}

// AdminOptions is what the admin listener is made of.
type AdminOptions struct {
	Report http.Handler // at /
	Checks []Check
	Gather prometheus.Gatherer
	Random io.Reader
	Now    func() time.Time
	Log    *slog.Logger
}

// Admin makes the handler of the admin listener: the report, metrics, profiles
// and readiness in detail. It asks for no key, so it belongs on a private
// address.
func Admin(o AdminOptions) (http.Handler, error) {
	d, err := newDoor(o.Log, o.Random, "")
	if err != nil {
		return nil, err
	}
	h := &health{checks: o.Checks, now: o.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /readyz", h.details)
	operators(mux, o.Gather)
	mux.Handle("GET /", o.Report)
	return d.numbered(d.caught(guarded(mux, false))), nil
}
