package report

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"rapport/outbox"
	"rapport/responses"
)

// Run is one run as the page shows it.
type Run struct {
	outbox.Account
	Title   string            `json:"title,omitempty"` // of the campaign, when it has one
	Back    responses.Summary `json:"responses"`
	Targets []string          `json:"link_targets,omitempty"` // by link number
	// Tracking says whom the letters of a run that has ended led to.
	Tracking *Tracked `json:"tracking,omitempty"`
}

// Tracked says whom the letters of a run led to, and on which ground.
type Tracked struct {
	Mode     string `json:"mode"`             // person, aggregate or off
	Basis    string `json:"basis,omitempty"`  // of person, when the run began
	Reason   string `json:"reason,omitempty"` // why a basis other than consent held
	Sent     int64  `json:"sent"`             // letters that were sent or may have arrived
	ByPerson int64  `json:"by_person"`        // of them those whose links lead to their person
}

// Data is all that the page shows, of one moment.
type Data struct {
	At    time.Time     `json:"at"`
	Holds []outbox.Hold `json:"-"`
	Slow  []outbox.Slow `json:"-"`    // receiving domains that asked for less
	Runs  []Run         `json:"runs"` // newest first
}

// Options is what the page is made of.
type Options struct {
	Name    string // of the product, on the page
	Data    func(ctx context.Context) (Data, error)
	Refresh time.Duration // how often an open page asks again; 0: 5 s
	Log     *slog.Logger
}

//go:embed page.html style.css
var files embed.FS

const (
	usualRefresh = 5 * time.Second
	readTime     = 10 * time.Second
)

// Report serves the page at /, its style at /report.css and the data at
// /report.json. It is safe for concurrent use.
type Report struct {
	o       Options
	mux     *http.ServeMux
	page    *template.Template
	style   []byte
	history history
}

// New makes the page.
func New(o Options) (*Report, error) {
	if o.Refresh == 0 {
		o.Refresh = usualRefresh
	}
	page, err := template.New("page.html").Funcs(template.FuncMap{"n": grouped, "clock": clock, "share": share, "size": size}).ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("read the report page: %w", err)
	}
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("read the style of the report page: %w", err)
	}
	r := &Report{o: o, mux: http.NewServeMux(), page: page, style: style}
	r.mux.HandleFunc("GET /{$}", r.show)
	r.mux.HandleFunc("GET /report.json", r.json)
	r.mux.HandleFunc("GET /report.css", r.sheet)
	r.mux.HandleFunc("GET /favicon.ico", r.icon)
	return r, nil
}

// ServeHTTP implements http.Handler.
func (p *Report) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

func (p *Report) sheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(p.style) // the reader has gone
}

// icon says that there is none, which is no error and is remembered.
func (*Report) icon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.WriteHeader(http.StatusNoContent)
}

func (p *Report) read(w http.ResponseWriter, r *http.Request) (Data, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	d, err := p.o.Data(ctx)
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		p.o.Log.WarnContext(r.Context(), "the report cannot be read", slog.Any("error", err))
		w.Header().Set("Retry-After", "5")
		http.Error(w, "The numbers cannot be read just now. Please try again in a moment.", http.StatusServiceUnavailable)
		return d, false
	}
	p.history.note(d)
	return d, true
}

// hold is a hold as JSON.
type hold struct {
	Channel string     `json:"channel"`
	Reason  string     `json:"reason"`
	Detail  string     `json:"detail,omitempty"`
	Since   time.Time  `json:"since"`
	Until   *time.Time `json:"until"` // null: until a person or a successful check lifts it
}

// slow is a slowed domain as JSON.
type slow struct {
	outbox.Slow
	PerMinute float64 `json:"per_minute"`
}

func (p *Report) json(w http.ResponseWriter, r *http.Request) {
	d, ok := p.read(w, r)
	if !ok {
		return
	}
	out := struct {
		Data
		Held []hold `json:"holds"`
		Slow []slow `json:"slow_domains"`
	}{Data: d, Held: []hold{}, Slow: []slow{}}
	for _, s := range d.Slow {
		out.Slow = append(out.Slow, slow{s, s.PerMinute()})
	}
	for _, h := range d.Holds {
		x := hold{Channel: h.Channel, Reason: string(h.Reason), Detail: h.Detail, Since: h.Since}
		if !h.Until.IsZero() {
			x.Until = &h.Until
		}
		out.Held = append(out.Held, x)
	}
	if out.Runs == nil {
		out.Runs = []Run{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the reader has gone
}

func (p *Report) show(w http.ResponseWriter, r *http.Request) {
	d, ok := p.read(w, r)
	if !ok {
		return
	}
	still := r.URL.Query().Has("still")
	view := struct {
		Data
		Name    string
		Refresh int // seconds; 0: the page stands still
		Views   []runView
	}{Data: d, Name: p.o.Name}
	if !still {
		view.Refresh = max(int(p.o.Refresh.Seconds()), 1)
	}
	for _, run := range d.Runs {
		view.Views = append(view.Views, viewOf(run, p.history.of(run.Run), d.At))
	}
	var b bytes.Buffer
	if err := p.page.Execute(&b, view); err != nil {
		p.o.Log.ErrorContext(r.Context(), "the report cannot be written", slog.Any("error", err))
		http.Error(w, "The report cannot be written.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the reader has gone
}

// grouped writes a number as people read it.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// share is a part in per cent.
func share(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	return strconv.FormatFloat(float64(part)*100/float64(whole), 'f', 1, 64) + " %"
}

// size is a length in a drawing.
func size(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
