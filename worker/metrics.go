package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/channels"
	"rapport/outbox"
)

// meter is what the machine room counts. All label sets are closed and made
// at the start, so that a graph begins at zero.
type meter struct {
	ended     *prometheus.CounterVec
	failures  *prometheus.CounterVec
	groups    *prometheus.HistogramVec
	exchange  prometheus.Histogram
	oldest    *prometheus.GaugeVec
	held      *prometheus.GaugeVec
	slow      *prometheus.GaugeVec
	reclaimed *prometheus.CounterVec
	rings     *prometheus.CounterVec
	setAside  prometheus.Counter
	forged    prometheus.Counter
	panics    prometheus.Counter
	lag       prometheus.Gauge
	finished  prometheus.Counter
}

func newMeter(lanes []string) *meter {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "rapport", Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rapport", Name: name, Help: help}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "rapport", Name: name, Help: help}, labels)
	}
	m := &meter{
		ended:    counters("outcomes_total", "What became of claimed deliveries, by channel and the state it led to.", "channel", "state"),
		failures: counters("failed_attempts_total", "Attempts that ended otherwise than sent, by channel and verdict.", "channel", "verdict"),
		groups: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "rapport", Name: "exchange_group", Help: "Outcomes and tickets in one transaction.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 256},
		}, []string{"what"}),
		exchange: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "rapport", Name: "exchange_seconds", Help: "Time of one transaction of outcomes and tickets.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		oldest:    gauges("queue_age_seconds", "How long the oldest due batch of a lane has not been begun.", "lane"),
		held:      gauges("channel_held", "1 while a channel may not send.", "channel"),
		slow:      gauges("slow_domain_per_minute", "Messages a minute to a receiving domain that asked for less; absent when it did not.", "channel", "domain"),
		reclaimed: counters("reclaimed_total", "Rows taken back from dead workers, by what became of them.", "what"),
		rings:     counters("batches_rung_total", "Batches asked for, by lane and way.", "lane", "way"),
		setAside:  counter("outcomes_set_aside_total", "Outcomes the database refused to take."),
		forged:    counter("tasks_ignored_total", "Queue tasks that no rapport has written or that name nothing."),
		panics:    counter("panics_total", "Crashes of code that renders or sends one message."),
		lag:       prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "rapport", Name: "pump_lag_seconds", Help: "How much longer than a second the pump's last round took."}),
		finished:  counter("runs_finished_total", "Runs of which nothing is open any more."),
	}
	m.zero(lanes)
	return m
}

func (m *meter) zero(channelNames []string) {
	for _, c := range channelNames {
		for _, s := range outbox.States() {
			m.ended.WithLabelValues(c, string(s))
		}
		m.held.WithLabelValues(c)
		for _, v := range channels.Verdicts() {
			m.failures.WithLabelValues(c, v.String())
		}
	}
	for _, l := range []outbox.Lane{outbox.Now, outbox.Bulk} {
		m.oldest.WithLabelValues(string(l))
		m.rings.WithLabelValues(string(l), "direct")
		m.rings.WithLabelValues(string(l), "queue")
	}
	for _, w := range []string{"worker", "freed", "repeated", "uncertain"} {
		m.reclaimed.WithLabelValues(w)
	}
}

// register adds everything to the registry, with gauges that are asked.
func (m *meter) register(r prometheus.Registerer, more ...prometheus.Collector) error {
	all := append([]prometheus.Collector{
		m.ended, m.failures, m.groups, m.exchange, m.oldest, m.held, m.slow, m.reclaimed, m.rings,
		m.setAside, m.forged, m.panics, m.lag, m.finished,
	}, more...)
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *meter) exchanged(outcomes, tickets int, took time.Duration) {
	m.groups.WithLabelValues("outcomes").Observe(float64(outcomes))
	m.groups.WithLabelValues("tickets").Observe(float64(tickets))
	m.exchange.Observe(took.Seconds())
}

// outcome counts what became of a delivery, and the attempt if it failed.
func (m *meter) outcome(channel string, state outbox.State, verdict string) {
	m.ended.WithLabelValues(channel, string(state)).Inc()
	if verdict != "" {
		m.failures.WithLabelValues(channel, verdict).Inc()
	}
}

func (m *meter) found(r outbox.Reclaimed) {
	m.reclaimed.WithLabelValues("worker").Add(float64(r.Workers))
	m.reclaimed.WithLabelValues("freed").Add(float64(r.Freed))
	m.reclaimed.WithLabelValues("repeated").Add(float64(r.Repeated))
	m.reclaimed.WithLabelValues("uncertain").Add(float64(r.Uncertain))
}
