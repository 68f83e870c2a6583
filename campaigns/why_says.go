package campaigns

import (
	"fmt"
	"slices"
	"time"

	"rapport"
	"rapport/outbox"
)

// sentences says what each reason means. The list is as closed as that of the
// outbox, and a test compares.
var sentences = map[outbox.Reason]string{
	outbox.NoConsent:      "the person has not agreed to it",
	outbox.Withdrawn:      "the person has withdrawn or objected",
	outbox.PendingConsent: "the person has been asked and has not confirmed yet",
	outbox.OtherAddress:   "the permission was given for another address",
	outbox.NoAddress:      "the person has no address for the channel",
	outbox.AddressChanged: "the address is not the person's any more, or somebody else of the run has it",
	outbox.Erased:         "the person was erased",
	outbox.TooLate:        "the time was over in the person's zone when the run began, and the schedule says late: skip",
	outbox.Restricted:     "the person is restricted: kept, and nothing else is done with their data (GDPR article 18)",

	outbox.HardBounce:   "the address is suppressed: mail to it came back for good",
	outbox.Strike:       "the address is suppressed: it was refused twice within a week",
	outbox.Complaint:    "the address is suppressed: its owner complained",
	outbox.Manual:       "the address is suppressed by hand or by a list",
	outbox.Unsubscribed: "the address is suppressed: its owner wants nothing at all",
	outbox.LegalGround:  "the address is suppressed on a legal ground",
	outbox.RoleAccount:  "the address is suppressed: it belongs to a task and not to a person",

	outbox.UnknownUser:    "the receiving server says that there is no such mailbox",
	outbox.BadDomain:      "the domain of the address takes no mail",
	outbox.MailboxFull:    "the mailbox is full",
	outbox.Greylisted:     "the server asked to come again later, as it does with senders it does not know",
	outbox.RateLimited:    "the server or the provider wants less at a time",
	outbox.PolicyRefused:  "the server refused the message by a rule of its own",
	outbox.Authentication: "the channel's name and password were not accepted",
	outbox.ContentRefused: "the server refused what the message says or holds",
	outbox.TooLarge:       "the message is larger than the receiver takes",
	outbox.Connection:     "the connection could not be made or broke",
	outbox.TLS:            "no safe connection could be made",
	outbox.Timeout:        "the receiver did not answer in time",
	outbox.NoSMTPUTF8:     "the address is not ASCII and a server on the way takes ASCII only",
	outbox.Refused:        "the receiver refused the message",
	outbox.DisabledUser:   "the mailbox is closed, or belongs to somebody else now",
	outbox.Reputation:     "the receiver does not trust the sender's address or network",
	outbox.Unproven:       "the sender is not proven: SPF, DKIM, DMARC or reverse DNS is missing or wrong",
	outbox.SenderRefused:  "the sender address was not accepted",
	outbox.RelayDenied:    "the server passes nothing on for us",
	outbox.ServerTrouble:  "the server had trouble of its own",
	outbox.RenderFailed:   "the letter could not be written for this person",
	outbox.NoAnswer:       "nothing was answered after the message had been offered, so it may have arrived",
	outbox.ProcessDied:    "the sending process ended between offering the message and the answer, so it may have arrived",
	outbox.Crashed:        "the message brought the sending process down more than once and was set aside",
	outbox.Restored:       "it was open in a backup that was put back, so it may have been sent since",

	outbox.WaitRetry:  "it will be tried again",
	outbox.WaitQuiet:  "it waits for the campaign's window or the end of quiet hours",
	outbox.WaitHeld:   "the channel is held",
	outbox.WaitPaused: "the campaign or its run is paused",
	outbox.WaitSlow:   "the receiving domain takes only so many at a time",
	outbox.WaitWarmup: "the channel has sent what its warm-up plan allows today",
	outbox.Capped:     "the person was written to as often as a cap allows",
	outbox.AskedPause: "the person asked for a pause",
	outbox.AskedLess:  "the person asked for fewer messages",

	outbox.ByPerson: "it was cancelled by a person",
	outbox.TimeOver: "its time was over before it could leave",
}

// says is the sentence of a reason.
func says(r outbox.Reason) string { return sentences[r] }

