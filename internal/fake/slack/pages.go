package slack

import (
	_ "embed"
	"net/http"

	"rapport/internal/fake/receiver"
)

//go:embed one.html
var oneHTML string

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.call)
	mux.HandleFunc("POST /answers", s.answer)
	s.Pages(mux, receiver.Look{Title: "Slack workspace of the demo", Taken: "posted", One: oneHTML}, func(m *Message) any {
		return map[string]any{"Message": m, "Parts": draw(m), "Blocks": receiver.Indent(m.Blocks)}
	})
	return mux
}
