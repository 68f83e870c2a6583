package channeltest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"rapport/channels"
	"rapport/internal/httpx"
	"rapport/internal/secret"
)

// Driver sends text messages through a gateway that speaks JSON over HTTP.
var Driver = channels.Define(channels.Driver{
	Name:    "sms",
	Help:    "Sends text messages through an SMS gateway.",
	Address: channels.Phone,
	Parts:   []channels.Part{{Name: "text", Required: true, MaxBytes: 1600, Help: "The message."}},
	Traits:  channels.Traits{Concurrency: 8},
}, func(_ context.Context, env channels.Env, s Settings) (channels.Channel, error) {
	client, err := httpx.New(httpx.Options{Private: env.Private})
	if err != nil {
		return nil, err
	}
	return &gateway{settings: s, client: client, now: time.Now}, nil
})

// Settings is the driver's section of the configuration.
type Settings struct {
	URL    string        `json:"url" need:"yes" help:"address of the gateway"`
	Token  secret.String `json:"token" need:"yes" help:"access token of the gateway"`
	Sender string        `json:"sender" help:"number or name to show"`
}

type gateway struct {
	settings Settings
	client   *httpx.Client
	now      func() time.Time
}

// Send posts one message. Watch has the client call m.Leave with the
// connection made and nothing written yet.
func (g *gateway) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	body, err := json.Marshal(map[string]string{
		"id": m.Key, "to": m.To, "from": g.settings.Sender, "text": m.Content["text"],
	})
	if err != nil {
		return channels.Receipt{}, fmt.Errorf("write message: %w", err)
	}
	ctx, trip := httpx.Watch(ctx, m.Leave)
	err = g.call(ctx, http.MethodPost, "/messages", body)
	switch {
	case trip.Refused() != nil:
		return channels.Receipt{}, trip.Refused()
	case err == nil:
		return channels.Receipt{At: g.now()}, nil
	}
	if _, judged := errors.AsType[*channels.Failure](err); !judged && trip.Left() {
		err = &channels.Failure{Verdict: channels.Uncertain, Err: err}
	}
	return channels.Receipt{}, err
}

// Check asks for the account's balance, which sends nothing.
func (g *gateway) Check(ctx context.Context) error {
	return g.call(ctx, http.MethodGet, "/balance", nil)
}

// Close lets kept connections go.
func (g *gateway) Close() error { return g.client.Close() }

func (g *gateway) call(ctx context.Context, method, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, g.settings.URL+path, bytes.NewReader(body))
	if err != nil {
		return errors.New("the channel's url cannot be called")
	}
	req.Header.Set("Authorization", "Bearer "+g.settings.Token.Reveal())
	res, err := g.client.Do(req)
	if err != nil {
		return err // nobody judged it: Temporary before the departure, Uncertain after it
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body) // the status has decided; this keeps the connection
	return judge(res)
}

// judge says what each answer of the gateway means.
func judge(res *http.Response) error {
	f := &channels.Failure{Code: strconv.Itoa(res.StatusCode), Err: errors.New("the gateway says no")}
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return nil
	case http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // absent or odd: 0, no wish
		f.Verdict, f.After = channels.Throttled, time.Duration(seconds)*time.Second
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired:
		f.Verdict = channels.Broken
	case http.StatusNotFound:
		f.Verdict, f.Err = channels.Rejected, errors.New("there is no such number")
	case http.StatusUnprocessableEntity:
		f.Verdict = channels.Malformed
	default:
		f.Verdict = channels.Temporary
	}
	return f
}
