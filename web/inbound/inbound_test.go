package inbound_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rapport/channels"
	"rapport/responses"
	"rapport/web/inbound"
)

// deaf believes no call.
type deaf struct{ channels.Channel }

func (deaf) Listens() bool { return true }

func (deaf) Hear(http.Header, []byte) (channels.Pressed, error) {
	return channels.Pressed{}, channels.ErrForeign
}

func (deaf) Confirm(context.Context, channels.Pressed) error { return nil }

// TestStrangersLearnNothing: a call that is not signed is answered alike, and
// read alike, whether there is such a channel or not.
func TestStrangersLearnNothing(t *testing.T) {
	tokens, err := responses.NewTokens(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	h := inbound.New(inbound.Options{
		Channel: func(driver, channel string) (channels.Listener, bool) {
			return deaf{}, driver == "chat" && channel == "team"
		},
		Tokens: tokens, Log: slog.New(slog.DiscardHandler),
	})
	for _, size := range []int{0, 1000, 300 << 10} {
		type answer struct {
			status, unread int
			header, body   string
		}
		answers := map[answer][]string{}
		for _, path := range []string{"chat/team", "chat/other", "other/team"} {
			body := strings.NewReader(strings.Repeat("x", size))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, inbound.Path+path, io.NopCloser(body)))
			got := answer{w.Code, body.Len(), w.Header().Get("Cache-Control"), w.Body.String()}
			answers[got] = append(answers[got], path)
		}
		if len(answers) != 1 {
			t.Errorf("%d octets are answered in several ways: %v", size, answers)
		}
	}
}
