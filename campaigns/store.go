package campaigns

import (
	"context"
	"encoding/json"
	"time"

	"rapport/contacts"
	"rapport/outbox"
	"rapport/templates"
)

// Store keeps campaigns. Every method is one fact in one transaction.
type Store interface {
	// PutCampaign stores a new campaign as a draft, or a new definition of a
	// draft with its Revision raised. A name whose campaign was started is a
	// Conflict.
	PutCampaign(ctx context.Context, c Campaign) (Campaign, error)
	// Campaign finds a campaign by its name or its UID; an unknown one is a
	// NotFound that lists the known.
	Campaign(ctx context.Context, ref string) (Campaign, error)
	// Campaigns lists at most limit campaigns by name, those after the given.
	Campaigns(ctx context.Context, after string, limit int) ([]Campaign, error)
	// ScheduleCampaign makes a draft wait for its first occurrence; false when
	// it is no draft any more.
	ScheduleCampaign(ctx context.Context, id int64, next Occurrence, note string) (bool, error)
	// MoveCampaign reads where a campaign and its open run stand, asks where
	// to go, and moves both if they still stand there; ran says that it had a
	// run. decide is pure: it may be asked more than once.
	MoveCampaign(ctx context.Context, id int64, endSchedule bool, note string, decide func(s Standing, ran bool) (Standing, error)) (Standing, error)
	// DueCampaigns lists campaigns that wait for a time that has come.
	DueCampaigns(ctx context.Context, now time.Time) ([]Campaign, error)
}

// RunStore keeps runs.
type RunStore interface {
	// BeginRun takes an occurrence off a campaign's calendar; see Begin.
	BeginRun(ctx context.Context, b Begin) (Run, Begun, error)
	// SendOne makes a run of one, with its delivery. A Reference that exists
	// already returns the run it names, and false. A person who may not be
	// written to is a *Skipped.
	SendOne(ctx context.Context, r Run, o One) (Run, bool, error)
	// FindRun finds a run by its UID.
	FindRun(ctx context.Context, uid string) (Run, error)
	// RunByReference finds a single message.
	RunByReference(ctx context.Context, reference string) (Run, error)
	// Runs lists at most limit runs of a campaign, newest first, with numbers
	// below the given one (0: all).
	Runs(ctx context.Context, campaign, before int64, limit int) ([]Run, error)
	// MoveRun moves a run if it is in one of the states; when it is paused, a
	// campaign that is running is paused with it.
	MoveRun(ctx context.Context, id int64, from []outbox.RunState, to outbox.RunState, note string) (bool, error)
	// Revise moves deliveries of a run by a person's word; see Revision.
	Revise(ctx context.Context, r Revision) (int64, error)
}

// PlanStore finds the people of a run.
type PlanStore interface {
	// Planning returns the oldest run that is being planned, of those whose
	// number is above after.
	Planning(ctx context.Context, after int64) (Run, bool, error)
	// PlanPage plans the next people of a run in one transaction.
	PlanPage(ctx context.Context, run int64, aim Aim) (Page, error)
	// CountAudience counts the people of an aim by what would become of them
	// and who they are, and how many of them lack which attribute.
	CountAudience(ctx context.Context, aim Aim, attributes []string) ([]Group, error)
	// CountLimited counts, of the people of an aim who may be written to, those
	// whom a pause or a cap would hold at its moment.
	CountLimited(ctx context.Context, aim Aim, channel string) (Limited, error)
	// ZonesInUse lists the time zones of contacts.
	ZonesInUse(ctx context.Context) ([]string, error)
	// Contact finds one contact; none is a NotFound error.
	Contact(ctx context.Context, by contacts.Key) (contacts.Contact, error)
	// LastRate is how many deliveries a second ended in the newest finished
	// run of a campaign over a channel; false when there is none.
	LastRate(ctx context.Context, channel string) (float64, bool, error)
}

// ReportStore reads what became of deliveries.
type ReportStore interface {
	// Account returns the account of a run by its UID.
	Account(ctx context.Context, run string) (outbox.Account, error)
	// Deliveries lists deliveries by number.
	Deliveries(ctx context.Context, f Filter) ([]Delivery, error)
	// DeliveryOf returns one delivery with its attempts and responses.
	DeliveryOf(ctx context.Context, run, contact int64) (Detail, error)
	// NotPlanned lists people of a run who were not planned, by number.
	NotPlanned(ctx context.Context, run int64, reason outbox.Reason, after int64, limit int) ([]NotPlanned, error)
	// Responses counts what came back for a run by kind and link.
	Responses(ctx context.Context, run int64) ([]Responded, error)
	// Reactions counts what came back from people, for some of a run.
	Reactions(ctx context.Context, run int64, contacts []int64) (map[int64][]Reaction, error)
	// Revision finds a template's revision by its number in the house.
	Revision(ctx context.Context, id int64) (templates.Revision, error)
}

// NoteStore says what operators should know and have not been told yet.
type NoteStore interface {
	// UntoldRuns lists finished and cancelled runs of campaigns nobody was
	// told about, oldest first.
	UntoldRuns(ctx context.Context, limit int) ([]Run, error)
	// TellRun takes the telling of a run; false when somebody else has it.
	TellRun(ctx context.Context, id int64, now time.Time) (bool, error)
	// Holds lists the channels that may not send now.
	Holds(ctx context.Context, now time.Time) ([]outbox.Hold, error)
	// UntoldHolds lists holds nobody was told about.
	UntoldHolds(ctx context.Context) ([]outbox.Hold, error)
	// TellHold takes the telling of a hold; false when somebody else has it.
	TellHold(ctx context.Context, h outbox.Hold, now time.Time) (bool, error)
}

// Begin takes an occurrence off a campaign's calendar: if Expected is still
// what it waits for and it is not paused, it waits for Next, and Run, if any,
// begins, unless another run of the campaign is open.
type Begin struct {
	Campaign int64
	Expected Occurrence
	Next     Occurrence // zero: the calendar is empty
	Run      *Run       // nil: the occurrence is left out
	Note     string     // on the campaign
	Busy     string     // note instead, when another run is open
}

// Begun says what BeginRun did.
type Begun uint8

// Lost: somebody else was faster, or a person stopped the campaign. Left: the
// occurrence was left out. Busy: another run is open. Started: there is a run.
const (
	Lost Begun = iota
	Left
	Busy
	Started
)

// One is the delivery of a run of one.
type One struct {
	Contact   int64
	NotBefore time.Time
	ExpiresAt time.Time // zero: never
	Data      json.RawMessage
}

// Skipped is why a person is not written to.
type Skipped struct{ Reason outbox.Reason }

// Error names the reason.
func (s *Skipped) Error() string { return "may not be written to: " + string(s.Reason) }

// Revision moves deliveries by a person's word: From (failed or uncertain) to
// To, the same rows with the same IDs. What is queued again begins afresh, and
// the run goes on.
type Revision struct {
	Run      int64
	Contact  int64 // 0: all
	From, To outbox.State
	Reason   outbox.Reason // only those with it; empty: all
	Now      time.Time
	Actor    string
}

// Page is what became of one page of planning.
type Page struct {
	Planned int64
	Skipped int64
	Done    bool // the run has all its people, or is not being planned any more
}

// Group is how many people of an audience share a fate, a locale and a zone.
type Group struct {
	Reason      outbox.Reason // empty: they would be planned
	Locale      string
	Zone        string
	N           int64
	First, Last int64   // contact numbers
	Missing     []int64 // how many lack each attribute that was asked about
}
