package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rapport/responses"
)

// observer counts requests by route and status, and how long they took.
type observer struct {
	now   func() time.Time
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newObserver(reg prometheus.Registerer, now func() time.Time) (*observer, error) {
	o := &observer{
		now: now,
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rapport_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rapport_http_request_seconds", Help: "How long requests took, by route.", Buckets: []float64{.001, .005, .02, .05, .2, 1, 5},
		}, []string{"route"}),
	}
	if err := errors.Join(reg.Register(o.count), reg.Register(o.took)); err != nil {
		return nil, fmt.Errorf("register the metrics of the front door: %w", err)
	}
	return o, nil
}

// watched counts what next answers. The route is the pattern of the mux, so a
// stranger cannot make new series.
func (o *observer) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := o.now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		route := r.Pattern
		if route == "" {
			route = "none"
		}
		o.count.WithLabelValues(route, strconv.Itoa(rec.status)).Inc()
		o.took.WithLabelValues(route).Observe(o.now().Sub(began).Seconds())
	})
}

// ObserveResponses shows the counters of the recorder of responses.
func ObserveResponses(reg prometheus.Registerer, stats func() responses.Stats) error {
	count := func(result string, of func(responses.Stats) int64) error {
		return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "rapport_responses_total", Help: "Opens, clicks and other responses by what became of them: recorded, repeated (counted already) or refused (could not be kept).",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(of(stats())) }))
	}
	err := errors.Join(
		count("recorded", func(s responses.Stats) int64 { return s.Recorded }),
		count("repeated", func(s responses.Stats) int64 { return s.Repeated }),
		count("refused", func(s responses.Stats) int64 { return s.Refused }),
		reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rapport_responses_waiting", Help: "Responses that are not written yet.",
		}, func() float64 { return float64(stats().Waiting) })))
	if err != nil {
		return fmt.Errorf("register the metrics of responses: %w", err)
	}
	return nil
}

// operators adds what only the admin listener shows: metrics and profiles. The
// command line is not among them, since it may hold a secret.
func operators(mux *http.ServeMux, gather prometheus.Gatherer) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(gather, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
}
