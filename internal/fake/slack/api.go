package slack

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/receiver"
)

// Limits of chat.postMessage.
const (
	maxText   = 40_000
	maxBlocks = 50
)

var anyID = regexp.MustCompile(`^[UWCGD][A-Z0-9]{2,30}$`)

// maxNames bounds the memory for who was looked up: two generations.
const maxNames = 500_000

// names remembers which e-mail address a user ID was made for.
type names struct{ young, old map[string]string }

func (n *names) set(id, email string) {
	if n.young == nil || len(n.young) >= maxNames {
		n.old, n.young = n.young, map[string]string{}
	}
	n.young[id] = email
}

func (n *names) of(id string) string {
	if e, ok := n.young[id]; ok {
		return e
	}
	if e, ok := n.old[id]; ok {
		return e
	}
	return id
}

// userOf makes the user ID of an e-mail address.
func userOf(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return "U" + base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// whose returns the recipient behind the ID of a user or conversation.
func (s *Server) whose(id string) string {
	user := id
	if strings.HasPrefix(id, "D") {
		user = "U" + id[1:]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := s.names.of(user); name != user {
		return name
	}
	return user
}

// call answers one method of the Web API.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, receiver.MaxBody))
	if err != nil {
		return // the caller went away
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost {
		reply(w, failed("invalid_form_data"))
		return
	}
	token := form.Get("token")
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = t
	}
	form.Del("token")
	visit := Visit{Method: r.PathValue("method"), To: s.recipient(form), Key: keyOf(form)}
	action := s.decide(visit)
	if !s.Pause(r, action.Delay) {
		return
	}
	c := &call{form: form, visit: visit, request: r, token: token}
	answer := failed(action.Error)
	if action.Takes() {
		answer = s.perform(c)
	}
	s.enter(c, action, answer)
	s.Finish(w, r, action, http.StatusOK, func(w http.ResponseWriter) { reply(w, answer) })
}

// call is one call of a method.
type call struct {
	form    url.Values
	visit   Visit
	request *http.Request
	token   string
}

type object = map[string]any

func failed(code string) object { return object{"ok": false, "error": code} }

// recipient says whom a call is about.
func (s *Server) recipient(form url.Values) string {
	for _, name := range []string{"channel", "users", "email"} {
		if v := form.Get(name); v != "" {
			return s.whose(v)
		}
	}
	return ""
}

func keyOf(form url.Values) string {
	var meta struct {
		Payload struct {
			Key string `json:"key"`
		} `json:"event_payload"`
	}
	if json.Unmarshal([]byte(form.Get("metadata")), &meta) != nil {
		return form.Get("client_msg_id")
	}
	return meta.Payload.Key
}

func (s *Server) decide(v Visit) Action {
	name := v.Key
	if v.Method != "chat.postMessage" {
		name = v.Method + " " + v.To
	}
	return s.Decide(name, func(n int) Visit {
		v.Attempt = n
		return v
	})
}

// perform does what Slack does.
func (s *Server) perform(c *call) object {
	switch {
	case c.token == "":
		return failed("not_authed")
	case s.token != "" && c.token != s.token:
		return failed("invalid_auth")
	}
	switch c.visit.Method {
	case "auth.test":
		return object{"ok": true, "url": s.URL() + "/", "team": "Demo", "team_id": "T0DEMO", "user": "rapport", "user_id": "U0APP", "bot_id": "B0APP"}
	case "users.lookupByEmail":
		return s.lookup(c.form.Get("email"))
	case "conversations.open":
		user := c.form.Get("users")
		if !anyID.MatchString(user) || !strings.ContainsAny(user[:1], "UW") {
			return failed("user_not_found")
		}
		return object{"ok": true, "channel": object{"id": "D" + user[1:]}}
	case "chat.postMessage":
		return s.post(c)
	}
	return failed("unknown_method")
}

func (s *Server) lookup(email string) object {
	if !strings.Contains(email, "@") || strings.ContainsAny(email, " \r\n") {
		return failed("users_not_found")
	}
	id := userOf(email)
	s.mu.Lock()
	s.names.set(id, email)
	s.mu.Unlock()
	return object{"ok": true, "user": object{"id": id, "name": "person", "profile": object{"email": email}}}
}

func (s *Server) post(c *call) object {
	text, blocks := c.form.Get("text"), c.form.Get("blocks")
	var list []object
	switch {
	case !anyID.MatchString(c.form.Get("channel")):
		return failed("channel_not_found")
	case strings.TrimSpace(text) == "" && blocks == "":
		return failed("no_text")
	case utf8.RuneCountInString(text) > maxText:
		return failed("msg_too_long")
	case blocks != "" && json.Unmarshal([]byte(blocks), &list) != nil:
		return failed("invalid_blocks_format")
	case len(list) > maxBlocks, slices.ContainsFunc(list, func(b object) bool { return b["type"] == nil }):
		return failed("invalid_blocks")
	}
	now := s.Now()
	s.mu.Lock()
	s.last = max(s.last+1, now.UnixMicro())
	ts := fmt.Sprintf("%d.%06d", s.last/1e6, s.last%1e6)
	s.mu.Unlock()
	m := &Message{
		Kept:    receiver.Kept{Time: now, Key: c.visit.Key, To: s.whose(c.form.Get("channel"))},
		Channel: c.form.Get("channel"), TS: ts, Sender: c.form.Get("username"), Icon: c.form.Get("icon_emoji"), Text: text,
		Raw: receiver.HeaderText(c.request.Header) + "\n" + c.form.Encode(),
	}
	if blocks != "" {
		m.Blocks = json.RawMessage(blocks)
	}
	s.Add(m)
	return object{"ok": true, "channel": m.Channel, "ts": ts, "message": object{"type": "message", "bot_id": "B0APP", "text": text, "ts": ts}}
}

// enter writes posts into the journal, before the answer.
func (s *Server) enter(c *call, a Action, answer object) {
	if c.visit.Method != "chat.postMessage" {
		return
	}
	e := journal.Entry{
		Session: s.Session(), Peer: c.request.RemoteAddr, From: c.form.Get("username"), To: c.visit.To, Key: c.visit.Key,
		Size: int64(len(c.form.Get("text"))), Digest: receiver.Digest([]byte(c.form.Get("text") + c.form.Get("blocks"))),
	}
	if e.Outcome, e.Code = a.Outcome(answer["ok"] == true, http.StatusOK); e.Outcome == journal.Refused {
		e.Meta = map[string]string{"error": fmt.Sprint(answer["error"])}
	}
	s.Journal().Add(e)
}

func reply(w http.ResponseWriter, answer object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(answer) // the caller went away
}
