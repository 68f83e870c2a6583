package contacts

import (
	"context"
	"encoding/json"
	"time"

	"rapport/conditions"
)

// Store is all that contacts asks of a database about people. Every method is
// one fact.
type Store interface {
	// Apply judges the rows of a chunk by Book and writes what they change,
	// with their consents and the checkpoint, in one transaction of the bulk
	// lane. Outcomes come in the order of the rows. An import that somebody
	// else has moved on is a Conflict.
	Apply(ctx context.Context, c Chunk) (Applied, error)
	// Contact finds one contact; none is a NotFound error.
	Contact(ctx context.Context, by Key) (Contact, error)
	// Contacts lists contacts in the order of their numbers.
	Contacts(ctx context.Context, p Page) ([]Contact, error)
	// Erase forgets a person: contact, addresses, answers, evidence and salts
	// of ledger entries; deliveries and responses keep numbers only. Lines of
	// the ledger stay and get their "erased" ones from salts; addresses stay
	// suppressed by fingerprint. An unknown number is a NotFound error.
	Erase(ctx context.Context, contact int64, actor string, salt func() ([]byte, error)) error
	// AttributeTypes returns the declared and learned attributes.
	AttributeTypes(ctx context.Context) (map[string]Type, error)
	// DeclareAttributes adds attributes. One that exists with another type is
	// a Conflict.
	DeclareAttributes(ctx context.Context, types map[string]Type) error
	// CheckPepper keeps the ID of the pepper the first time, and refuses
	// another one ever after with a Conflict.
	CheckPepper(ctx context.Context, id string) error
}

// ImportStore remembers imports, so that a broken one goes on.
type ImportStore interface {
	// BeginImport finds or makes the import of that digest. A finished one
	// begins afresh.
	BeginImport(ctx context.Context, digest, name string) (Checkpoint, error)
	// FinishImport says that the file was read to its end.
	FinishImport(ctx context.Context, c Checkpoint) error
	// Pace is how many rows a transaction should have just now: fewer while
	// something is being sent.
	Pace() int
}

// SegmentStore keeps segments and finds who is in them.
type SegmentStore interface {
	// PutSegment creates or changes a segment by its name.
	PutSegment(ctx context.Context, s Segment) (Segment, error)
	// Segment finds a segment by its name.
	Segment(ctx context.Context, name string) (Segment, error)
	// Segments lists all segments by name.
	Segments(ctx context.Context) ([]Segment, error)
	// DeleteSegment removes a segment.
	DeleteSegment(ctx context.Context, name string) error
	// CountMembers counts the contacts that match.
	CountMembers(ctx context.Context, where *conditions.Condition, now time.Time) (int, error)
	// Members lists at most limit contacts that match, with numbers after the
	// given one, in the order of their numbers.
	Members(ctx context.Context, where *conditions.Condition, now time.Time, after int64, limit int) ([]Contact, error)
	// Names lists the names that conditions may use.
	Names(ctx context.Context) (Names, error)
}

// Names are the names of other rooms' things that conditions may use.
type Names struct{ Topics, Campaigns, Events []string }

// Key finds a contact by one of its names; the first that is set counts.
type Key struct {
	ID         int64
	UID        string
	ExternalID string
	Kind       string // with Value
	Value      string // canonical
}

// Page asks for the next contacts.
type Page struct {
	After  int64  // contact number
	Limit  int    // at most this many
	Search string // part of an external ID or address; empty: all
}

// Chunk is some rows that are written together.
type Chunk struct {
	Rows        []Row
	Seen        *Seen // contacts this import has met; nil: rows are not of a file
	Resubscribe bool  // a newer consent may overturn a withdrawal
	Actor       string
	DryRun      bool // judge, write nothing
	Replay      bool // only mark in Seen whom the rows mean
	Durable     bool // on the disk when Apply returns, and first in the queue
	// Advance, when set, says where the import stands after these rows; it is
	// kept in the same transaction, if the import (by number) still stands at
	// From rows. It is pure: a transaction may be tried again.
	Advance func(Applied) Checkpoint
	Import  int64
	From    int64
}

// Row is what one line of a file, or one call, says about a person.
type Row struct {
	Line       int
	Contact    int64  // number of the person meant; 0: the external ID and the addresses say who
	UID        string // public ID if the person is new
	ExternalID string
	Locale     string
	Zone       string
	Clear      []string    // of "locale" and "time_zone": becomes unknown
	Attributes []Attribute // what is said about attributes
	Addresses  []Address   // primary ones
	Implied    []Address   // candidates for a new person, of kinds that nobody has to give; the first free one of a kind counts
	Consents   []Consent
	// Suppressions are addresses that nobody may write to any more.
	Suppressions []Suppression
	// Again says that other rows about the same person count too, and that
	// this one changes nothing about them: it is a line of history.
	Again bool
}

// Suppression is what a row says about an address. The words of Reason are
// those of consent.
type Suppression struct {
	Address   Address
	Reason    string
	Detail    string
	At        time.Time
	Undated   bool // At is when the file was read
	Reference string
}

// Attribute is one attribute of a row. A nil Value clears it.
type Attribute struct {
	Name  string
	Value json.RawMessage
}

// Consent is what a row says about permission. The ledger judges it.
type Consent struct {
	Driver string
	Kind   string // of address
	Topic  string
	State  string // granted, pending, withdrawn; of history the word of an Event
	Basis  string
	Source string
	IP     string
	At     time.Time
	// Undated says that the row does not know when, and At is when it was read.
	Undated bool
	Salt    []byte

	// History says that it is one of several acts with their own times, of
	// which the newest decides.
	History   bool
	Address   string // canonical; empty: the primary one of the kind
	Given     string // as it stood in the file
	Wording   string
	Agent     string
	Channel   string
	Reference string // file and line
}

// Status is what became of a row.
type Status uint8

// The statuses of a row.
const (
	Created Status = iota
	Changed
	Unchanged
	Duplicate // means somebody an earlier row of the file meant
	Refused
)

// Outcome says what became of a row. Reason is a sentence when it was Refused.
type Outcome struct {
	Status  Status
	ID      int64
	UID     string
	Reason  string
	Skipped []string // consents that were not taken, and why
}

// Applied says what became of a chunk. Consents counts the answers that rows
// gave: "granted", "pending", "withdrawn", "unchanged", "skipped".
type Applied struct {
	Outcomes []Outcome
	Consents map[string]int
	// History counts what became of events that happened before: "recorded",
	// "known" (the ledger has them), "older" (a later act stands), "suppressed",
	// "refused".
	History map[string]int
	// People counts rows by what may be written to the person afterwards; see
	// Report.People.
	People map[string]int
}

// Checkpoint is how far an import has come.
type Checkpoint struct {
	ID       int64
	DoneRows int64
	Report   Report // as of DoneRows
}
