package consent

import (
	"errors"
	"time"
)

// State is what one entry of the ledger says.
type State string

// The states of an entry. Requested waits for a confirmation; Granted and
// Confirmed (double opt-in) permit; Withdrawn and Objected forbid; Expired and
// Erased take back whatever stood.
const (
	Requested State = "requested"
	Granted   State = "granted"
	Confirmed State = "confirmed"
	Withdrawn State = "withdrawn"
	Objected  State = "objected"
	Expired   State = "expired"
	Erased    State = "erased"
)

// Answer is the current answer of a person for a driver and topic.
type Answer string

// The answers. None is what stands before anybody was asked.
const (
	None Answer = ""
	Yes  Answer = "granted"
	Wait Answer = "pending"
	No   Answer = "withdrawn"
)

// Answer is what a state means once it stands.
func (s State) Answer() Answer {
	switch s {
	case Requested:
		return Wait
	case Granted, Confirmed:
		return Yes
	case Withdrawn, Objected:
		return No
	case Expired, Erased:
		return None
	}
	return None
}

// Valid says whether the state is one of the known ones.
func (s State) Valid() bool {
	switch s {
	case Requested, Granted, Confirmed, Withdrawn, Objected, Expired, Erased:
		return true
	}
	return false
}

// Basis is the ground in law on which somebody is written to (GDPR article 6;
// SoftOptIn is ePrivacy directive article 13(2)).
type Basis string

// The bases.
const (
	ByConsent            Basis = "consent"
	ByContract           Basis = "contract"
	BySoftOptIn          Basis = "soft_opt_in"
	ByLegitimateInterest Basis = "legitimate_interest"
	ByLegalDuty          Basis = "legal_duty"
)

// Bases lists the bases as people write them.
func Bases() []string {
	return []string{string(ByConsent), string(ByContract), string(BySoftOptIn), string(ByLegitimateInterest), string(ByLegalDuty)}
}

// Valid says whether the basis is one of the known ones.
func (b Basis) Valid() bool {
	switch b {
	case ByConsent, ByContract, BySoftOptIn, ByLegitimateInterest, ByLegalDuty:
		return true
	}
	return false
}

// Entry is a line that somebody wants in the ledger.
type Entry struct {
	Contact int64  // the contact's number
	Driver  string // "how": the driver's name
	Kind    string // the kind of address that driver reaches
	Topic   string // "what about": the topic's name
	State   State
	Basis   Basis     // empty: consent
	At      time.Time // when the person said so; zero: when it is recorded
	// Undated says that At is when a file was read and no act of the person:
	// such a "yes" overturns no "no", and such a "no" is heard once.
	Undated bool
	// Resubscribe lets a newer "yes" overturn a "no". Only an act of the
	// person sets it.
	Resubscribe bool

	Address string // canonical; empty: the contact's primary one of Kind
	Given   string // the address as the person typed it; empty: as Address
	Channel string // the configured channel's name; empty: any of the driver
	Source  string // where and how, "shop sign-up form v3"; nobody is granted without
	Wording string // free reference to the text the person saw, where no Notice is stored
	Notice  NoticeRef
	Method  Method
	Form    string // the form's name
	URL     string // the page the form stood on
	// Reference finds the proof outside: digest and line of an import file,
	// number of a paper form.
	Reference string
	// MessageID and MailedAt name the letter that asked for confirmation.
	MessageID string
	MailedAt  time.Time
	// Expires ends a "yes" that is not renewed; zero: it stands until a "no".
	Expires time.Time
	IP      string
	Agent   string
	Actor   string // who wrote it down
	Salt    []byte // 16 random octets, the key of the commitment

	Clock string // whose clock At is of; empty: see Terms.Apply
	// What Terms.Apply fills in: who is responsible, which law applies, what
	// kinds of data are worked with for it.
	Controller   string
	Jurisdiction string
	Categories   []string
}

// Whose clock the time of an entry is of.
const (
	OurClock    = "server" // this program recorded it when it happened
	StatedClock = "stated" // whoever recorded it said when it happened
	FileClock   = "import" // nobody said: a file was read then
)

// NoticeRef names the exact wording a person saw: one text of a stored
// Wording. Hash is TextHash of it.
type NoticeRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Locale  string `json:"locale"`
	Hash    string `json:"hash"`
}

// Method is how a declaration reached us.
type Method string

// The methods.
const (
	ByForm     Method = "form"     // a form on a page
	ByAPI      Method = "api"      // a program of ours
	ByImport   Method = "import"   // a file; Reference holds its digest and line
	ByPaper    Method = "paper"    // Reference holds the number of the sheet
	BySpeech   Method = "spoken"   // in person or by telephone
	ByLink     Method = "link"     // a link or button of a letter
	ByMail     Method = "mail"     // a letter of the person
	ByChat     Method = "chat"     // a button or message in a chat
	ByOperator Method = "operator" // one of ours, at the command line or a page
)

