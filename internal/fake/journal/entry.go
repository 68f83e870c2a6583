package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Outcome says what the receiver did with one message for one recipient.
type Outcome string

const (
	// Accepted means taken, and the sender is told so unless the connection breaks first.
	Accepted Outcome = "accepted"
	// ReplyLost means taken, but the sender was deliberately never told.
	ReplyLost Outcome = "reply-lost"
	// Refused means not taken, and the sender was told so with Entry.Code.
	Refused Outcome = "refused"
	// Dropped means not taken, and the sender was deliberately told nothing.
	Dropped Outcome = "dropped"
)

// Taken reports whether the receiver now has the message, whatever the sender knows.
func (o Outcome) Taken() bool { return o == Accepted || o == ReplyLost }

// Entry is one message for one recipient as the receiver saw it. Times are the
// receiver's clock. Meta must not be changed after the entry was added.
type Entry struct {
	// Seq counts entries from 1 in the order they were added; Add sets it.
	Seq uint64 `json:"seq"`
	// Time is when the receiver decided; Add sets it when it is zero.
	Time time.Time `json:"time"`
	// Session numbers the connection or request at this server, from 1.
	Session uint64 `json:"session,omitempty"`
	// Peer is the sender's network address.
	Peer string `json:"peer,omitempty"`
	// From is the sender as the protocol names it (envelope from, bot name).
	From string `json:"from,omitempty"`
	// To is the recipient as the protocol names it (envelope to, channel ID, URL path).
	To string `json:"to"`
	// Key tells a repetition from a new message: Message-ID, webhook-id, client message ID.
	Key string `json:"key,omitempty"`
	// Digest is the SHA-256 of the body in lower-case hexadecimal.
	Digest string `json:"digest,omitempty"`
	// Size is the length of the body in octets.
	Size int64 `json:"size,omitempty"`
	// Outcome is the verdict.
	Outcome Outcome `json:"outcome"`
	// Code is the reply code or HTTP status that was given, 0 when none was.
	Code int `json:"code,omitempty"`
	// Meta holds what else a test wants to see: chosen headers, the stage of a refusal.
	Meta map[string]string `json:"meta,omitempty"`
}

// Read reads the JSON lines that a journal wrote to its file. A last line that
// was cut off by a crash is left out; any other broken line is an error.
func Read(r io.Reader) ([]Entry, error) {
	var out []Entry
	br := bufio.NewReader(r)
	for line := 1; ; line++ {
		text, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("read journal line %d: %w", line, err)
		}
		var e Entry
		if err := json.Unmarshal(text, &e); err != nil {
			return out, fmt.Errorf("read journal line %d: %w", line, err)
		}
		out = append(out, e)
	}
}
