package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"rapport"
)

// Check asks one part whether it answers: the database, the queue.
type Check struct {
	Name string
	Ask  func(ctx context.Context) error
}

const (
	checkTime = 2 * time.Second
	checkKept = time.Second // strangers cannot make us ask more often
)

// health asks the checks and keeps the answer for a second.
type health struct {
	checks []Check
	now    func() time.Time

	mu    sync.Mutex
	at    time.Time
	state map[string]string
	ready bool
}

// ask returns whether all answer, and what each said: "ok", or the kind of
// error with the sentence for people.
func (h *health) ask(ctx context.Context) (bool, map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); h.state == nil || now.Sub(h.at) >= checkKept || now.Before(h.at) {
		h.refresh(ctx)
		h.at = h.now()
	}
	return h.ready, h.state
}

func (h *health) refresh(ctx context.Context) {
	// Whoever asked may leave; the answer is for those behind them too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	answers := make([]error, len(h.checks))
	var all sync.WaitGroup
	for i, c := range h.checks {
		all.Go(func() { answers[i] = c.Ask(ctx) })
	}
	all.Wait()
	h.ready, h.state = true, map[string]string{}
	for i, c := range h.checks {
		h.state[c.Name] = "ok"
		if err := answers[i]; err != nil {
			h.ready, h.state[c.Name] = false, rapport.KindOf(err).String()
			if e, ok := errors.AsType[*rapport.Error](err); ok && e.Msg != "" {
				h.state[c.Name] += ": " + e.Msg
			}
		}
	}
}

// live answers that the process lives.
func live(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// readiness answers strangers with a word.
func (h *health) readiness(w http.ResponseWriter, r *http.Request) {
	if ready, _ := h.ask(r.Context()); ready {
		plain(w, http.StatusOK, "ready\n")
		return
	}
	plain(w, http.StatusServiceUnavailable, "not ready\n")
}

// details answers operators with what each part said.
func (h *health) details(w http.ResponseWriter, r *http.Request) {
	ready, state := h.ask(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(struct { // the reader has gone
		Ready  bool              `json:"ready"`
		Checks map[string]string `json:"checks"`
	}{ready, state})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the reader has gone
}