// home lists in which gate a reason is at home; what is missing comes from the
// receiver.
var home = map[outbox.Reason]string{
	outbox.NoConsent: "consent", outbox.Withdrawn: "consent", outbox.PendingConsent: "consent", outbox.OtherAddress: "consent",
	outbox.NoAddress: "address", outbox.AddressChanged: "address", outbox.Erased: "person", outbox.TooLate: "local time", outbox.Restricted: "restriction",
	outbox.HardBounce: "suppression", outbox.Strike: "suppression", outbox.Complaint: "suppression", outbox.Manual: "suppression",
	outbox.Unsubscribed: "suppression", outbox.LegalGround: "suppression", outbox.RoleAccount: "suppression",
	outbox.RenderFailed: "letter", outbox.WaitQuiet: "window and quiet hours", outbox.WaitHeld: "channel", outbox.WaitPaused: "run",
	outbox.WaitSlow: "pace", outbox.WaitWarmup: "pace", outbox.Capped: "wishes and caps", outbox.AskedPause: "wishes and caps", outbox.AskedLess: "wishes and caps",
	outbox.ByPerson: "run", outbox.TimeOver: "expiry", outbox.Crashed: "sending", outbox.ProcessDied: "sending", outbox.Restored: "sending",
}

// gateOf is where a reason is at home.
func gateOf(r outbox.Reason) string { return orElse(home[r], "receiver") }

// answer asks all gates and says what decided.
func (c *card) answer() Why {
	w := Why{
		Campaign: c.run.Name, Contact: c.person.UID, Channel: c.run.Channel, Topic: c.run.Topic, Now: c.now,
		Address: c.standings.Address, Locale: c.letter.locale, Template: c.campaign.Definition.Template, Revision: c.letter.revision,
		Responses: c.detail.Reactions,
	}
	for _, g := range gates() {
		x := g.look(c)
		x.Name = g.name
		w.Gates = append(w.Gates, x)
	}
	if c.begun {
		w.Run = c.run.UID
	}
	if due := c.due(); !due.IsZero() {
		w.Due = &due
	}
	switch {
	case c.placed.Delivery != 0:
		c.delivered(&w)
	case c.placed.Skipped:
		c.leftOut(&w)
	default:
		c.foretold(&w)
	}
	return w
}

// first is the first gate of those outcomes.
func (w *Why) first(outcomes ...Outcome) *Gate {
	for i := range w.Gates {
		if slices.Contains(outcomes, w.Gates[i].Outcome) {
			return &w.Gates[i]
		}
	}
	return nil
}

// firstWait is the first gate that makes the message wait, in the order of the
// worker: the window before the letter is written, then what is asked at the
// wire.
func (w *Why) firstWait() *Gate {
	for _, name := range []string{"window and quiet hours", "run", "channel", "wishes and caps"} {
		if g := w.gate(name); g != nil && g.Outcome == Waits {
			return g
		}
	}
	return w.first(Waits)
}

// gate finds a gate by its name.
func (w *Why) gate(name string) *Gate {
	for i := range w.Gates {
		if w.Gates[i].Name == name {
			return &w.Gates[i]
		}
	}
	return nil
}

