package webhook

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"rapport/internal/fake/journal"
)

//go:embed pages.html
var pagesHTML string

//go:embed style.css
var styleCSS []byte

const onPage = 200

func (s *Server) routes() http.Handler {
	page := template.Must(template.New("pages").Funcs(template.FuncMap{"readable": readable}).Parse(pagesHTML))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", s.hook)
	mux.Handle("GET /", http.NotFoundHandler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		all := s.box.list(r.URL.Query().Get("to"))
		show(w, page, "list", map[string]any{
			"Messages": all[:min(len(all), onPage)], "Shown": len(all), "Taken": s.opts.Journal.Taken(), "Refused": s.opts.Journal.Count(journal.Refused, journal.Dropped),
			"To": r.URL.Query().Get("to"), "Checked": s.opts.Secret != "",
		})
	})
	mux.HandleFunc("GET /messages/{number}", func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(r.PathValue("number"))
		m, ok := s.box.get(number)
		if err != nil || !ok {
			http.Error(w, "There is no such message, or it is no longer kept.", http.StatusNotFound)
			return
		}
		show(w, page, "one", map[string]any{"Message": m, "Payload": indent(m.Payload)})
	})
	mux.HandleFunc("GET /messages.json", func(w http.ResponseWriter, r *http.Request) {
		guardPage(w)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.box.list(r.URL.Query().Get("to"))) // the reader went away
	})
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, _ *http.Request) {
		guardPage(w)
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(styleCSS) // the reader went away
	})
	return mux
}

func guardPage(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

func show(w http.ResponseWriter, page *template.Template, name string, data any) {
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, name, data); err != nil {
		http.Error(w, "The page could not be drawn.", http.StatusInternalServerError)
		return
	}
	guardPage(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the reader went away
}

func indent(raw json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return readable(out.Bytes())
}

// readable is JSON without the escapes that only its sender wanted.
func readable(raw json.RawMessage) string {
	return escapes.ReplaceAllStringFunc(string(raw), func(e string) string {
		if r := markup[strings.ToLower(e)]; r != "" {
			return r
		}
		return e
	})
}

// escapes finds whole escapes of JSON, so that a backslash of the text itself
// begins none.
var escapes = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// markup is what senders escape though JSON does not need it; the page itself
// escapes it for HTML.
var markup = map[string]string{`\u0026`: "&", `\u003c`: "<", `\u003e`: ">"}
