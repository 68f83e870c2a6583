package public

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rapport/requests"
	"rapport/responses"
)

// confirmedCopy answers for one request for a copy.
type confirmedCopy struct {
	Requests
	at time.Time
}

func (c confirmedCopy) Peek(context.Context, string) (requests.Request, error) {
	return requests.Request{ID: 1, Kind: requests.SeeData, ConfirmedAt: c.at, HandledAt: c.at}, nil
}

// TestArchiveOnASlowLine: a copy may take longer than other answers of the
// server.
func TestArchiveOnASlowLine(t *testing.T) {
	p, _ := pagesOver(t, quick{})
	tokens, err := responses.NewTokens(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	const others = 200 * time.Millisecond
	slow := func(_ context.Context, _ requests.Request, w io.Writer) error {
		if _, err := w.Write([]byte("PK")); err != nil {
			return err
		}
		time.Sleep(2 * others)
		_, err := w.Write(make([]byte, 1<<20))
		return err
	}
	p, err = New(Options{
		Tokens: tokens, Now: time.Now, Log: p.o.Log,
		Doors: Doors{Requests: confirmedCopy{at: time.Now()}, Number: func() int64 { return 1 }, Archives: Archives{Write: slow, For: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(p)
	s.Config.WriteTimeout = others
	s.Start()
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/a/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if got, err := io.ReadAll(res.Body); err != nil || len(got) != 2+1<<20 {
		t.Errorf("%d octets, %v", len(got), err)
	}
}

// TestPageSaysUntilWhen: the page behind a copy says exactly how long it can be
// fetched, in each language, and leads nowhere when that is over.
func TestPageSaysUntilWhen(t *testing.T) {
	tokens, err := responses.NewTokens(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 29, 23, 5, 0, 0, time.FixedZone("", 3600))
	now := at
	p, err := New(Options{
		Tokens: tokens, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Doors: Doors{Requests: confirmedCopy{at: at}, Number: func() int64 { return 1 }, Archives: Archives{
			Write: func(context.Context, requests.Request, io.Writer) error { return nil }, For: 5 * 24 * time.Hour,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lang, want string
		after      time.Duration
		leads      bool
	}{
		{"en", "until 4 December 2026, 22:05 UTC", 0, true},
		{"de", "bis zum 4. Dezember 2026, 22:05 UTC", 5*24*time.Hour - time.Second, true},
		{"en", "The time to fetch it is over", 5 * 24 * time.Hour, false},
	} {
		now = at.Add(c.after)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/r/token?lang="+c.lang, nil))
		if body := w.Body.String(); !strings.Contains(body, c.want) || strings.Contains(body, " download") != c.leads || strings.Contains(body, "{") {
			t.Errorf("%s after %s: no %q in\n%s", c.lang, c.after, c.want, body)
		}
	}
}

// TestOneArchiveForEachRequest: whoever fetches slowly takes one place, and
// gives it back.
func TestOneArchiveForEachRequest(t *testing.T) {
	d := doors{making: make(chan struct{}, archivesAtOnce)}
	first, ok := d.begin(1)
	if !ok {
		t.Fatal("the first finds no place")
	}
	if _, ok := d.begin(1); ok {
		t.Error("one request takes two places")
	}
	if _, ok := d.begin(2); !ok {
		t.Error("another request finds no place")
	}
	if _, ok := d.begin(3); ok {
		t.Error("more than there are places")
	}
	first()
	if _, ok := d.begin(1); !ok {
		t.Error("the place was not given back")
	}
}
