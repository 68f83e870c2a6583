package webhook

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"rapport/internal/fake/receiver"
)

//go:embed one.html
var oneHTML string

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", s.hook)
	mux.Handle("GET /", http.NotFoundHandler())
	note := "signatures not checked"
	if s.secret != "" {
		note = "every signature checked"
	}
	s.Pages(mux, receiver.Look{Title: "Webhook receiver", Taken: "taken", Note: note, One: oneHTML}, func(m *Message) any {
		return map[string]any{"Message": m, "Payload": readable(json.RawMessage(receiver.Indent(m.Payload)))}
	})
	return mux
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
