package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Line is one line of the ledger: numbers, times and states, nothing that
// points at a person but the number.
type Line struct {
	ID         int64
	Contact    int64
	Driver     string
	TopicID    int64
	Topic      string
	State      State
	Basis      Basis
	At         time.Time
	RecordedAt time.Time
	Schema     int       // how the line is hashed; new ones are of Schema
	Expires    time.Time // the end of a "yes"; zero: none
	Commitment string    // see Commit
}

// Schema is how new lines are hashed. Lines of schema 1 vouch neither for the
// name of their topic nor for an end.
const Schema = 2

// Record is a line with its evidence, as long as that was not erased.
type Record struct {
	Line
	Salt     string // base64; empty: erased
	Evidence string // JSON of Evidence, exactly as committed to
}

// Evidence is what proves an entry. It is stored as JSON beside the line; lines
// of schema 1 have the first six at most.
type Evidence struct {
	Address      string     `json:"address,omitempty"` // canonical
	Source       string     `json:"source,omitempty"`
	Wording      string     `json:"wording,omitempty"`
	IP           string     `json:"ip,omitempty"`
	Agent        string     `json:"agent,omitempty"`
	Actor        string     `json:"actor,omitempty"`
	Given        string     `json:"given,omitempty"`
	Controller   string     `json:"controller,omitempty"`
	Channel      string     `json:"channel,omitempty"`
	Notice       *NoticeRef `json:"notice,omitempty"`
	Categories   []string   `json:"categories,omitempty"`
	Method       Method     `json:"method,omitempty"`
	Form         string     `json:"form,omitempty"`
	URL          string     `json:"url,omitempty"`
	Reference    string     `json:"reference,omitempty"`
	MessageID    string     `json:"message_id,omitempty"`
	MailedAt     time.Time  `json:"mailed_at,omitzero"`
	Clock        string     `json:"clock,omitempty"`
	Jurisdiction string     `json:"jurisdiction,omitempty"`
}

// evidence is what an entry brings as proof.
func (e Entry) evidence() Evidence {
	ev := Evidence{
		Address: e.Address, Source: e.Source, Wording: e.Wording, IP: e.IP, Agent: e.Agent, Actor: e.Actor,
		Given: e.Given, Controller: e.Controller, Channel: e.Channel, Categories: e.Categories,
		Method: e.Method, Form: e.Form, URL: e.URL, Reference: e.Reference,
		MessageID: e.MessageID, MailedAt: e.MailedAt.UTC(), Clock: e.Clock, Jurisdiction: e.Jurisdiction,
	}
	if e.Notice.Name != "" {
		ev.Notice = &e.Notice
	}
	return ev
}

// Proof reads the evidence of a record; ok is false when it was erased.
func (r Record) Proof() (ev Evidence, ok bool) {
	if r.Salt == "" {
		return ev, false
	}
	return ev, json.Unmarshal([]byte(r.Evidence), &ev) == nil
}

// address reads from the evidence what the answer that stands needs; empty when
// it was erased. All lines are read for it, so nothing else is taken apart.
func (r Record) address() string {
	var ev struct {
		Address string `json:"address"`
	}
	if r.Salt == "" || json.Unmarshal([]byte(r.Evidence), &ev) != nil {
		return ""
	}
	return ev.Address
}

// Draft makes the line, and the evidence and salt that go with it, of an entry
// for the topic of that number. Only the line's own number is still missing.
func Draft(e Entry, topic int64, recorded time.Time) (Record, error) {
	text, err := json.Marshal(e.evidence())
	if err != nil {
		return Record{}, fmt.Errorf("write evidence: %w", err)
	}
	r := Record{
		Line: Line{
			Contact: e.Contact, Driver: e.Driver, TopicID: topic, Topic: e.Topic, State: e.State, Basis: e.Basis,
			At: e.At, RecordedAt: recorded, Schema: Schema, Expires: e.Expires,
		},
		Salt: base64.StdEncoding.EncodeToString(e.Salt), Evidence: string(text),
	}
	r.Commitment = Commit(r)
	return r, nil
}

