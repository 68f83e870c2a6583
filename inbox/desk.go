package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/consent"
	"rapport/outbox"
	"rapport/responses"
)

// Outcome is what a mail turned out to be.
type Outcome string

// The outcomes. Those from Reply on stay where people find them.
const (
	Left      Outcome = "left"      // somebody asked for an end, and has it
	Bounced   Outcome = "bounced"   // a report that a message could not be delivered
	Complaint Outcome = "complaint" // its recipient called a message spam
	Notice    Outcome = "notice"    // a report that nothing has failed, or not yet
	Automatic Outcome = "automatic" // an answer of a machine
	Repeated  Outcome = "repeated"  // a copy of a mail that was dealt with
	Foreign   Outcome = "foreign"   // a report about no message of ours, or without our signature
	Reply     Outcome = "reply"     // somebody answered
	Doubtful  Outcome = "doubtful"  // it may ask for an end: a person has to read it
)

// Outcomes lists the outcomes.
func Outcomes() []Outcome {
	return []Outcome{Left, Bounced, Complaint, Notice, Automatic, Repeated, Foreign, Reply, Doubtful}
}

// Done says whether nobody has to read the mail any more.
func (o Outcome) Done() bool { return o != Reply && o != Doubtful }

// Leaver ends permissions; *responses.Unsubscriber does.
type Leaver interface {
	Leave(ctx context.Context, w responses.Withdrawal) error
}

// Suppressor forbids addresses; *consent.Service does.
type Suppressor interface {
	Suppress(ctx context.Context, kind, value, reason, detail string) (bool, error)
}

// Options is what a Desk is made of.
type Options struct {
	Store    Store
	Tokens   *responses.Tokens
	Leaver   Leaver
	Suppress Suppressor
	Drivers  *channels.Registry
	// Fingerprint is the keyed hash of a canonical address.
	Fingerprint func(kind, value string) string
	// Complained is told that a run has one complaint more. It may be nil.
	Complained func(ctx context.Context, run int64) error
	// Proved is told that the message of an uncertain delivery has arrived, or
	// has not. It may be nil.
	Proved func(ctx context.Context, run, contact int64, arrived bool) error
	Now    func() time.Time
	Log    *slog.Logger
}

// Desk decides what a mail means and does it. It is safe for concurrent use.
type Desk struct {
	o      Options
	counts map[Outcome]*atomic.Int64
}

// NewDesk makes the desk.
func NewDesk(o Options) *Desk {
	d := &Desk{o: o, counts: map[Outcome]*atomic.Int64{}}
	for _, k := range Outcomes() {
		d.counts[k] = &atomic.Int64{}
	}
	return d
}

// Count is how many mails had the outcome since the start.
func (d *Desk) Count(o Outcome) int64 { return d.counts[o].Load() }

// Take deals with one mail. It may be repeated, also after a crash: a mail
// counts once. An error means that nothing is certain yet and the mail has to
// be given again.
func (d *Desk) Take(ctx context.Context, raw []byte) (Outcome, error) {
	m := Read(raw)
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "inbox"})
	known, err := d.o.Store.MailTaken(ctx, m.Digest)
	if err != nil {
		return "", fmt.Errorf("look for a mail: %w", err)
	}
	out := Repeated
	if !known {
		if out, err = d.decide(ctx, m); err != nil {
			return "", err
		}
	}
	d.counts[out].Add(1)
	return out, nil
}

func (d *Desk) decide(ctx context.Context, m Mail) (Outcome, error) {
	switch {
	case m.Report != nil && m.Report.Feedback != "":
		return d.complaint(ctx, m)
	case m.Report != nil:
		return d.bounce(ctx, m)
	}
	if s, ok := d.asked(m); ok {
		return d.leave(ctx, m, responses.Withdrawal{Subject: s, Source: "mail"})
	}
	letter, found, err := d.answered(ctx, m)
	if err != nil {
		return "", err
	}
	if m.Automatic {
		return d.note(ctx, Automatic, m, letter, found, "automatic")
	}
	heard := responses.Hear(m.Text)
	if m.Text == "" {
		heard = responses.Hear(afterRe(m.Subject))
	}
	switch heard.Wish {
	case responses.Stop, responses.StopAll:
		return d.stop(ctx, m, letter, found, heard)
	case responses.Perhaps:
		return d.note(ctx, Doubtful, m, letter, found, "reply that may ask for an end")
	case responses.NoWish:
	}
	return d.note(ctx, Reply, m, letter, found, "reply")
}

// stop ends what a reply asks to end: the topic of the letter that it answers,
// or all advertising by mail where the letter was none, the words say so, or no
// letter is named and the sender is one of our contacts.
func (d *Desk) stop(ctx context.Context, m Mail, letter Letter, found bool, heard responses.Heard) (Outcome, error) {
	w := responses.Withdrawal{
		Subject: letter.subject(), Source: "reply", Wording: "reply/" + heard.Language,
		All: heard.Wish == responses.StopAll || !letter.Marketing,
	}
	if !found {
		owner, driver, err := d.owner(ctx, m.From)
		if err != nil {
			return "", err
		}
		if owner == 0 {
			return d.note(ctx, Doubtful, m, letter, false, "")
		}
		w.Subject, w.All = responses.Subject{Contact: owner, Driver: driver}, true
	}
	return d.leave(ctx, m, w)
}

