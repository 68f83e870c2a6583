package consent

import "context"

// Store is the ledger in a database. Every method is one fact.
type Store interface {
	// Record judges entries one after another by Next and appends those that
	// change something, with their evidence and the answer they make, in one
	// durable transaction. Outcomes come in the order of the entries. An
	// unknown topic is a NotFound error that lists the known, an unknown
	// contact one too. A missing address is filled in with the primary one.
	// It waits for whoever is just asking the gate about the same person.
	Record(ctx context.Context, entries []Entry) ([]Outcome, error)
	// Consents returns the answers that stand for a contact.
	Consents(ctx context.Context, contact int64) ([]Current, error)
	// History returns the lines about a contact in order, with evidence.
	History(ctx context.Context, contact int64) ([]Record, error)
	// Ledger returns at most limit lines after the given number and up to the
	// other one (0: no bound), in order, with evidence.
	Ledger(ctx context.Context, after, upTo int64, limit int) ([]Record, error)
	// Answers returns, as of one moment, the lines about the next people after the given contact
	// number (at most people of them) in the order of contact and line, the
	// answers that stand for them, and the last contact number it covers. There
	// is nothing of either when nobody is left.
	Answers(ctx context.Context, after int64, people int) (lines []Record, standing []Current, last int64, err error)
	// Rebuild makes the answers of a contact what the ledger derives, while
	// nobody writes to it.
	Rebuild(ctx context.Context, contact int64) error
}

// LedgerStore is the ledger with everything that vouches for it.
type LedgerStore interface {
	Store
	SealStore
	WordingStore
	ExpiryStore
}

// SealStore keeps the seals of the ledger.
type SealStore interface {
	// Horizon returns the last seal and the highest number below which no line
	// can come any more: on PostgreSQL it waits for the transactions that are
	// just appending, since numbers are given out before they are committed.
	Horizon(ctx context.Context) (last Seal, horizon int64, err error)
	// AddSeal stores a seal after the one before; false when somebody else has
	// sealed meanwhile.
	AddSeal(ctx context.Context, before, s Seal) (bool, error)
	// Seals returns at most limit seals after the given number, in order.
	Seals(ctx context.Context, after int64, limit int) ([]Seal, error)
}

// TopicStore keeps the topics.
type TopicStore interface {
	// PutTopics creates or updates topics. The kind of a topic that has
	// entries cannot change: that is a Conflict, and nothing is changed.
	PutTopics(ctx context.Context, topics []Topic) error
	// Topics lists all topics by name.
	Topics(ctx context.Context) ([]Topic, error)
}

// Topic is what people are written to about.
type Topic struct {
	ID       int64             `json:"-"`
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`     // "marketing" or "transactional"
	Title    map[string]string `json:"title"`    // by language
	Priority string            `json:"priority"` // "high", "normal" or "low"
}