// Methods lists the methods as people write them.
func Methods() []string {
	return []string{
		string(ByForm), string(ByAPI), string(ByImport), string(ByPaper), string(BySpeech),
		string(ByLink), string(ByMail), string(ByChat), string(ByOperator),
	}
}

// Valid says whether the method is one of the known ones; empty is not.
func (m Method) Valid() bool {
	switch m {
	case ByForm, ByAPI, ByImport, ByPaper, BySpeech, ByLink, ByMail, ByChat, ByOperator:
		return true
	}
	return false
}

// Current is the answer that stands, and the entry that made it.
type Current struct {
	Contact int64     `json:"-"`
	Driver  string    `json:"driver"`
	Topic   string    `json:"topic"`
	Answer  Answer    `json:"answer"`
	State   State     `json:"state"`
	Basis   Basis     `json:"basis"`
	Address string    `json:"address"`
	At      time.Time `json:"at"`    // the newest act of the person so far
	Entry   int64     `json:"entry"` // the line that made it
	Expires time.Time `json:"expires,omitzero"`
}

// Ended says whether the answer has come to its end by that moment.
func (c Current) Ended(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// Outcome is what became of an entry.
type Outcome struct {
	Entry   int64 // the new line; 0: nothing was written
	Written bool
	Answer  Answer // afterwards
	Err     error  // ErrWithdrawn, ErrEnded, ErrNoSource, ErrNoAddress, or nil
}

// Why an entry was not taken. Each is a sentence that can follow a name.
var (
	ErrWithdrawn = errors.New("the person has withdrawn or objected; only a newer consent (consent_at) with --resubscribe overturns that")
	ErrEnded     = errors.New("what the person agreed to has come to its end; only a newer consent (consent_at) renews it")
	ErrNoSource  = errors.New("nobody becomes granted without a source (--source, consent_source)")
	ErrNoAddress = errors.New("there is no address of that kind")
)

// again is how much newer than the last "no" another one is to get a line of
// its own: one press of a button may come in twice.
const again = time.Hour

// Next decides what an entry does to the answer that stands: it returns the
// answer afterwards and whether there is something to write. A "no" is always
// heard, however old, and said anew it counts anew. A "yes" never overturns a
// "no" unless it is dated, newer than the last "no" and resubscribes, and an
// older "yes" never replaces a newer one. A newer "yes" renews one that has an
// end, an expiry ends what waits and a "yes" whose end has come, nothing else,
// and what has ended so is not given again by a file that names no time. Nothing is written when nothing would change.
func Next(cur Current, e Entry) (next Current, changes bool, err error) {
	next = cur
	next.State, next.Answer, next.Basis = e.State, e.State.Answer(), e.Basis
	if e.Address != "" {
		next.Address = e.Address
	}
	if e.At.After(cur.At) {
		next.At = e.At
	}
	next.Expires = time.Time{}
	switch e.State {
	case Requested, Granted, Confirmed:
		next.Expires = e.Expires
		return yes(cur, next, e)
	case Withdrawn, Objected:
		changes = cur.Answer != No || (cur.State == Withdrawn && e.State == Objected) ||
			!e.Undated && e.At.Sub(cur.At) >= again
	case Expired:
		changes = cur.Answer == Wait || cur.Answer == Yes && cur.Ended(e.At)
	case Erased:
		changes = cur.State != Erased
	}
	if !changes {
		return cur, false, nil
	}
	return next, true, nil
}

func yes(cur, next Current, e Entry) (Current, bool, error) {
	if e.State != Requested && e.Source == "" {
		return cur, false, ErrNoSource
	}
	if e.Address == "" {
		return cur, false, ErrNoAddress
	}
	if cur.Answer == No && (!e.Resubscribe || e.Undated || !e.At.After(cur.At)) {
		return cur, false, ErrWithdrawn
	}
	if e.Undated && e.State != Requested && (cur.Answer == None && cur.State == Expired || cur.Answer != No && cur.Ended(e.At)) {
		return cur, false, ErrEnded
	}
	if cur.Answer == None || cur.Answer == No || cur.Ended(e.At) {
		return next, true, nil
	}
	if e.At.Before(cur.At) {
		return cur, false, nil
	}
	if e.Address != cur.Address {
		return next, true, nil
	}
	switch e.State {
	case Granted:
		return keep(cur, next, cur.Answer == Wait || e.Basis != cur.Basis || renews(cur, e))
	case Confirmed:
		return keep(cur, next, cur.State != Confirmed || renews(cur, e))
	default:
		return cur, false, nil // a request for what is pending or granted already
	}
}

// renews says whether a "yes" that changes nothing else moves the end of the
// one that stands further away.
func renews(cur Current, e Entry) bool {
	return !cur.Expires.IsZero() && !e.Undated && e.At.Sub(cur.At) >= again && (e.Expires.IsZero() || e.Expires.After(cur.Expires))
}

func keep(cur, next Current, changes bool) (Current, bool, error) {
	if !changes {
		return cur, false, nil
	}
	return next, true, nil
}
