package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rapport/outbox"
	"rapport/responses"
)

// runView is a run laid out for the template.
type runView struct {
	Run
	Rows       []row
	Bars       []bar
	Waiting    []reasonRow
	NotPlanned []reasonRow
	Shadow     []reasonRow
	Links      []linkRow
	Plot       *plot
	Left       string
	Ended      int64
}

type row struct {
	State   outbox.State
	N       int64
	Reasons []reasonRow
}

type reasonRow struct {
	Reason string
	N      int64
}

// bar is a part of the drawing of an account, barWidth wide as a whole.
type bar struct {
	State outbox.State
	X, W  float64
}

type linkRow struct {
	Number int
	Target string
	responses.People
	W float64 // of its bar, of barWidth
}

const barWidth = 1000.0

func viewOf(r Run, samples []sample, now time.Time) runView {
	v := runView{Run: r, Ended: r.Planned - r.Open(), Left: left(r.Account)}
	for _, st := range outbox.States() {
		v.Rows = append(v.Rows, row{st, r.States[st], reasons(r.Reasons[st])})
	}
	v.Bars = bars(r)
	v.Waiting, v.NotPlanned = reasons(r.Account.Waiting), reasons(r.Account.NotPlanned)
	v.Shadow = reasons(r.Account.Shadow)
	v.Links = links(r)
	v.Plot = draw(r, samples, now)
	return v
}

// bars draws the account: what has ended grows from the left, what waits is
// at the right.
func bars(r Run) []bar {
	order := outbox.States()
	slices.SortStableFunc(order, func(a, b outbox.State) int {
		switch {
		case a.Open() == b.Open():
			return 0
		case a.Open():
			return 1
		}
		return -1
	})
	var out []bar
	x := 0.0
	for _, st := range order {
		if n := r.States[st]; n > 0 && r.Planned > 0 {
			w := barWidth * float64(n) / float64(r.Planned)
			out = append(out, bar{st, x, w})
			x += w
		}
	}
	return out
}

// left says in words how long it will take.
func left(a outbox.Account) string {
	if a.Left == nil || a.Open() == 0 {
		return ""
	}
	return (time.Duration(*a.Left) * time.Second).String()
}

func reasons(m map[outbox.Reason]int64) []reasonRow {
	var out []reasonRow
	for _, r := range slices.Sorted(maps.Keys(m)) {
		if m[r] > 0 {
			out = append(out, reasonRow{strings.ReplaceAll(string(r), "_", " "), m[r]})
		}
	}
	slices.SortStableFunc(out, func(a, b reasonRow) int { return cmp.Compare(b.N, a.N) })
	return out
}

// links lists every link of the letter, also those nobody clicked.
func links(r Run) []linkRow {
	var out []linkRow
	for i, t := range r.Targets {
		out = append(out, linkRow{Number: i, Target: t})
	}
	most := int64(1)
	for _, l := range r.Back.Links {
		for l.Link >= len(out) && len(out) < maxLinks {
			out = append(out, linkRow{Number: len(out), Target: "link " + strconv.Itoa(len(out))})
		}
		if l.Link >= 0 && l.Link < len(out) {
			out[l.Link].People = l.People
			most = max(most, l.Human)
		}
	}
	for i := range out {
		out[i].W = barWidth * float64(out[i].Human) / float64(most)
	}
	return out
}

const maxLinks = 1000

// sample is how far a run was at a moment.
type sample struct {
	At    time.Time
	Ended int64
}

const (
	maxRuns    = 100
	maxSamples = 240
)

// history keeps how far runs were whenever somebody looked. When a run has
// too many samples every second one goes.
type history struct {
	mu   sync.Mutex
	runs map[string][]sample
}

func (h *history) note(d Data) {
	h.mu.Lock()
	defer h.mu.Unlock()
	shown := map[string][]sample{}
	for _, r := range d.Runs[:min(len(d.Runs), maxRuns)] {
		s := h.runs[r.Run]
		now := sample{d.At, r.Planned - r.Open()}
		if n := len(s); n == 0 || now.At.After(s[n-1].At) && (now.Ended != s[n-1].Ended || r.Open() > 0) {
			s = append(slices.Clip(s), now)
		}
		if len(s) > maxSamples {
			half := s[:0:0]
			for i := 0; i < len(s); i += 2 {
				half = append(half, s[i])
			}
			s = half
		}
		shown[r.Run] = s
	}
	h.runs = shown
}

func (h *history) of(run string) []sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs[run]
}

// plot is a line of how many deliveries had ended, in a field of plotWidth by
// plotHeight.
type plot struct {
	Line    string // points of a polyline
	Samples []sample
	Top     int64
	From    time.Time
	To      time.Time
}

const (
	plotWidth  = 1000.0
	plotHeight = 160.0
	tableRows  = 12
)

// draw makes the plot of a run; nil when there is nothing to see.
func draw(r Run, samples []sample, now time.Time) *plot {
	if r.Planned == 0 || r.StartedAt.IsZero() {
		return nil
	}
	to := now
	if r.FinishedAt != nil {
		to = *r.FinishedAt
	}
	line := []sample{{r.StartedAt, 0}}
	for _, s := range samples {
		if s.At.After(r.StartedAt) && s.At.Before(to) {
			line = append(line, s)
		}
	}
	if !to.After(r.StartedAt) {
		return nil
	}
	line = append(line, sample{to, r.Planned - r.Open()})
	p := &plot{Top: r.Planned, From: r.StartedAt, To: to, Samples: thinned(line)}
	var b strings.Builder
	for i, s := range line {
		if i > 0 {
			b.WriteByte(' ')
		}
		x := plotWidth * float64(s.At.Sub(r.StartedAt)) / float64(to.Sub(r.StartedAt))
		y := plotHeight * (1 - float64(s.Ended)/float64(r.Planned))
		b.WriteString(size(x) + "," + size(y))
	}
	p.Line = b.String()
	return p
}

// thinned picks samples for the table, the first and the last among them.
func thinned(line []sample) []sample {
	if len(line) <= tableRows {
		return line
	}
	var out []sample
	for i := range tableRows {
		out = append(out, line[i*(len(line)-1)/(tableRows-1)])
	}
	return out
}
