package outbox

import "slices"

// State is where a delivery stands. Its text is what the database, the API
// and people see.
type State string

// The nine states. The first three are open, the rest final; only a person's
// word (retry, resolve) or later evidence moves a final one.
const (
	Queued     State = "queued"
	Claimed    State = "claimed"
	Sending    State = "sending"
	Sent       State = "sent" // accepted by the provider
	Failed     State = "failed"
	Uncertain  State = "uncertain" // may have arrived
	Suppressed State = "suppressed"
	Cancelled  State = "cancelled"
	Expired    State = "expired"
)

// States lists all nine in the order of the walk.
func States() []State {
	return []State{Queued, Claimed, Sending, Sent, Failed, Uncertain, Suppressed, Cancelled, Expired}
}

// Open says whether a delivery in this state still has to end.
func (s State) Open() bool { return s == Queued || s == Claimed || s == Sending }

// moves is every legal step; the database enforces the same by comparing the
// state and the turn of the row. From queued to sent or failed goes a row that
// was taken back from a dead worker whose outcome of the same turn was found
// after all.
var moves = map[State][]State{
	Queued:    {Claimed, Suppressed, Cancelled, Expired, Sent, Failed},
	Claimed:   {Sending, Queued, Failed, Suppressed, Cancelled, Expired},
	Sending:   {Sent, Failed, Uncertain, Queued},
	Uncertain: {Sent, Failed, Queued}, // later evidence, or a person's word
	Failed:    {Queued},               // a person's word
}

// Legal says whether a delivery may go from one state to another.
func Legal(from, to State) bool {
	return slices.Contains(moves[from], to)
}

// Reason says why a delivery ended otherwise than sent, waits, or was not
// planned at all. The list is closed: it labels metrics and reports.
type Reason string

// Reasons for people of an audience who are not planned, and for deliveries
// that the gate stops.
const (
	NoConsent      Reason = "no_consent"
	Withdrawn      Reason = "withdrawn"
	PendingConsent Reason = "pending_consent"
	OtherAddress   Reason = "other_address" // the permission was given for another address
	NoAddress      Reason = "no_address"
	AddressChanged Reason = "address_changed"
	Erased         Reason = "erased"
	TooLate        Reason = "too_late"   // local time over and the schedule says late: skip
	Restricted     Reason = "restricted" // the person is kept and nothing else (GDPR article 18)

	HardBounce   Reason = "hard_bounce"
	Strike       Reason = "strike" // refused twice within a week
	Complaint    Reason = "complaint"
	Manual       Reason = "manual"
	Unsubscribed Reason = "unsubscribed_all" // wants nothing at all
	LegalGround  Reason = "legal"            // a court, an authority or a contract forbids it
	RoleAccount  Reason = "role_account"     // the address of a task, not of a person
)

// Reasons for failed and uncertain deliveries. Adapters name them in
// channels.Failure.Reason.
const (
	UnknownUser    Reason = "unknown_user"
	BadDomain      Reason = "bad_domain"
	MailboxFull    Reason = "mailbox_full"
	Greylisted     Reason = "greylisted"
	RateLimited    Reason = "rate_limited"
	PolicyRefused  Reason = "policy"
	Authentication Reason = "authentication"
	ContentRefused Reason = "content_refused"
	TooLarge       Reason = "too_large"
	Connection     Reason = "connection"
	TLS            Reason = "tls"
	Timeout        Reason = "timeout"
	NoSMTPUTF8     Reason = "no_smtputf8"
	Refused        Reason = "refused"
	DisabledUser   Reason = "disabled_user"   // the mailbox is closed, or belongs to somebody else now
	Reputation     Reason = "reputation"      // the sender is on a block list or has a bad name
	Unproven       Reason = "unauthenticated" // SPF, DKIM, DMARC or reverse DNS is missing or wrong
	SenderRefused  Reason = "sender_refused"  // the sender address is not accepted
	RelayDenied    Reason = "relay_denied"    // the server passes nothing on for us
	ServerTrouble  Reason = "server_trouble"  // the server has trouble of its own
	RenderFailed   Reason = "render"
	NoAnswer       Reason = "no_answer"    // nothing came after the message was offered
	ProcessDied    Reason = "process_died" // the sender ended between offer and answer
	Crashed        Reason = "crashed"      // brought the sender down more than once
	Restored       Reason = "restored"     // open in a backup that was put back: it may have been sent since
)

// Reasons for deliveries that wait or were stopped by a person or by time.
const (
	WaitRetry  Reason = "retry"
	WaitQuiet  Reason = "quiet"
	WaitHeld   Reason = "held"
	WaitPaused Reason = "paused"
	WaitSlow   Reason = "slow"   // the receiving domain takes so many at a time
	WaitWarmup Reason = "warmup" // the channel has sent what its plan allows today

	ByPerson Reason = "by_person" // cancelled
	TimeOver Reason = "time_over" // expired
)

// known is the closed list.
var known = map[Reason]bool{
	NoConsent: true, Withdrawn: true, PendingConsent: true, OtherAddress: true, NoAddress: true,
	AddressChanged: true, Erased: true, TooLate: true, Restricted: true, HardBounce: true, Complaint: true, Manual: true,
	Strike: true, Unsubscribed: true, LegalGround: true, RoleAccount: true,
	UnknownUser: true, BadDomain: true, MailboxFull: true, Greylisted: true, RateLimited: true,
	PolicyRefused: true, Authentication: true, ContentRefused: true, TooLarge: true, Connection: true,
	TLS: true, Timeout: true, NoSMTPUTF8: true, Refused: true, DisabledUser: true, Reputation: true,
	Unproven: true, SenderRefused: true, RelayDenied: true, ServerTrouble: true, RenderFailed: true, NoAnswer: true,
	ProcessDied: true, Crashed: true, Restored: true, WaitRetry: true, WaitQuiet: true, WaitHeld: true, WaitPaused: true,
	WaitSlow: true, WaitWarmup: true, Capped: true, AskedPause: true, AskedLess: true,
	ByPerson: true, TimeOver: true,
}

// ReasonOf takes a word from an adapter or the database into the closed list;
// what is not in it becomes the fallback.
func ReasonOf(word string, fallback Reason) Reason {
	if r := Reason(word); known[r] {
		return r
	}
	return fallback
}
