package smtpd

import (
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/receiver"
)

//go:embed pages/*.html
var pageFiles embed.FS

const (
	pagePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'"
	pageSize  = 50
	maxShown  = 512 << 10 // how much of a source or text the page shows
	maxAPI    = 1000
	listQuery = 200 // the longest search text
)

// catcher serves the pages of one server.
type catcher struct {
	srv    *Server
	list   *template.Template
	mail   *template.Template
	images string
}

// Pages is the mail catcher: a list of the mails, each with its HTML (in a
// sandboxed frame that runs nothing and loads nothing from elsewhere), text,
// headers and source, and GET /api/messages as JSON. All links are relative, so
// it can stand below any path that ends with a slash. It changes nothing and
// asks for no password: serve it where only the right people can reach it.
func (s *Server) Pages() http.Handler {
	funcs := template.FuncMap{
		"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
		"size":  humanSize,
		"join":  func(list []string) string { return strings.Join(list, ", ") },
	}
	parse := func(name string) *template.Template {
		return template.Must(template.New(name).Funcs(funcs).ParseFS(pageFiles, "pages/"+name, "pages/frame.html"))
	}
	c := &catcher{srv: s, list: parse("list.html"), mail: parse("mail.html")}
	for _, source := range s.opts.ImageSources {
		c.images += " " + source
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.listPage)
	mux.HandleFunc("GET /style.css", receiver.Style)
	mux.HandleFunc("GET /api/messages", c.api)
	mux.HandleFunc("GET /m/{id}", c.mailPage)
	mux.HandleFunc("GET /m/{id}/html", c.htmlView)
	mux.HandleFunc("GET /m/{id}/part/{n}", c.part)
	mux.HandleFunc("GET /m/{id}/source", c.source)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		receiver.Guard(w, pagePolicy)
		mux.ServeHTTP(w, r)
	})
}

// listView is what list.html shows.
type listView struct {
	Name           string
	Query          string
	Mails          []*Message
	Older          uint64 // the ID to go on from, 0 at the end
	First          bool
	Taken, Refused int
	Kept           int
}

func (c *catcher) listPage(w http.ResponseWriter, r *http.Request) {
	query, before, ok := listArguments(w, r)
	if !ok {
		return
	}
	j := c.srv.opts.Journal
	v := listView{
		Name: c.srv.opts.Name, Query: query, First: before == 0,
		Taken: j.Taken(), Refused: j.Count(journal.Refused, journal.Dropped), Kept: c.srv.box.len(),
	}
	var more bool
	v.Mails, more = c.srv.box.page(query, before, pageSize)
	if more {
		v.Older = v.Mails[len(v.Mails)-1].ID
	}
	receiver.Render(w, c.list, v)
}

// listArguments reads q and before, or answers 400.
func listArguments(w http.ResponseWriter, r *http.Request) (query string, before uint64, ok bool) {
	query = r.FormValue("q")
	if len(query) > listQuery {
		http.Error(w, "The search text is too long.", http.StatusBadRequest)
		return "", 0, false
	}
	if text := r.FormValue("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 64); err != nil {
			http.Error(w, "The parameter \"before\" is not the number of a mail.", http.StatusBadRequest)
			return "", 0, false
		}
	}
	return query, before, true
}

// APIMessage is one mail in the answer of GET /api/messages.
type APIMessage struct {
	ID           uint64    `json:"id"`
	Received     time.Time `json:"received"`
	Session      uint64    `json:"session"`
	EnvelopeFrom string    `json:"envelope_from"`
	EnvelopeTo   []string  `json:"envelope_to"`
	From         string    `json:"from"`
	To           string    `json:"to"`
	Subject      string    `json:"subject"`
	MessageID    string    `json:"message_id"`
	Size         int64     `json:"size"`
	Digest       string    `json:"digest"`
}

// APIMessages is the answer of GET /api/messages?q=…&before=…: newest first, at
// most 1000; Next is the value of before for the next page, 0 at the end.
type APIMessages struct {
	Messages []APIMessage `json:"messages"`
	Next     uint64       `json:"next"`
	Taken    int          `json:"taken"`
}

func (c *catcher) api(w http.ResponseWriter, r *http.Request) {
	query, before, ok := listArguments(w, r)
	if !ok {
		return
	}
	mails, more := c.srv.box.page(query, before, maxAPI)
	out := APIMessages{Messages: make([]APIMessage, len(mails)), Taken: c.srv.opts.Journal.Taken()}
	for i, m := range mails {
		out.Messages[i] = APIMessage{
			ID: m.ID, Received: m.Received, Session: m.Session, EnvelopeFrom: m.EnvelopeFrom,
			EnvelopeTo: m.EnvelopeTo, From: m.From, To: m.To, Subject: m.Subject, MessageID: m.MessageID,
			Size: m.Size, Digest: m.Digest,
		}
	}
	if more {
		out.Next = mails[len(mails)-1].ID
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the reader may have gone
}

func humanSize(n int64) string {
	switch {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MB"
}
