package campaigns

import (
	"rapport"
	"rapport/outbox"
)

// Action is what a person does to a campaign that was started.
type Action string

// The actions. Cancel is final.
const (
	Pause      Action = "pause"
	Resume     Action = "resume"
	Cancel     Action = "cancel"
	Unschedule Action = "unschedule"
)

// Standing is where a campaign and its open run stand together. Run is empty
// when no run is open; Planned says that all of its people are known.
type Standing struct {
	Campaign State
	Run      outbox.RunState
	Planned  bool
}

// moves is every legal move. What is not here is a conflict.
var moves = map[Action]map[Standing]Standing{
	Pause: {
		{Scheduled, "", false}:            {Paused, "", false},
		{Running, outbox.Planning, false}: {Paused, outbox.Paused, false},
		{Running, outbox.Running, true}:   {Paused, outbox.Paused, true},
	},
	Resume: {
		{Paused, "", false}:            {Scheduled, "", false},
		{Paused, outbox.Paused, false}: {Running, outbox.Planning, false},
		{Paused, outbox.Paused, true}:  {Running, outbox.Running, true},
	},
	Cancel: {
		{Scheduled, "", false}:            {Cancelled, "", false},
		{Paused, "", false}:               {Cancelled, "", false},
		{Running, outbox.Planning, false}: {Cancelled, outbox.Cancelling, false},
		{Running, outbox.Running, true}:   {Cancelled, outbox.Cancelling, true},
		{Paused, outbox.Paused, false}:    {Cancelled, outbox.Cancelling, false},
		{Paused, outbox.Paused, true}:     {Cancelled, outbox.Cancelling, true},
	},
	// The schedule ends; what is going goes on to its end.
	Unschedule: {
		{Scheduled, "", false}:            {Draft, "", false},
		{Paused, "", false}:               {Draft, "", false},
		{Running, outbox.Planning, false}: {Running, outbox.Planning, false},
		{Running, outbox.Running, true}:   {Running, outbox.Running, true},
		{Paused, outbox.Paused, false}:    {Paused, outbox.Paused, false},
		{Paused, outbox.Paused, true}:     {Paused, outbox.Paused, true},
	},
}

// After returns where an action leads, or the Conflict that says why it
// cannot be done.
func (a Action) After(name string, s Standing) (Standing, error) {
	next, ok := moves[a][s]
	if ok {
		return next, nil
	}
	what := map[Action]string{
		Pause:      "only a campaign that is scheduled or running can be paused",
		Resume:     "only a paused campaign can be resumed",
		Cancel:     "only a campaign that is scheduled, running or paused can be cancelled",
		Unschedule: "only a campaign that is scheduled or still recurring can be unscheduled",
	}[a]
	return s, rapport.Conflictf("campaign %s is %s: %s", name, s.Campaign, what)
}

// EndsSchedule says whether the action takes the next run off the calendar.
func (a Action) EndsSchedule() bool { return a == Cancel || a == Unschedule }
