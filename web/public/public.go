package public

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"hash/maphash"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"rapport"
	"rapport/internal/throttle"
	"rapport/responses"
)

// Leaver ends permissions; *responses.Unsubscriber does.
type Leaver interface {
	Leave(ctx context.Context, w responses.Withdrawal) error
}

// Options is what the pages are made of.
type Options struct {
	Name   string // who writes, as people know them; stands on every page
	Locale string // language for those who ask for none we have
	Texts  fs.FS  // further languages, one YAML file each; nil: none
	Tokens *responses.Tokens
	Sink   responses.Sink // takes clicks and opens
	Leaver Leaver
	Centre Centre
	Theme  Theme
	// PublicURL is where people reach the pages, for the evidence.
	PublicURL string
	// Links returns the link table of the revision a run sends; it is asked
	// once a run and remembered.
	Links func(ctx context.Context, run int64) ([]string, error)
	// Render writes the letter of a delivery again, as HTML. NotFound when it
	// cannot be shown any more.
	Render func(ctx context.Context, run, contact int64) (string, error)
	Doors  Doors
	Now    func() time.Time
	Log    *slog.Logger
}

//go:embed pages texts style.css form.js
var files embed.FS

// StylePath is where the style sheet of the pages is served.
const StylePath = "/assets/public.css"

// Where the logos are served.
const (
	logoPath     = "/assets/logo"
	logoDarkPath = "/assets/logo-dark"
)

// iconPath is what browsers ask for beside every page, letters included.
const iconPath = "/favicon.ico"

// Pages serves the public pages. It is safe for concurrent use.
type Pages struct {
	o       Options
	mux     *http.ServeMux
	targets *targets
	texts   *texts
	views   *template.Template
	style   []byte
	seed    maphash.Seed
	changes *throttle.Limit[responses.Subject] // of preferences, by link
	doors
}

// How long a page may keep a person waiting.
const (
	openPatience  = 20 * time.Millisecond  // a pixel, for the recorder
	clickPatience = 200 * time.Millisecond // a redirect, for the recorder
	readPatience  = 3 * time.Second        // what must be read from the database
	leavePatience = 10 * time.Second       // a withdrawal
	maxBody       = 16 << 10               // octets of a form
	retryAfter    = "30"                   // seconds
)

// New makes the pages.
func New(o Options) (*Pages, error) {
	views, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the public pages: %w", err)
	}
	sheet, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("read the style of the public pages: %w", err)
	}
	style, err := o.Theme.style(sheet)
	if err != nil {
		return nil, err
	}
	house, err := fs.Sub(files, "texts")
	if err != nil {
		return nil, fmt.Errorf("find the texts of the public pages: %w", err)
	}
	words, err := readTexts(house, o.Texts, o.Locale)
	if err != nil {
		return nil, err
	}
	p := &Pages{o: o, mux: http.NewServeMux(), targets: newTargets(o.Links), texts: words, views: views, style: style, seed: maphash.MakeSeed(), changes: throttle.New[responses.Subject](o.Now, changeRate())}
	p.mux.HandleFunc("GET /c/{token}/{n}", p.click)
	p.mux.HandleFunc("GET /o/{token}", p.open)
	p.mux.HandleFunc("GET /u/{token}", p.askUnsubscribe)
	p.mux.HandleFunc("POST /u/{token}", p.unsubscribe)
	p.mux.HandleFunc("GET /p/{token}", p.preferences)
	p.mux.HandleFunc("POST /p/{token}", p.changePreferences)
	p.mux.HandleFunc("GET /v/{token}", p.view)
	p.mux.HandleFunc("GET "+StylePath, p.styleSheet)
	p.mux.HandleFunc("GET "+iconPath, p.icon)
	if o.Theme.Logo != nil {
		p.mux.HandleFunc("GET "+logoPath, p.picture(o.Theme.Logo))
	}
	if o.Theme.LogoDark != nil {
		p.mux.HandleFunc("GET "+logoDarkPath, p.picture(o.Theme.LogoDark))
	}
	p.mux.HandleFunc("/", p.notFound)
	return p, p.doors.open(p)
}

// Patterns lists what the pages answer, for the mux that they stand in.
func (*Pages) Patterns() []string {
	return []string{"/c/", "/o/", "/u/", "/p/", "/v/", "/f/", "/r/", "/a/", ScriptPath, StylePath, logoPath, logoDarkPath, iconPath}
}

// ServeHTTP implements http.Handler.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	p.mux.ServeHTTP(w, r)
}

func (p *Pages) styleSheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(p.style) // the reader has gone
}

// icon says that there is none, which is no error and is remembered.
func (*Pages) icon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // letters are shown as from nowhere
	w.WriteHeader(http.StatusNoContent)
}