// leave ends permissions, and then says that the mail was dealt with: whoever
// crashes in between does the first again, which is no harm.
func (d *Desk) leave(ctx context.Context, m Mail, w responses.Withdrawal) (Outcome, error) {
	w.Method, w.Reference = string(consent.ByMail), cut(m.MessageID)
	if err := d.o.Leaver.Leave(ctx, w); err != nil {
		return "", err
	}
	return d.take(ctx, Left, Fact{Digest: m.Digest})
}

// asked finds the signed token by which a mail asks for an end: in whom it was
// for, or in its subject.
func (d *Desk) asked(m Mail) (responses.Subject, bool) {
	for _, text := range append([]string{m.Subject}, m.To...) {
		if s, ok := d.token(responses.ForReply, text); ok {
			return s, true
		}
	}
	return responses.Subject{}, false
}

// token finds a token of a purpose in a text: the words of it that could be
// one, at most a few.
func (d *Desk) token(p responses.Purpose, text string) (responses.Subject, bool) {
	const least, tries = 28, 20
	n := 0
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
		if len(word) < least {
			continue
		}
		if n++; n > tries {
			break
		}
		if s, err := d.o.Tokens.Read(p, word); err == nil {
			return s, true
		}
	}
	return responses.Subject{}, false
}

// answered finds the letter that a mail answers: by the signed return path it
// was sent to, or by the ID it names together with a sender who is the one that
// letter went to. An ID alone proves nothing, since it can be guessed.
func (d *Desk) answered(ctx context.Context, m Mail) (Letter, bool, error) {
	for _, to := range m.To {
		if s, ok := d.token(responses.ForReturn, to); ok {
			return d.letter(ctx, s.Run, s.Contact)
		}
	}
	const tries = 10
	for i, id := range m.Answers {
		if i >= tries {
			break
		}
		left, _, _ := strings.Cut(id, "@")
		run, contact, err := rapport.ParseDeliveryID(left)
		if err != nil {
			continue
		}
		letter, found, err := d.letter(ctx, run, contact)
		if err != nil {
			return Letter{}, false, err
		}
		if !found || m.From == "" {
			continue
		}
		if letter.Address == m.From {
			return letter, true, nil
		}
		owner, _, err := d.owner(ctx, m.From)
		if err != nil {
			return Letter{}, false, err
		}
		if owner == contact {
			return letter, true, nil
		}
	}
	return Letter{}, false, nil
}

func (d *Desk) letter(ctx context.Context, run, contact int64) (Letter, bool, error) {
	l, err := d.o.Store.MailLetter(ctx, run, contact)
	switch {
	case err == nil:
		return l, true, nil
	case rapport.KindOf(err) == rapport.NotFound:
		return Letter{}, false, nil
	}
	return Letter{}, false, fmt.Errorf("find a letter: %w", err)
}

// owner finds the contact with a mail address, and the driver that reaches it.
func (d *Desk) owner(ctx context.Context, address string) (contact int64, driver string, err error) {
	if address == "" {
		return 0, "", nil
	}
	for _, x := range d.o.Drivers.Drivers() {
		if x.Address.Kind == channels.Email.Kind {
			driver = x.Name
		}
	}
	contact, err = d.o.Store.MailOwner(ctx, channels.Email.Kind, address)
	if rapport.KindOf(err) == rapport.NotFound || driver == "" {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("find the sender of a mail: %w", err)
	}
	return contact, driver, nil
}

// note writes down that something came back to a letter.
func (d *Desk) note(ctx context.Context, out Outcome, m Mail, l Letter, found bool, detail string) (Outcome, error) {
	f := Fact{Digest: m.Digest}
	if found {
		f.Event = &responses.Event{
			Kind: responses.Replied, Run: l.Run, Contact: l.Contact, Machine: m.Automatic, Detail: detail,
			At: d.o.Now(), Dedupe: "mail." + m.Digest,
		}
		if !m.Automatic {
			if err := d.proved(ctx, l, true); err != nil {
				return "", err
			}
		}
	}
	return d.take(ctx, out, f)
}

// take writes down that a mail was dealt with, and with what outcome: where
// somebody else has dealt with a copy at the same moment, it was a repetition.
func (d *Desk) take(ctx context.Context, out Outcome, f Fact) (Outcome, error) {
	f.At = d.o.Now()
	taken, err := d.o.Store.TakeMail(ctx, f)
	if err != nil {
		return "", fmt.Errorf("note a mail: %w", err)
	}
	if !taken.First {
		out = Repeated
	}
	return out, nil
}

// proved settles a doubt about a letter by what came back to it.
func (d *Desk) proved(ctx context.Context, l Letter, arrived bool) error {
	if d.o.Proved == nil || l.State != outbox.Uncertain {
		return nil
	}
	if err := d.o.Proved(ctx, l.Run, l.Contact, arrived); err != nil && rapport.KindOf(err) != rapport.Conflict {
		return fmt.Errorf("settle a doubt: %w", err)
	}
	return nil
}

// afterRe is a subject without what mail programs put before it.
func afterRe(subject string) string {
	for {
		before, rest, ok := strings.Cut(subject, ":")
		if !ok || len(strings.TrimSpace(before)) > 4 {
			return subject
		}
		subject = rest
	}
}

// cut bounds an ID that is kept as evidence.
func cut(id string) string {
	const most = 200
	return strings.ToValidUTF8(id[:min(len(id), most)], "")
}
