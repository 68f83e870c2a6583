package outbox

import (
	"context"
	"time"
)

// Milestone is how far an installation has come. It stands in the database and
// is remembered outside of it, so that an older copy is known for one.
type Milestone struct {
	Installation string    // which database
	Departed     int64     // messages that have left, ever
	At           time.Time // when that was counted last
	Run, Contact int64     // the highest numbers in use
}

// Standstill is why nothing leaves: the database is older than what was sent.
// The zero value says that all is well.
type Standstill struct {
	Since time.Time
	Ahead Milestone // as it was remembered outside; Departed 0 when nobody knows
	Why   string    // a sentence for people
}

// Stands says whether sending stands still.
func (s Standstill) Stands() bool { return !s.Since.IsZero() }

// Milestones is what the machine room asks about the age of the database.
type Milestones interface {
	// Milestone returns how far this database has come, and whether sending
	// stands still. One that has no name yet gets the given one.
	Milestone(ctx context.Context, name string) (Milestone, Standstill, error)
	// Pass counts n more messages that have left. It is on the disk when it
	// returns.
	Pass(ctx context.Context, n int64, now time.Time) (Milestone, Standstill, error)
	// Halt stops everything until a person confirms, on these channels and
	// those of all open runs. A standstill that is there already stays as it
	// is.
	Halt(ctx context.Context, s Standstill, channels []string) error
	// Unknown counts outcomes of deliveries, or of claims of them, that the
	// database knows nothing of. Nothing but an older copy explains one.
	Unknown(ctx context.Context, outcomes []Settlement) (int, error)
}