// Commit is the keyed hash (HMAC-SHA-256, base64url) of a line's own fields
// and its evidence under the salt of the entry. With the salt gone it says
// nothing about the evidence any more.
func Commit(r Record) string {
	h := hmac.New(sha256.New, r.key())
	h.Write(r.fields(nil))
	h.Write([]byte(r.Evidence))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// key reads the salt. There is one spelling of it: one that somebody changed
// must not match, not even by bits that say nothing or by zeros at its end.
func (r Record) key() []byte {
	key, err := base64.StdEncoding.DecodeString(r.Salt)
	if err != nil || len(key) != saltBytes || base64.StdEncoding.EncodeToString(key) != r.Salt {
		return []byte(r.Salt)
	}
	return key
}

// fields appends what a line says, less its own number and commitment.
func (l Line) fields(b []byte) []byte {
	if l.Schema != 1 || !l.Expires.IsZero() { // a line of schema 1 has no end
		b = strconv.AppendInt(append(b, "schema "...), int64(l.Schema), 10)
		b = strconv.AppendQuote(append(b, ' '), l.Topic)
		b = strconv.AppendInt(append(b, ' '), micros(l.Expires), 10)
		b = append(b, ' ')
	}
	b = strconv.AppendInt(b, l.Contact, 10)
	b = strconv.AppendQuote(append(b, ' '), l.Driver)
	b = strconv.AppendInt(append(b, ' '), l.TopicID, 10)
	b = strconv.AppendQuote(append(b, ' '), string(l.State))
	b = strconv.AppendQuote(append(b, ' '), string(l.Basis))
	b = strconv.AppendInt(append(b, ' '), l.At.UnixMicro(), 10)
	b = strconv.AppendInt(append(b, ' '), l.RecordedAt.UnixMicro(), 10)
	return append(b, '\n')
}

// micros is a time as hashes take it in; 0: none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Seal vouches for all lines up to a number, and for the seals before it.
type Seal struct {
	UpTo int64
	Hash string // hex SHA-256
	At   time.Time
}

// Chain makes the seal over the lines that follow the seal before; the first
// seal follows the zero Seal. Lines must come in the order of their numbers.
func Chain(before Seal, lines []Line, at time.Time) Seal {
	s := Seal{At: at, UpTo: before.UpTo}
	h := sha256.New()
	fmt.Fprintf(h, "%d %s\n", before.UpTo, before.Hash)
	var b []byte
	for _, l := range lines {
		b = strconv.AppendInt(b[:0], l.ID, 10)
		b = append(b, ' ')
		b = append(b, l.Commitment...)
		b = append(b, ' ')
		h.Write(l.fields(b))
		s.UpTo = l.ID
	}
	fmt.Fprintf(h, "%d lines up to %d at %d\n", len(lines), s.UpTo, at.UnixMicro())
	s.Hash = hex.EncodeToString(h.Sum(nil))
	return s
}

// Fold derives the answers that stand from lines of one contact in the order
// of their numbers. Only lines that changed something are in the ledger, so
// the last one of a driver and topic decides. Addresses come from evidence.
func Fold(records []Record) []Current {
	var out []Current
	at := map[[2]string]int{}
	for _, r := range records {
		key := [2]string{r.Driver, r.Topic}
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, Current{Contact: r.Contact, Driver: r.Driver, Topic: r.Topic})
		}
		c := &out[i]
		c.State, c.Answer, c.Basis, c.Entry = r.State, r.State.Answer(), r.Basis, r.ID
		if r.At.After(c.At) {
			c.At = r.At
		}
		c.Expires = time.Time{}
		switch c.Answer {
		case None: // nothing stands any more: the next entry begins afresh
			c.Address, c.At = "", time.Time{}
			continue
		case Yes, Wait:
			c.Expires = r.Expires
		case No:
		}
		if address := r.address(); address != "" {
			c.Address = address
		}
	}
	return out
}
