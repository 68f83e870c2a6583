package channeltest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"rapport/channels"
	"rapport/channels/channeltest"
)

func TestSMSSitsTheExamination(t *testing.T) { channeltest.Run(t, smsHarness) }

func smsHarness(t *testing.T) channeltest.Harness {
	f := &fakeGateway{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return channeltest.Harness{
		Driver:    Driver,
		Env:       channels.Env{Private: []string{"127.0.0.1"}},
		Settings:  json.RawMessage(fmt.Sprintf(`{"url": %q, "token": "canary-token"}`, server.URL)),
		To:        "+4930123456",
		Content:   map[string]string{"text": channeltest.Text},
		Secrets:   []string{"canary-token"},
		TellsWhen: true,
		Set:       f.set,
		Got:       f.messages,
	}
}

// fakeGateway is a real server with one fault at a time.
type fakeGateway struct {
	mu   sync.Mutex
	mood channeltest.Mood
	got  []channeltest.Received
}

func (f *fakeGateway) set(m channeltest.Mood) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mood = m
}

func (f *fakeGateway) messages() []channeltest.Received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body) // always: or the server never notices that the client has gone
	var m struct{ ID, To, Text string }
	if err != nil || r.URL.Path != "/messages" || json.Unmarshal(raw, &m) != nil {
		return
	}
	f.mu.Lock()
	mood := f.mood
	if mood == channeltest.Accept || mood == channeltest.LoseReply {
		f.got = append(f.got, channeltest.Received{Key: m.ID, To: m.To, Content: map[string]string{"text": m.Text}, Raw: raw})
	}
	f.mu.Unlock()
	switch mood {
	case channeltest.Accept:
	case channeltest.Throttle:
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
	case channeltest.Refuse:
		w.WriteHeader(http.StatusNotFound)
	case channeltest.Spoil:
		w.WriteHeader(http.StatusUnprocessableEntity)
	case channeltest.Break:
		w.WriteHeader(http.StatusUnauthorized)
	case channeltest.Unavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case channeltest.LoseReply:
		panic(http.ErrAbortHandler) // net/http's way to drop a connection
	case channeltest.Stall:
		<-r.Context().Done()
	}
}
