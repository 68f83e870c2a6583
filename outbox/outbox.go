package outbox

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"rapport/channels"
)

// Lane keeps what one person waits for apart from what many are told.
type Lane string

// Now carries transactional messages and single sends, Bulk campaigns.
const (
	Now  Lane = "now"
	Bulk Lane = "bulk"
)

// RunState is where a run stands.
type RunState string

// The states of a run. Planning may overlap with sending.
const (
	Planning     RunState = "planning"
	Running      RunState = "running"
	Paused       RunState = "paused"
	Cancelling   RunState = "cancelling"
	RunCancelled RunState = "cancelled"
	Finished     RunState = "finished"
)

// Over says whether nothing of the run will be sent any more.
func (s RunState) Over() bool {
	return s == Cancelling || s == RunCancelled || s == Finished
}

// Batch is the unit of work: deliveries of one run that are worked on
// together. A queue task names a batch and a round, and nothing of a person.
type Batch struct {
	ID, Run int64
	Channel string
	Lane    Lane
	Round   int64 // grows each time the batch is armed
}

// Run is what all deliveries of a run share, as the deliverer needs it.
type Run struct {
	ID       int64
	Name     string // of the campaign; for a send its template
	Channel  string
	Driver   string
	Kind     string // of address
	Topic    string
	Class    channels.Class
	Revision int64 // of the template
	ReplyTo  string
	Tracking string // "person", "aggregate" or "off"; empty: the configured one
	Window   *Window
	Test     bool
}

// Delivery is one message to one person through one channel, claimed by a
// worker, with what rendering needs to know of the person.
type Delivery struct {
	ID, Run, Batch, Contact int64
	Address                 string
	Turn                    int64 // fencing number: grows at every claim, never goes back
	Attempt                 int   // tries charged so far
	Crashes                 int   // times a process died that may have died of it
	ExpiresAt               time.Time
	Data                    json.RawMessage // what the sender of a single message gave
	Person                  *Person         // nil when the contact was erased meanwhile
	Named                   bool            // links may lead to the person: consent or the stated ground permits it
}

// Person is what rendering may know of a contact.
type Person struct {
	UID, ExternalID, Locale, Zone string
	Attributes                    json.RawMessage
	Addresses                     map[string]string // primary address by kind
}

// Ticket asks for permission to let a claimed delivery leave.
type Ticket struct {
	Delivery, Turn int64
	Shadow         Reason // would have held it, if it were kept to
}

// Admission answers a Ticket. Go means that the intent is written and the
// message may leave now; otherwise the row has already been moved to State.
type Admission struct {
	Ticket
	Go     bool
	State  State
	Reason Reason
}

// Settlement is the outcome of a claimed delivery, to be written if its turn
// is still the row's turn.
type Settlement struct {
	Delivery, Turn int64
	Batch          int64 // the delivery's, if it is known; 0: the row says it
	State          State
	Reason         Reason
	Charge         bool      // the attempt counts
	NotBefore      time.Time // for Queued: the earliest next try
	At             time.Time
	Verdict        string // channels.Verdict of a failed attempt; "" otherwise
	Code           string // provider's code
	Detail         string // what the provider said, shortened
	ProviderID     string
	Server         string
	Suppress       bool  // the address is wrong: nobody may write to it
	Strike         bool  // suppress the address if it happens again within a week
	Hold           *Hold // the channel may not send for now
}

// Hold stops a channel: until a time, or with a zero Until for a person or a
// successful check to lift.
type Hold struct {
	Channel string
	Until   time.Time
	Reason  Reason
	Detail  string
	Since   time.Time
}

// Account is the account of a run. The states always add up to Planned.
type Account struct {
	Campaign   string                     `json:"campaign"`
	Run        string                     `json:"run"`
	State      RunState                   `json:"state"`
	Channel    string                     `json:"channel"`
	Planned    int64                      `json:"planned"`
	States     Counts                     `json:"states"`
	Reasons    map[State]map[Reason]int64 `json:"reasons"`
	Waiting    map[Reason]int64           `json:"waiting,omitempty"`
	NotPlanned map[Reason]int64           `json:"not_planned"`
	Shadow     map[Reason]int64           `json:"shadow,omitempty"` // left, though quiet hours or caps would have held them
	Note       string                     `json:"note,omitempty"`
	Rate       float64                    `json:"rate_per_second"`
	Left       *int64                     `json:"seconds_left"`
	StartedAt  time.Time                  `json:"started_at"`
	FinishedAt *time.Time                 `json:"finished_at"`
}

// Counts is how many deliveries stand in each state.
type Counts map[State]int64

// MarshalJSON writes an object in the order of the walk.
func (c Counts) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for _, s := range States() {
		n, ok := c[s]
		if !ok {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, "%q:%d", s, n)
	}
	return append(out, '}'), nil
}

// Balanced says whether the account adds up.
func (a Account) Balanced() bool {
	var sum int64
	for _, n := range a.States {
		sum += n
	}
	return sum == a.Planned
}

// Open is how many deliveries still have to end.
func (a Account) Open() int64 {
	return a.States[Queued] + a.States[Claimed] + a.States[Sending]
}

// Explain finishes an account that was just read: what a paused or held run
// still has waits for that, and what a cancelled one still had waiting is
// shown as cancelled at once, since the gate lets none of it leave.
func (a *Account) Explain(held bool) {
	waiting := a.States[Queued]
	switch {
	case a.State == Cancelling || a.State == RunCancelled:
		a.States[Cancelled] += waiting
		a.States[Queued] = 0
		a.addReason(Cancelled, ByPerson, waiting)
		clear(a.Waiting)
	case a.State == Paused && waiting > 0:
		a.Waiting = map[Reason]int64{WaitPaused: waiting}
	case held && waiting > 0:
		a.Waiting = map[Reason]int64{WaitHeld: waiting}
	}
}

func (a *Account) addReason(s State, r Reason, n int64) {
	if n == 0 {
		return
	}
	if a.Reasons[s] == nil {
		a.Reasons[s] = map[Reason]int64{}
	}
	a.Reasons[s][r] += n
}

// Pace computes the rate since the start and the time left at that rate.
func (a *Account) Pace(now time.Time) {
	end := now
	if a.FinishedAt != nil {
		end = *a.FinishedAt
	}
	a.Rate, a.Left = 0, nil
	ended := a.Planned - a.Open()
	if seconds := end.Sub(a.StartedAt).Seconds(); seconds > 0 {
		a.Rate = math.Round(float64(ended)/seconds*10) / 10
	}
	var left int64
	switch {
	case a.Open() == 0:
	case a.Rate > 0 && a.State == Running:
		left = int64(math.Ceil(float64(a.Open()) / a.Rate))
	default:
		return // nobody can tell
	}
	a.Left = &left
}
