package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"rapport/channels"
	"rapport/internal/httpx"
)

const (
	concurrency = 4
	maxText     = 40_000 // characters, limit of chat.postMessage
	maxBlocks   = 50     // limit of chat.postMessage
	maxCached   = 10_000
	maxAnswer   = 1 << 20 // chat.postMessage answers with the whole message
	timeout     = 30 * time.Second
)

// Driver writes to people and conversations of a Slack workspace.
var Driver = channels.Define(channels.Driver{
	Name:    "slack",
	Help:    "Writes to people and conversations of a Slack workspace.",
	Address: channels.Address{Kind: "slack", Normalize: normalize},
	Parts: []channels.Part{
		{
			Name: "text", Syntax: channels.Mrkdwn, Required: true, MaxBytes: 4 * maxText,
			Help: "The message in Slack's mark-up, at most 40,000 characters (Slack recommends 4,000); with blocks, what notifications show.",
		},
		{
			Name: "blocks", Syntax: channels.JSON, MaxBytes: 256 << 10,
			Help: "Block Kit: a JSON list of at most 50 blocks.",
		},
	},
	Traits: channels.Traits{Concurrency: concurrency},
	Calls:  true,
}, func(_ context.Context, env channels.Env, s Settings) (channels.Channel, error) {
	return open(env, s, env.Now)
})

type channel struct {
	settings Settings
	http     *httpx.Client
	api      *slack.Client
	now      func() time.Time
	users    cache // e-mail address to user ID
	direct   cache // user ID to the ID of the direct conversation
	heard    heard // calls of Slack that were taken
}

func open(env channels.Env, s Settings, now func() time.Time) (channels.Channel, error) {
	client, err := httpx.New(httpx.Options{Timeout: timeout, Private: env.Private, Keep: concurrency, MaxBody: maxAnswer})
	if err != nil {
		return nil, err
	}
	return &channel{
		settings: s, http: client, now: now,
		api:    slack.New(s.Token.Reveal(), slack.OptionAPIURL(s.endpoint()), slack.OptionHTTPClient(polite{client, now})),
		users:  cache{max: maxCached},
		direct: cache{max: maxCached},
	}, nil
}

// polite has the library understand every way to ask for a pause: it reads
// seconds only, and takes a date for an answer that it cannot read.
type polite struct {
	*httpx.Client

	now func() time.Time
}

// Do makes one call.
func (p polite) Do(req *http.Request) (*http.Response, error) {
	res, err := p.Client.Do(req)
	if err != nil || res.StatusCode != http.StatusTooManyRequests {
		return res, err
	}
	after := httpx.RetryAfter(res, p.now())
	res.Header.Del("Retry-After") // without it, the pause is the house's own
	if after > 0 {
		res.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	return res, nil
}

// Send posts the message. Its key goes out in the message's metadata, as
// event rapport_delivery.
func (c *channel) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	options, err := c.options(m)
	if err != nil {
		return channels.Receipt{}, err
	}
	conversation, err := c.conversation(ctx, m.To)
	if err != nil {
		return channels.Receipt{}, err
	}
	ctx, trip := httpx.Watch(ctx, m.Leave)
	where, ts, err := c.api.PostMessageContext(ctx, conversation, options...)
	if no := trip.Refused(); no != nil {
		return channels.Receipt{}, no
	}
	if err == nil && ts == "" {
		err = errors.New("the answer is neither yes nor no")
	}
	if err != nil {
		failure := judge(err, true, trip.Left())
		if failure.Verdict == channels.Rejected || failure.Strike {
			c.forget(m.To)
		}
		return channels.Receipt{}, failure
	}
	return channels.Receipt{ProviderID: where + "/" + ts, At: c.now()}, nil
}

// conversation finds where to post: a conversation as it is, a user's direct
// conversation, after looking the user up by e-mail address when need be.
func (c *channel) conversation(ctx context.Context, to string) (string, error) {
	switch {
	case conversationID.MatchString(to):
		return to, nil
	case userID.MatchString(to):
		return c.open(ctx, to)
	case !strings.Contains(to, "@"):
		return "", &channels.Failure{Verdict: channels.Rejected, Reason: "unknown_user", Err: errors.New("this is not a Slack address")}
	}
	id, ok := c.users.get(to)
	if !ok {
		user, err := c.api.GetUserByEmailContext(ctx, to)
		if err == nil && !userID.MatchString(user.ID) {
			err = errors.New("the answer names no user")
		}
		if err == nil && user.Deleted {
			err = slack.SlackErrorResponse{Err: "user_disabled"}
		}
		if err != nil {
			return "", judge(err, false, false)
		}
		id = user.ID
		c.users.set(to, id)
	}
	return c.open(ctx, id)
}

