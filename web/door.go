package web

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"

	"rapport"
)

// Handler answers a request, or returns the error that Door answers for it.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Door turns errors and panics into answers: a problem document (RFC 9457), or
// a page for browsers. Both carry the number of the request, which stands in
// the log beside what must not be shown.
type Door struct {
	log    *slog.Logger
	random io.Reader
	page   *template.Template
	style  string // path of the style sheet; empty: none
}

// Wrap makes an http.Handler of h.
func (d *Door) Wrap(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			d.Fail(w, r, err)
		}
	})
}

// Status is the HTTP status for a kind of error.
func Status(k rapport.Kind) int {
	switch k {
	case rapport.Invalid:
		return http.StatusUnprocessableEntity
	case rapport.NotFound:
		return http.StatusNotFound
	case rapport.Conflict:
		return http.StatusConflict
	case rapport.Denied:
		return http.StatusForbidden
	case rapport.Unavailable:
		return http.StatusServiceUnavailable
	case rapport.Internal:
	}
	return http.StatusInternalServerError
}

// Problem is a problem document (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Kind   string `json:"kind"`
	Field  string `json:"field,omitempty"`
	ID     string `json:"request_id,omitempty"`
}

const internalDetail = "something went wrong on our side; the number of this request helps to find it"

// Fail answers with an error. What nobody classified is told to the log only.
func (d *Door) Fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := rapport.KindOf(err)
	p := Problem{Type: "about:blank", Status: Status(kind), Kind: kind.String(), Detail: internalDetail, ID: RequestID(r.Context())}
	if e, ok := errors.AsType[*rapport.Error](err); ok && kind != rapport.Internal {
		p.Detail, p.Field = e.Msg, e.Field
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		p.Status, p.Kind, p.Detail = http.StatusRequestEntityTooLarge, rapport.Invalid.String(), "the request is too large"
	}
	if p.Status >= http.StatusInternalServerError {
		d.log.ErrorContext(r.Context(), "a request failed", slog.String("request", p.ID), slog.String("route", r.Pattern), slog.Any("error", err))
	}
	d.answer(w, r, p)
}

// answer writes a problem in the form the client likes.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, p Problem) {
	p.Title = http.StatusText(p.Status)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", "30")
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(p.Status)
		_ = d.page.ExecuteTemplate(w, "problem.html", struct { // the reader has gone
			Problem
			Style string
		}{p, d.style})
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the reader has gone
}

type requestKey struct{}

// RequestID is the number of the request that ctx belongs to, "" outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// numbered gives every request a number of our own making and shows it in the
// answer.
func (d *Door) numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b [8]byte
		id := ""
		if _, err := io.ReadFull(d.random, b[:]); err == nil {
			id = hex.EncodeToString(b[:])
			w.Header().Set("X-Request-Id", id)
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, id)))
	})
}

// caught turns a panic into a 500. The log gets the stack and what kind of
// value was thrown, not the value: it may hold what people entrusted to us.
func (d *Door) caught(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			id := RequestID(r.Context())
			d.log.ErrorContext(r.Context(), "a request panicked", slog.String("request", id), slog.String("kind", panicKind(v)), slog.String("stack", string(debug.Stack())))
			if rec.status != 0 {
				panic(http.ErrAbortHandler) // half an answer is cut off
			}
			d.answer(w, r, Problem{Type: "about:blank", Status: http.StatusInternalServerError, Kind: rapport.Internal.String(), Detail: internalDetail, ID: id})
		}()
		next.ServeHTTP(rec, r)
	})
}

// panicKind names a panic without repeating what it says, unless the runtime
// itself says it.
func panicKind(v any) string {
	switch v := v.(type) {
	case runtime.Error:
		return v.Error()
	case error:
		return "an error"
	case string:
		return "a text"
	}
	return "a value"
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
