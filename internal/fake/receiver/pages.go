package receiver

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"

	"rapport/internal/fake/journal"
)

//go:embed list.html
var listHTML string

//go:embed style.css
var styleCSS []byte

const onPage = 200

// Look is how a receiver shows itself.
type Look struct {
	Title string // of the page
	Taken string // the word for taken
	Note  string // what else the list says; may be empty
	One   string // template "one" of a single message; template "top" makes its beginning
	Funcs template.FuncMap
}

// Pages adds the pages to mux: the list, one message, the list as JSON and the
// style sheet. one is what the template of a single message gets.
func (s *Server[M, V]) Pages(mux *http.ServeMux, look Look, one func(M) any) {
	page := template.Must(template.Must(template.New("pages").Funcs(look.Funcs).Parse(listHTML)).Parse(look.One))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		all := s.Messages(to)
		show(w, page, "list", map[string]any{
			"Look": look, "To": to, "Messages": all[:min(len(all), onPage)], "Shown": len(all),
			"Taken": s.record.Taken(), "Refused": s.record.Count(journal.Refused, journal.Dropped),
		})
	})
	mux.HandleFunc("GET /messages/{number}", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(r.PathValue("number"))
		m, ok := s.Message(number)
		if err != nil || !ok {
			http.Error(w, "There is no such message, or it is no longer kept.", http.StatusNotFound)
			return
		}
		show(w, page, "one", one(m))
	})
	mux.HandleFunc("GET /messages.json", func(w http.ResponseWriter, r *http.Request) {
		Guard(w, pagePolicy)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Messages(r.URL.Query().Get("to"))) // the reader went away
	})
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		Guard(w, pagePolicy)
		Style(w, r)
	})
}

const pagePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Guard sets the headers that every page of a fake has: the content policy,
// and nothing is guessed, told or stored.
func Guard(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// Style answers with the style sheet of all fakes.
func Style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(styleCSS) // the reader went away
}

func show(w http.ResponseWriter, page *template.Template, name string, data any) {
	Guard(w, pagePolicy)
	Render(w, page.Lookup(name), data)
}

// Render answers with a page, or with 500 when it cannot be made.
func Render(w http.ResponseWriter, t *template.Template, view any) {
	var out bytes.Buffer
	if err := t.Execute(&out, view); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the reader went away
}

// Indent is JSON as people read it; what is no JSON stays as it is.
func Indent(raw json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}