func (c *channel) open(ctx context.Context, user string) (string, error) {
	if id, ok := c.direct.get(user); ok {
		return id, nil
	}
	conversation, _, _, err := c.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
	if err == nil && (conversation == nil || conversation.ID == "") {
		err = errors.New("the answer names no conversation")
	}
	if err != nil {
		return "", judge(err, false, false)
	}
	c.direct.set(user, conversation.ID)
	return conversation.ID, nil
}

// forget drops what was remembered about an address, so that the next try asks
// the workspace again.
func (c *channel) forget(to string) {
	user, ok := c.users.get(to)
	if !ok {
		user = to
	}
	c.users.forget(to)
	c.direct.forget(user)
}

// options writes the message as the library wants it, or says why it cannot
// be one.
func (c *channel) options(m channels.Message) ([]slack.MsgOption, error) {
	text := m.Content["text"]
	switch n := utf8.RuneCountInString(text); {
	case strings.TrimSpace(text) == "":
		return nil, malformed("content_refused", "part text is empty; it is what notifications show, so write some")
	case n > maxText:
		return nil, malformed("too_large", "part text has %d characters and Slack takes %d; shorten it", n, maxText)
	}
	blocks, err := readBlocks(m.Content["blocks"])
	if err != nil {
		return nil, err
	}
	blocks = c.withButton(blocks, text, m)
	options := []slack.MsgOption{
		slack.MsgOptionText(text, false), // values were escaped when the template was rendered
		// Slack fetches a link to show what is behind it, which would count as
		// a click of the person.
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "rapport_delivery", EventPayload: map[string]any{"key": m.Key}}),
	}
	if len(blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(blocks...))
	}
	if c.settings.Sender != "" {
		options = append(options, slack.MsgOptionUsername(c.settings.Sender))
	}
	if emojiName.MatchString(c.settings.Icon) {
		options = append(options, slack.MsgOptionIconEmoji(c.settings.Icon))
	} else if c.settings.Icon != "" {
		options = append(options, slack.MsgOptionIconURL(c.settings.Icon))
	}
	return options, nil
}

func malformed(reason, format string, args ...any) error {
	return &channels.Failure{Verdict: channels.Malformed, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// block passes a block through as it was written: the library's own types
// would drop what they do not know.
type block struct {
	json.RawMessage
	kind, id string
}

// BlockType returns the block's type.
func (b block) BlockType() slack.MessageBlockType { return slack.MessageBlockType(b.kind) }

// ID returns the block's own name, if it has one.
func (b block) ID() string { return b.id }

func readBlocks(text string) ([]slack.Block, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, malformed("content_refused", "part blocks is not a JSON list: %w", err)
	}
	if len(raw) > maxBlocks {
		return nil, malformed("too_large", "part blocks has %d blocks and Slack takes %d", len(raw), maxBlocks)
	}
	out := make([]slack.Block, len(raw))
	for i, r := range raw {
		var head struct {
			Type string `json:"type"`
			ID   string `json:"block_id"`
		}
		if err := json.Unmarshal(r, &head); err != nil || head.Type == "" {
			return nil, malformed("content_refused", "block %d of part blocks is not an object with a type", i+1)
		}
		out[i] = block{RawMessage: r, kind: head.Type, id: head.ID}
	}
	return out, nil
}

// Check asks Slack whether it knows the token.
func (c *channel) Check(ctx context.Context) error {
	who, err := c.api.AuthTestContext(ctx)
	if err != nil {
		return judge(err, false, false)
	}
	if who.TeamID == "" {
		return &channels.Failure{Verdict: channels.Broken, Reason: "policy", Err: errors.New("this is not an answer of the Slack Web API; check the channel's api_url")}
	}
	return nil
}

// Close lets kept connections go.
func (c *channel) Close() error { return c.http.Close() }
