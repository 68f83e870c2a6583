package outbox

import "time"

// Facts is what the gate reads about one delivery, in the very transaction
// that would write its intent.
type Facts struct {
	Run            RunState
	ExpiresAt      time.Time
	Address        string    // frozen at planning
	HasContact     bool      // the contact still exists
	HasAddress     bool      // the address is still one of the contact's
	Consent        string    // current answer: "", "pending", "granted", "withdrawn"
	ConsentAddress string    // the address it was given for
	ConsentEnds    time.Time // when the answer ends that nobody renews; zero: it does not
	Suppression    string    // reason, "" for none
	Held           bool      // the channel is held
	HeldUntil      time.Time
}

// Admit is the gate: it decides whether a claimed delivery may leave now.
// Sending means yes; Queued sends it back to wait; anything else ends it. The
// first rule that applies wins, and what a person said goes before what the
// campaign wants.
func Admit(f Facts, now time.Time) (State, Reason) {
	switch {
	case f.Run.Over():
		return Cancelled, ByPerson
	case !f.HasContact:
		return Suppressed, Erased
	case f.Suppression != "":
		return Suppressed, ReasonOf(f.Suppression, Manual)
	case !f.HasAddress:
		return Suppressed, AddressChanged
	case f.Consent == "withdrawn":
		return Suppressed, Withdrawn
	case f.Consent == "pending":
		return Suppressed, PendingConsent
	case f.Consent != "granted", !f.ConsentEnds.IsZero() && !now.Before(f.ConsentEnds):
		return Suppressed, NoConsent
	case f.ConsentAddress != f.Address:
		return Suppressed, OtherAddress
	case !f.ExpiresAt.IsZero() && !now.Before(f.ExpiresAt):
		return Expired, TimeOver
	case f.Run == Paused:
		return Queued, WaitPaused
	case f.Held:
		return Queued, WaitHeld
	}
	return Sending, ""
}

// Candidate is what planning reads about one person of an audience.
type Candidate struct {
	Address        string // primary address of the channel's kind, "" for none
	Consent        string // "" also for a "yes" that has come to its end
	ConsentAddress string
	Suppression    string
}

// Skip says why a person is not planned, "" when they are. It is the same
// gate at an earlier hour; who is planned is asked again when leaving.
func Skip(c Candidate) Reason {
	switch {
	case c.Address == "":
		return NoAddress
	case c.Suppression != "":
		return ReasonOf(c.Suppression, Manual)
	case c.Consent == "withdrawn":
		return Withdrawn
	case c.Consent == "pending":
		return PendingConsent
	case c.Consent != "granted":
		return NoConsent
	case c.ConsentAddress != c.Address:
		return OtherAddress
	}
	return ""
}
