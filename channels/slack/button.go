package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"rapport/channels"
	"rapport/internal/httpx"
)

const (
	stopID      = "rapport_stop" // of the block and of its button
	stopLabel   = "Stop these messages"
	stopAnswer  = "You will get no more of these messages."
	answerHost  = "hooks.slack.com"
	sectionText = 3000 // characters, limit of a section's text
	freshness   = 5 * time.Minute
	maxHeard    = 10_000 // calls that are remembered
)

// withButton appends the button that ends the messages to a marketing message
// of a channel that knows Slack's calls. A message without blocks gets its text
// as blocks, because beside blocks the text shows in notifications only. One
// that has as many blocks as Slack takes keeps its link alone.
func (c *channel) withButton(blocks []slack.Block, text string, m channels.Message) []slack.Block {
	if !c.Listens() || m.Class != channels.Marketing || m.Unsubscribe == "" {
		return blocks
	}
	u, err := url.Parse(m.Unsubscribe)
	if err != nil {
		return blocks
	}
	if len(blocks) == 0 {
		for _, t := range sections(text) {
			blocks = append(blocks, raw("section", map[string]any{"type": "section", "text": map[string]string{"type": "mrkdwn", "text": t}}))
		}
	}
	if len(blocks) >= maxBlocks {
		return blocks
	}
	label := c.settings.StopLabel
	if label == "" {
		label = stopLabel
	}
	return append(blocks, raw("actions", map[string]any{
		"type": "actions", "block_id": stopID, "elements": []any{map[string]any{
			"type": "button", "action_id": stopID, "value": path.Base(u.Path),
			"text": map[string]string{"type": "plain_text", "text": label},
		}},
	}))
}

func raw(kind string, v any) slack.Block {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts are always JSON
	}
	return block{RawMessage: text, kind: kind}
}

// sections cuts a text into pieces that a section takes, at line ends where
// there are some.
func sections(text string) []string {
	var out []string
	for utf8.RuneCountInString(text) > sectionText {
		end, n := 0, 0
		for i := range text {
			if n == sectionText {
				end = i
				break
			}
			n++
		}
		if i := strings.LastIndexByte(text[:end], '\n'); i > end/2 {
			end = i + 1
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	if strings.TrimSpace(text) != "" {
		out = append(out, text)
	}
	return out
}

// Listens implements channels.Listener.
func (c *channel) Listens() bool { return !c.settings.SigningSecret.Empty() }

// Hear implements channels.Listener: the signature is Slack's v0 (HMAC-SHA-256
// over version, time and body), at most five minutes old, and new.
func (c *channel) Hear(header http.Header, body []byte) (channels.Pressed, error) {
	stamp, signature := header.Get("X-Slack-Request-Timestamp"), header.Get("X-Slack-Signature")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || !c.Listens() {
		return channels.Pressed{}, channels.ErrForeign
	}
	mac := hmac.New(sha256.New, []byte(c.settings.SigningSecret.Reveal()))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	given, err := hex.DecodeString(strings.TrimPrefix(signature, "v0="))
	if err != nil || !strings.HasPrefix(signature, "v0=") || !hmac.Equal(mac.Sum(nil), given) {
		return channels.Pressed{}, channels.ErrForeign
	}
	now := c.now()
	if age := now.Sub(time.Unix(seconds, 0)); age > freshness || age < -freshness {
		return channels.Pressed{}, channels.ErrForeign
	}
	if !c.heard.first([sha256.Size]byte(given), now) {
		return channels.Pressed{}, channels.ErrForeign
	}
	return pressed(body), nil
}

// pressed reads the interaction. What is none of ours is the zero Pressed.
func pressed(body []byte) channels.Pressed {
	form, err := url.ParseQuery(string(body))
	var in struct {
		Type    string `json:"type"`
		Answer  string `json:"response_url"`
		User    struct{ ID string }
		Actions []struct {
			ID    string `json:"action_id"`
			Value string `json:"value"`
		} `json:"actions"`
	}
	if err != nil || json.Unmarshal([]byte(form.Get("payload")), &in) != nil || in.Type != "block_actions" {
		return channels.Pressed{}
	}
	for _, a := range in.Actions {
		if a.ID == stopID {
			return channels.Pressed{Token: a.Value, By: in.User.ID, Answer: in.Answer}
		}
	}
	return channels.Pressed{}
}

// Confirm implements channels.Listener: it shows a line to the person who
// pressed and to nobody else. Only hosts of Slack are told, whatever the call
// says.
func (c *channel) Confirm(ctx context.Context, p channels.Pressed) error {
	u, err := url.Parse(p.Answer)
	if err != nil || u.User != nil || !c.answers(u) {
		return errors.New("the call names another host than Slack's to answer to")
	}
	text := c.settings.StopAnswer
	if text == "" {
		text = stopAnswer
	}
	body, err := json.Marshal(map[string]any{"response_type": "ephemeral", "replace_original": false, "text": text})
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("answer to %s: %w", httpx.Redact(u), err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("answer to %s: status %d", httpx.Redact(u), res.StatusCode)
	}
	return nil
}

// answers says whether answers may go to an address: https to the hosts of the
// settings; http to this machine only, when they name it.
func (c *channel) answers(u *url.URL) bool {
	hosts := c.settings.AnswerHosts
	if len(hosts) == 0 {
		hosts = []string{answerHost}
	}
	return slices.Contains(hosts, u.Host) && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

// heard remembers the signatures of the calls that were taken while they are
// fresh, so that a call that somebody has recorded is worth nothing.
type heard struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time
}

// first says whether the call is new. When more calls are fresh than can be
// remembered none is taken until some are old.
func (h *heard) first(signature [sha256.Size]byte, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.seen[signature]; known {
		return false
	}
	if h.seen == nil {
		h.seen = map[[sha256.Size]byte]time.Time{}
	}
	if len(h.seen) >= maxHeard {
		for k, at := range h.seen {
			if now.Sub(at) > 2*freshness {
				delete(h.seen, k)
			}
		}
		if len(h.seen) >= maxHeard {
			return false
		}
	}
	h.seen[signature] = now
	return true
}
