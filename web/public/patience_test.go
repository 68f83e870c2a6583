package public

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rapport/responses"
)

// full is a recorder that can keep no more.
type full struct{}

func (full) Record(ctx context.Context, _ responses.Event) error {
	<-ctx.Done()
	return responses.ErrFull
}

// quick is a recorder that has room.
type quick struct{}

func (quick) Record(context.Context, responses.Event) error { return nil }

func pagesOver(t testing.TB, s responses.Sink) (*Pages, *responses.Links) {
	t.Helper()
	tokens, err := responses.NewTokens([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{
		Tokens: tokens, Sink: s, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Links: func(context.Context, int64) ([]string, error) { return []string{"https://shop.example/"}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, responses.NewLinker(tokens, "").For(responses.Subject{Run: 1, Contact: 2}, false)
}

// Nobody waits long for a recorder that is full.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, links := pagesOver(t, full{})
		for _, c := range []struct {
			path   string
			status int
			most   time.Duration
		}{
			{links.Open(), http.StatusOK, 50 * time.Millisecond},
			{links.Click(0), http.StatusFound, 300 * time.Millisecond},
		} {
			w := httptest.NewRecorder()
			before := time.Now() // the bubble's clock: it moves only while all wait
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
			if took := time.Since(before); w.Code != c.status || took == 0 || took > c.most {
				t.Errorf("%s: status %d after %s", c.path, w.Code, took)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	p, links := pagesOver(b, quick{})
	path := links.Open()
	b.ReportAllocs()
	for b.Loop() {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
}
