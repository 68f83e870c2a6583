package inbox

import (
	"context"
	"time"

	"rapport/outbox"
	"rapport/responses"
)

// Letter is the message that a mail answers or reports on.
type Letter struct {
	Run, Contact  int64
	Driver, Topic string
	Kind          string // of address
	Address       string // it went to; empty: its owner was erased
	Marketing     bool
	State         outbox.State
}

// subject is what the letter was about, for whoever ends it.
func (l Letter) subject() responses.Subject {
	return responses.Subject{Run: l.Run, Contact: l.Contact, Driver: l.Driver, Topic: l.Topic}
}

// Cursor is how far a folder of a mailbox has been read: all messages up to a
// UID, as long as the folder's UIDs are valid (RFC 9051 section 2.3.1.1).
type Cursor struct {
	Mailbox  string
	Validity uint32
	UID      uint32
}

// Fact is what a mail adds to what is known.
type Fact struct {
	Digest string
	At     time.Time
	Event  *responses.Event // what came back; nil: only that the mail was dealt with
	// Strike notes that the address of Kind and Hash was refused, if the event
	// is new.
	Strike     bool
	Kind, Hash string
}

// Taken is what became of a fact.
type Taken struct {
	First  bool // the mail was not known
	New    bool // and neither was its event
	Struck bool // nothing was written: the address was refused within a week before
}

// Store keeps what the mailboxes have told. Every method is one fact.
type Store interface {
	// MailLetter finds a message by its numbers; none is a NotFound error.
	MailLetter(ctx context.Context, run, contact int64) (Letter, error)
	// MailOwner finds the contact who has an address; none is a NotFound error.
	MailOwner(ctx context.Context, kind, address string) (int64, error)
	// MailTaken says whether a mail was dealt with.
	MailTaken(ctx context.Context, digest string) (bool, error)
	// TakeMail writes a fact, once for each digest.
	TakeMail(ctx context.Context, f Fact) (Taken, error)
	// MailCursor returns how far a mailbox was read; the zero Cursor, with its
	// name, for a new one.
	MailCursor(ctx context.Context, mailbox string) (Cursor, error)
	// PutMailCursor keeps how far a mailbox was read.
	PutMailCursor(ctx context.Context, c Cursor) error
	// ForgetMails forgets digests of mails that were dealt with before a moment.
	ForgetMails(ctx context.Context, before time.Time) (int64, error)
}
