package responses

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"time"
)

// Kind is what came back.
type Kind string

// The kinds. Those after Unsubscribed come from other doors than the links.
const (
	Opened       Kind = "opened"
	Clicked      Kind = "clicked"
	Unsubscribed Kind = "unsubscribed"
	Replied      Kind = "replied"
	Bounced      Kind = "bounced"
	Complained   Kind = "complained"
	Answered     Kind = "answered"
	Attended     Kind = "attended"
	Converted    Kind = "converted"
)

// hit says whether the kind is made by fetching an address, which machines do
// too.
func (k Kind) hit() bool { return k == Opened || k == Clicked }

// Hit says whether the event was made by fetching an address.
func (e Event) Hit() bool { return e.Kind.hit() }

// Event is one thing that came back.
type Event struct {
	Kind    Kind
	Run     int64
	Contact int64 // 0: counted, nobody named
	Link    int   // number in the revision's table, for clicks
	Machine bool
	Agent   string // class of agent, never the agent's own text
	Detail  string // of bounces and their like; nothing personal
	At      time.Time
	// Dedupe makes a repetition count once; empty: for opens and clicks one
	// event for each message, link and Window, for others one for each message.
	Dedupe string
	// Visitor keeps apart those who hit an address that names nobody. It is not
	// stored but for its part in the deduplication.
	Visitor uint64
	// Links is how many links the letter has, 0 if unknown: hitting all of them
	// at once is no person's way.
	Links int
}

// Window is the time in which repeated opens of a message, or clicks on a link
// of it, count once.
const Window = 10 * time.Minute

// Key is what makes the event unique in the store. A machine's hit never hides
// a person's.
func (e Event) Key() string {
	if e.Dedupe != "" {
		return e.Dedupe
	}
	b := make([]byte, 0, 64)
	b = append(append(b, e.Kind...), '.')
	b = append(strconv.AppendInt(b, e.Run, 36), '.')
	b = strconv.AppendInt(b, e.Contact, 36)
	if !e.Kind.hit() {
		return string(b)
	}
	b = strconv.AppendInt(append(b, '.'), int64(e.Link), 36)
	b = strconv.AppendInt(append(b, '.'), e.At.UnixMicro()/Window.Microseconds(), 36)
	if e.Contact == 0 {
		b = append(b, e.visit(b)...)
	}
	if e.Machine {
		b = append(b, ".m"...)
	}
	return string(b)
}

// visit keeps visitors of one address and Window apart (message holds what is
// known of both), and says nothing about who comes again: stored as it is, the
// number of a visitor would tie together all that one person ever opened.
func (e Event) visit(message []byte) string {
	sum := sha256.Sum256(strconv.AppendUint(append(slices.Clone(message), '.'), e.Visitor, 36))
	return "." + base64.RawURLEncoding.EncodeToString(sum[:9])
}

// Burst says that all hits on a message since a moment were a machine's.
type Burst struct {
	Run, Contact int64
	From         time.Time
}

// Handover is when a message was handed to the provider; the zero time says
// that this has not been written down yet.
type Handover struct{ At time.Time }

// People counts persons: each once, as human when any of their hits was, else
// as machine. Hits that name nobody count one by one.
type People struct {
	Human   int64 `json:"human"`
	Machine int64 `json:"machine"`
}

// LinkCount is how many people clicked a link of the revision.
type LinkCount struct {
	Link int `json:"link"`
	People
}

// Summary is what came back to a run.
type Summary struct {
	Opened       People      `json:"opened"`
	Clicked      People      `json:"clicked"`
	Links        []LinkCount `json:"links"` // by number; links nobody clicked are left out
	Unsubscribed int64       `json:"unsubscribed"`
}

// Store keeps what came back. Every method is one fact.
type Store interface {
	// AddResponses judges hits by the hand-over of their message (Judge), adds
	// those whose Key is new, marks what the bursts name as made by machines,
	// and returns how many were added. It all happens or nothing does.
	AddResponses(ctx context.Context, events []Event, bursts []Burst) (int, error)
	// ResponseSummary counts what came back to a run.
	ResponseSummary(ctx context.Context, run int64) (Summary, error)
	// ResponsesOf lists what came back from a contact, newest first.
	ResponsesOf(ctx context.Context, contact int64, limit int) ([]Event, error)
	// RunLinks returns the link table of the revision a run sends; NotFound
	// when there is no such run.
	RunLinks(ctx context.Context, run int64) ([]string, error)
}
