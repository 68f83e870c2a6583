package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rapport/internal/fake/receiver"
)

// pressTime is how long a press waits for its answer; Slack waits three seconds.
const pressTime = 10 * time.Second

// Press is how somebody presses the button of a message. The zero value, with
// To, does it like Slack: signed, and now.
type Press struct {
	To     string        // the app's interactivity request URL
	Secret string        // the app's signing secret
	User   string        // who presses; empty: U0PERSON
	Age    time.Duration // how old the call claims to be
	Answer string        // where answers go; empty: here
	Spoil  func(h http.Header, body []byte) []byte
	Value  string // of the button; empty: the message's
}

// Answer is what the app told somebody who pressed.
type Answer struct {
	Type string `json:"response_type"`
	Text string `json:"text"`
}

// Value is what the last button of a message holds; empty: it has none.
func (m *Message) Value() string {
	var blocks []struct {
		Elements []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"elements"`
	}
	if json.Unmarshal(m.Blocks, &blocks) != nil {
		return ""
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.Type == "button" && e.Value != "" {
				return e.Value
			}
		}
	}
	return ""
}

// Press presses the button of a message and returns the status of the app's
// answer.
func (s *Server) Press(ctx context.Context, m *Message, p Press) (int, error) {
	if p.Value == "" {
		p.Value = m.Value()
	}
	if p.User == "" {
		p.User = "U0PERSON"
	}
	if p.Answer == "" {
		p.Answer = s.URL() + "/answers"
	}
	payload, err := json.Marshal(object{
		"type": "block_actions", "user": object{"id": p.User}, "response_url": p.Answer,
		"actions": []object{{"type": "button", "action_id": "rapport_stop", "block_id": "rapport_stop", "value": p.Value}},
	})
	if err != nil {
		return 0, fmt.Errorf("write the press: %w", err)
	}
	body := []byte(url.Values{"payload": {string(payload)}}.Encode())
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	Sign(header, body, p.Secret, s.Now().Add(-p.Age))
	if p.Spoil != nil {
		body = p.Spoil(header, body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.To, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("press: %w", err)
	}
	req.Header = header
	client := &http.Client{Timeout: pressTime}
	res, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("press: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, receiver.MaxBody))
	return res.StatusCode, err
}

// Sign signs a call as Slack does.
func Sign(h http.Header, body []byte, secret string, at time.Time) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":" + string(body)))
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

// Answers lists what people who pressed were told.
func (s *Server) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Answer(nil), s.answers...)
}

// answer takes what the app tells.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	var a Answer
	if err := json.NewDecoder(io.LimitReader(r.Body, receiver.MaxBody)).Decode(&a); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.answers = append(s.answers, a)
	s.mu.Unlock()
}
