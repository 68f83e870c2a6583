package outbox

import (
	"context"
	"time"

	"rapport/channels"
)

// Deliveries is what the deliverer asks of a database. Every method is one
// fact in one transaction.
type Deliveries interface {
	// Run returns what all deliveries of a run share.
	Run(ctx context.Context, id int64) (Run, error)
	// Claim reserves up to n due deliveries of a batch for a worker and
	// returns them with their persons. Nothing leaves by it; a claim that is
	// lost costs nothing.
	Claim(ctx context.Context, batch, worker int64, n int, now time.Time) ([]Delivery, error)
	// Exchange settles what has ended and admits what wants to leave, in one
	// transaction: the gate is read and the intents are written together.
	// Settlements of an older turn count for nothing. Exactly one Admission
	// comes back for each ticket, in their order. The next exchange may begin
	// at once, but nothing may leave and no outcome be forgotten until lasting
	// has returned nil: then all of it outlives the machine.
	Exchange(ctx context.Context, worker int64, settled []Settlement, wanted []Ticket, now time.Time) (admitted []Admission, lasting func() error, err error)
	// Rest says that nobody works on the batch any more and recomputes when
	// it is due next.
	Rest(ctx context.Context, batch int64) error
}

// Bells is what the pump asks: whatever is due is found on batches.
type Bells interface {
	// Due lists batches of a lane that have something due, are not armed, not
	// held and whose run goes on: fair between runs, at most limit.
	Due(ctx context.Context, lane Lane, now time.Time, limit int) ([]Batch, error)
	// Arm marks a batch as asked for until the given time and raises its
	// round; false when somebody else was faster.
	Arm(ctx context.Context, b Batch, now, until time.Time) (Batch, bool, error)
	// Fold ends, in chunks, the waiting deliveries of cancelled runs and
	// those whose time is over. It returns how many; 0 means all is done.
	Fold(ctx context.Context, now time.Time) (int64, error)
	// Finish ends runs of which nothing is open any more and returns them.
	Finish(ctx context.Context, now time.Time) ([]Account, error)
}

// Seats is how a sending process makes itself known. While it lives its rows
// are nobody else's; when it dies, however it dies, they can be judged at once.
type Seats interface {
	// Sit takes a seat under a name. On an embedded database there is one
	// seat, and a Conflict error says that another process has it.
	Sit(ctx context.Context, name string, now time.Time) (Seat, error)
	// Reclaim judges the rows of dead workers: claimed ones are free again,
	// offered ones are what the policy of their class and channel says.
	Reclaim(ctx context.Context, policy func(class channels.Class, channel string) Policy, now time.Time) (Reclaimed, error)
	// Suspect notes how often a claimed delivery may have brought its process
	// down. It survives the process. Reclaim notes 1 for what the dead had
	// claimed.
	Suspect(ctx context.Context, delivery, turn int64, crashes int) error
}

// Seat is a worker's place. Its number stands on the rows it works on.
type Seat interface {
	ID() int64
	// Beat says that the worker lives; an error means that it may be taken
	// for dead and must take a new seat.
	Beat(ctx context.Context, now time.Time) error
	Leave(ctx context.Context, now time.Time) error
}

// Reclaimed says what Reclaim found.
type Reclaimed struct {
	Workers   int // dead ones
	Freed     int // claimed rows that are queued again
	Repeated  int // offered rows that are queued again
	Uncertain int // offered rows that are now uncertain
}

// Holds is what stops and releases channels.
type Holds interface {
	Hold(ctx context.Context, h Hold) error
	// Lift releases a channel; false when it was not held.
	Lift(ctx context.Context, channel string) (bool, error)
	Holds(ctx context.Context, now time.Time) ([]Hold, error)
}

// Paces is what processes share about how fast things leave, beside what is in
// Redis: it outlives every process.
type Paces interface {
	// Slows lists the receiving domains that were asked to be gone easy on.
	Slows(ctx context.Context) ([]Slow, error)
	// KeepSlow replaces a domain's state if it is still as it was, by the time
	// of its last change; false when somebody else was faster. A free one is
	// forgotten.
	KeepSlow(ctx context.Context, was, is Slow) (bool, error)
	// Praise counts messages that a slowed domain has accepted.
	Praise(ctx context.Context, channel, domain string, n int64) error
	// LiveRates lists the channels whose rate was set by hand.
	LiveRates(ctx context.Context) ([]LiveRate, error)
	// Warm takes up to want of a channel's messages of a day out of limit,
	// never more; a negative want gives some back. It returns how many were
	// taken and how many the day has now.
	Warm(ctx context.Context, channel, day string, limit, want int64) (got, taken int64, err error)
	// PutOff leaves a batch alone until a time.
	PutOff(ctx context.Context, batch int64, until time.Time) error
	// PaceOf is the receiving domain all deliveries of a batch go to; empty
	// when they go to several.
	PaceOf(ctx context.Context, batch int64) (string, error)
}
