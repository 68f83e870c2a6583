package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/http/httpguts"

	"rapport/channels"
	"rapport/internal/httpx"
	"rapport/internal/secret"
)

const concurrency = 8

// Driver posts signed JSON to the channel's endpoint.
var Driver = channels.Define(channels.Driver{
	Name:    "webhook",
	Help:    "Posts signed JSON to an endpoint of yours (Standard Webhooks).",
	Address: channels.Address{Kind: "webhook", Normalize: normalize, Implied: true},
	Parts: []channels.Part{{
		Name: "payload", Syntax: channels.JSON, Required: true, MaxBytes: 256 << 10,
		Help: "Any JSON value; it arrives as data.payload of the body.",
	}},
	Traits: channels.Traits{Concurrency: concurrency},
}, func(_ context.Context, env channels.Env, s Settings) (channels.Channel, error) {
	return open(env, s, env.Now)
})

const maxAddress = 200

// normalize takes any key of one line; it has a meaning for the receiver only.
func normalize(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxAddress || strings.IndexFunc(text, unicode.IsControl) >= 0 {
		return "", fmt.Errorf("a webhook key is one line of 1 to %d octets", maxAddress)
	}
	return text, nil
}

type channel struct {
	settings Settings
	client   *httpx.Client
	signers  []*standardwebhooks.Webhook
	now      func() time.Time
}

func open(env channels.Env, s Settings, now func() time.Time) (channels.Channel, error) {
	client, err := httpx.New(httpx.Options{
		Timeout: s.Timeout.Or(time.Duration(defaultTimeout)), Private: env.Private, Keep: concurrency,
	})
	if err != nil {
		return nil, err
	}
	c := &channel{settings: s, client: client, now: now}
	for _, text := range []secret.String{s.Secret, s.Previous} {
		if text.Empty() {
			continue
		}
		key, err := keyOf(text)
		if err != nil {
			return nil, err
		}
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("make signer: %w", err)
		}
		c.signers = append(c.signers, signer)
	}
	return c, nil
}

// Send posts the message. Its key goes out as webhook-id.
func (c *channel) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if !httpguts.ValidHeaderFieldValue(m.Key) || strings.IndexFunc(m.Key, unicode.IsControl) >= 0 {
		return channels.Receipt{}, malformed("the delivery's key %q cannot stand in a header", m.Key)
	}
	body, err := c.body(m)
	if err != nil {
		return channels.Receipt{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tripCtx, trip := httpx.Watch(ctx, m.Leave)
	req, err := c.request(tripCtx, m.Key, body)
	if err != nil {
		return channels.Receipt{}, err
	}
	res, err := c.client.Do(req)
	if err != nil {
		if no := trip.Refused(); no != nil {
			return channels.Receipt{}, no
		}
		return channels.Receipt{}, lost(err, trip.Left())
	}
	defer func() { _ = res.Body.Close() }()
	drain(res.Body, cancel)
	if err := judge(res, c.now()); err != nil {
		return channels.Receipt{}, err
	}
	return channels.Receipt{Server: res.Request.URL.Host, At: c.now()}, nil
}

func malformed(format string, args ...any) error {
	return &channels.Failure{Verdict: channels.Malformed, Err: fmt.Errorf(format, args...)}
}

// patience is how long an answer's body may take once its status is known.
const patience = 2 * time.Second

// drain reads what is left of an answer, so that its connection can serve
// again. The status has decided already: a body that is slow, endless or cut
// off changes nothing, it only costs the connection.
func drain(body io.Reader, cancel context.CancelFunc) {
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, body)
}

func (c *channel) request(ctx context.Context, key string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the channel's url cannot be called") // the cause repeats the URL
	}
	at := c.now()
	signatures := make([]string, 0, len(c.signers))
	for _, s := range c.signers {
		text, err := s.Sign(key, at, body)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, text)
	}
	for name, value := range c.settings.Headers {
		req.Header.Set(name, value.Reveal())
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Rapport")
	req.Header.Set(standardwebhooks.HeaderWebhookID, key)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return req, nil
}

// Check connects to the endpoint without a request: an endpoint has no harmless
// one that all receivers know.
func (c *channel) Check(ctx context.Context) error {
	if err := c.client.Reach(ctx, c.settings.URL); err != nil {
		return lost(err, false)
	}
	return nil
}

// Close lets kept connections go.
func (c *channel) Close() error { return c.client.Close() }

// letter is the body: the three members that Standard Webhooks asks for.
type letter struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	To          string          `json:"to"`
	Payload     json.RawMessage `json:"payload"`
	Topic       string          `json:"topic,omitempty"`
	Unsubscribe string          `json:"unsubscribe,omitempty"`
}

// eventType is the type of every body.
const eventType = "rapport.message"

func (c *channel) body(m channels.Message) ([]byte, error) {
	payload := json.RawMessage(strings.TrimSpace(m.Content["payload"]))
	if len(payload) == 0 {
		return nil, malformed("part payload is missing")
	}
	if !json.Valid(payload) {
		return nil, malformed("part payload is not JSON: %w", json.Unmarshal(payload, new(any)))
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(letter{
		Type: eventType, Timestamp: c.now().UTC(),
		Data: data{To: m.To, Payload: payload, Topic: m.List, Unsubscribe: m.Unsubscribe},
	})
	if err != nil {
		return nil, fmt.Errorf("write body: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}