// page is what every template sees.
type page struct {
	T         map[string]string // the texts of the language
	Lang, Dir string            // as HTML's lang and dir want them
	Name      string
	Style     string // path of the style sheet, relative to the page
	Logo      string // as Style; empty: none
	LogoDark  string
	Imprint   string // addresses elsewhere
	Privacy   string
	Title     string
	Said      string       // what the title begins with, after a change
	Notice    string       // said first, to screen readers too
	Languages []inLanguage // the same page in others; empty where it would be another page
	Body      any          // of the page itself
}

// inLanguage leads to the same page in another language.
type inLanguage struct{ Lang, Name, Address string }

// show writes a page in the language the reader asks for; the title is a key
// of the texts.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, view, title string, fill func(*page)) {
	p.showIn("", w, r, status, view, title, fill)
}

// showIn is show for a person whose own locale may be known.
func (p *Pages) showIn(locale string, w http.ResponseWriter, r *http.Request, status int, view, title string, fill func(*page)) {
	lang, words := p.language(r, locale)
	data := page{T: words, Lang: lang, Dir: words[directionKey], Name: p.o.Name, Title: words[title], Imprint: p.o.Theme.Imprint, Privacy: p.o.Theme.Privacy}
	root := depth(r.URL.Path)
	data.Style = root + StylePath[1:]
	if p.o.Theme.Logo != nil {
		data.Logo = root + logoPath[1:]
	}
	if p.o.Theme.LogoDark != nil {
		data.LogoDark = root + logoDarkPath[1:]
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		data.Languages = p.otherLanguages(lang)
	}
	if fill != nil {
		fill(&data)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	var b bytes.Buffer
	if err := p.views.ExecuteTemplate(&b, view+".html", data); err != nil {
		p.o.Log.ErrorContext(r.Context(), "a page could not be written", slog.String("page", view), slog.Any("error", err))
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader has gone
}

// langField is the part of a query that chooses a language.
const langField = "lang"

// chosen is the language that the address of a page asks for, if we have it.
func (p *Pages) chosen(r *http.Request) string {
	tag, _ := p.texts.match(r.URL.Query().Get(langField))
	return p.texts.tags[tag]
}

// language is the one a page is shown in: what the address says, else the
// person's own, else what the browser asks for.
func (p *Pages) language(r *http.Request, locale string) (string, map[string]string) {
	if want := p.chosen(r); want != "" {
		locale = want
	}
	return p.texts.speak(locale, r.Header.Get("Accept-Language"))
}

func (p *Pages) otherLanguages(current string) []inLanguage {
	var out []inLanguage
	for _, key := range p.texts.languages() {
		if tag := p.texts.tags[key]; tag != current {
			out = append(out, inLanguage{Lang: tag, Name: p.texts.byLang[key][nameKey], Address: "?" + langField + "=" + tag})
		}
	}
	return out
}

func (p *Pages) notFound(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, http.StatusNotFound, "message", "gone_title", func(d *page) {
		d.Notice = d.T["gone_text"]
	})
}

// depth is the way from a path back to where the pages begin.
func depth(path string) string {
	return strings.Repeat("../", strings.Count(path[min(len(path), 1):], "/"))
}

// away says that the database does not answer. It is the answer to every error
// but "not there": nothing has changed and trying again is right.
func (p *Pages) away(w http.ResponseWriter, r *http.Request, err error) {
	p.o.Log.WarnContext(r.Context(), "a public page could not be served", slog.String("page", r.Pattern), slog.Any("error", err))
	p.show(w, r, http.StatusServiceUnavailable, "message", "away_title", func(d *page) {
		d.Notice = d.T["away_text"]
	})
}

func (p *Pages) failed(w http.ResponseWriter, r *http.Request, err error) {
	if rapport.KindOf(err) == rapport.NotFound {
		p.notFound(w, r)
		return
	}
	p.away(w, r, err)
}

// hitOf reads from a request who made it.
func hitOf(r *http.Request) responses.Hit {
	return responses.Hit{
		Head: r.Method == http.MethodHead, Agent: r.UserAgent(),
		Purpose: []string{r.Header.Get("Sec-Purpose"), r.Header.Get("Purpose"), r.Header.Get("X-Moz")},
	}
}

// visitor keeps apart those who hit an address that names nobody, within the
// life of this process and without naming them.
func (p *Pages) visitor(r *http.Request) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	_, _ = h.WriteString(network(r))    // never fails
	_, _ = h.WriteString(r.UserAgent()) // never fails
	return h.Sum64()
}

// network is the address a request came from, without its port.
func network(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// event makes the event of a hit.
func (p *Pages) event(r *http.Request, kind responses.Kind, s responses.Subject) responses.Event {
	e := responses.Event{Kind: kind, Run: s.Run, Contact: s.Contact, At: p.o.Now()}
	e.Machine, e.Agent = responses.Classify(kind, hitOf(r))
	e.Visitor = p.visitor(r) // also where somebody is named: they may have withdrawn since
	return e
}

// record hands an event to the recorder, for no longer than a person may be
// kept waiting. One that cannot be kept is counted by the recorder.
func (p *Pages) record(r *http.Request, e responses.Event, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	_ = p.o.Sink.Record(ctx, e) // the recorder counts what it refuses
}