// foretold is the answer about somebody of whom nothing has been decided.
func (c *card) foretold(w *Why) {
	who := "Contact " + c.person.UID
	if stop := w.first(Stops); stop != nil {
		w.Decided, w.Reason = stop, stop.Reason
		switch {
		case c.begun && c.placed.Passed:
			w.Sentence = fmt.Sprintf("%s was not meant when the run was planned, or came later. As things stand now: %s%s.", who, stop.Says, rests(stop.Row))
		case c.begun && !c.run.planningOpen():
			w.Sentence = fmt.Sprintf("%s is not in this run, which takes nobody any more. As things stand now: %s%s.", who, stop.Says, rests(stop.Row))
		default:
			w.Sentence = fmt.Sprintf("%s would not get %s: %s%s.", who, c.run.Name, stop.Says, rests(stop.Row))
		}
		return
	}
	if c.begun && (c.placed.Passed || !c.run.planningOpen()) {
		row := &Row{Table: "runs", Key: c.run.UID, At: &c.run.StartedAt, Detail: string(c.run.State)}
		w.Decided = &Gate{Name: "run", Outcome: Stops, Row: row, Says: "the run was planned without the person"}
		w.Sentence = fmt.Sprintf("%s is not in this run, though nothing stands in the way now: they were not meant when it was planned%s.", who, rests(w.Decided.Row))
		return
	}
	leaves := fmt.Sprintf("through channel %s to %s", c.run.Channel, c.standings.Address)
	if wait := w.firstWait(); wait != nil {
		w.Decided, w.Reason = wait, wait.Reason
		until := ""
		if wait.Until != nil {
			until = " until " + when(*wait.Until)
		}
		w.Sentence = fmt.Sprintf("%s would be planned for %s, %s, and wait%s: %s%s.", who, when(c.due()), leaves, until, wait.Says, rests(wait.Row))
		return
	}
	w.Sentence = fmt.Sprintf("%s would get it from %s on, %s: nothing stands in the way.", who, when(c.due()), leaves)
}

// planningOpen says whether a run may still take people.
func (r Run) planningOpen() bool {
	return r.State == outbox.Planning || r.State == outbox.Paused && r.PlannedAt == nil
}

// rests names the row an answer rests on.
func rests(r *Row) string {
	if r == nil || r.Table == "" {
		return ""
	}
	text := fmt.Sprintf(" (%s %s", r.Table, r.Key)
	if r.At != nil {
		text += ", " + when(*r.At)
	}
	if r.Actor != "" {
		text += ", by " + r.Actor
	}
	return text + ")"
}

// leftOut is the answer about somebody whom planning has left out.
func (c *card) leftOut(w *Why) {
	w.Reason = c.placed.Reason
	row := &Row{Table: "not_planned", Key: rapport.DeliveryID(c.run.ID, c.person.ID), At: c.run.PlannedAt, Detail: string(c.placed.Reason)}
	w.Decided = c.decided(w, c.placed.Reason, row, c.plannedBy())
	w.Sentence = fmt.Sprintf("Contact %s was not planned: %s%s.%s", c.person.UID, w.Decided.Says, rests(w.Decided.Row), c.since(w))
}

// plannedBy is the moment at which planning had decided.
func (c *card) plannedBy() time.Time {
	if c.run.PlannedAt != nil {
		return *c.run.PlannedAt
	}
	return c.now
}

// decided is the gate of a reason that stands in a row, with what it rested on
// at that moment as far as that is still there.
func (c *card) decided(w *Why, r outbox.Reason, row *Row, at time.Time) *Gate {
	g := Gate{Name: gateOf(r), Outcome: Stops, Reason: r, Says: says(r), Row: row}
	for _, name := range placesOf(g.Name) {
		if now := w.gate(name); now != nil && now.Reason == r && now.Row != nil && (now.Row.At == nil || !now.Row.At.After(at)) {
			g.Name, g.Says, g.Row = name, now.Says, now.Row
			return &g
		}
	}
	if g.Name == "consent" {
		if then := c.answerAt(at); then != nil {
			g.Row = then
		}
	}
	return &g
}

// placesOf are the gates that may stop for a reason which is at home at one: an
// address is suppressed by itself, or with its domain.
func placesOf(gate string) []string {
	if gate == "suppression" {
		return []string{gate, "suppressed domain"}
	}
	return []string{gate}
}

// answerAt is the line of the ledger that stood for the run's topic at a
// moment.
func (c *card) answerAt(at time.Time) *Row {
	var out *Row
	for _, p := range c.sheet.History {
		if p.Driver == c.run.Driver && p.Topic == c.run.Topic && !p.RecordedAt.After(at) {
			row := rowOf(p)
			out = &row
		}
	}
	return out
}

// since says what has changed for somebody who was left out.
func (c *card) since(w *Why) string {
	if stop := w.first(Stops); stop != nil && stop.Reason == c.placed.Reason {
		return ""
	}
	if stop := w.first(Stops); stop != nil {
		return " By now it is another gate that stops: " + stop.Says + "."
	}
	return " By now nothing stands in the way any more."
}
