package requests

import (
	"context"
	"time"

	"rapport/consent"
	"rapport/contacts"
)

// Opening is a request on its way into the database.
type Opening struct {
	Request
	AddressKind string // kind of the address
	// Mailbox is the keyed fingerprint of the mailbox, however its address is
	// spelt, and of the kinds that share one letter a day. A letter to it after
	// Since ends the opening.
	Mailbox string
	Since   time.Time
	// Turns are fingerprints of which one must not have been taken after Since:
	// what one person can have sent to other people in a day. Empty: no bound.
	Turns []string
	// Fresh is the person made when nobody has the address.
	Fresh contacts.Row
	// Entries say "requested" for somebody who has not answered a topic yet.
	// Their Contact is filled in.
	Entries []consent.Entry
	// Repeated also opens for somebody who has all topics already.
	Repeated bool
}

// Opened is what became of an opening. Only whoever sends the letter may know.
type Opened uint8

// What becomes of an opening.
const (
	Started    Opened = iota // a row was made, and its letter may be sent
	Limited                  // the mailbox had its letter, or the person their turns
	Suppressed               // nobody may write to the address, or not unasked
	Subscribed               // the person has all topics already
	Elsewhere                // the address is one we cannot ask: not the person's primary one, or another person's
)

// Store keeps requests. Every method is one fact in one transaction.
type Store interface {
	// OpenRequest finds or makes the owner of the address, notes the letter of
	// the day, adds the row and the entries, in one durable transaction. Without
	// an address it is the person's primary one; but while a Move of theirs is
	// kept, the one they had before it. Where
	// it answers anything but Started nothing was written, but for Subscribed
	// with Repeated, where the letter is noted and the row returned has no ID.
	OpenRequest(ctx context.Context, o Opening) (Request, Opened, error)
	// Request finds a request; one that is gone is a NotFound error.
	Request(ctx context.Context, id int64) (Request, error)
	// NoteLetter notes the delivery that carries the letter, and with a time
	// also when it left and its Message-ID.
	NoteLetter(ctx context.Context, r Request) error
	// ConfirmRequest writes down the press of the button, durably, if it is the
	// first and the request has not expired; first says so. From then on a Move
	// and a SeeData are kept for as long again. The row returned is what stands.
	ConfirmRequest(ctx context.Context, id int64, c Confirmation) (r Request, first bool, err error)
	// NoteHandled notes that what was confirmed is done. A row that is gone
	// meanwhile is no error.
	NoteHandled(ctx context.Context, id int64, at time.Time) error
	// Unfinished lists at most limit requests that were asked or confirmed
	// before a moment and whose letter was not handed over, or which are
	// confirmed and not handled.
	Unfinished(ctx context.Context, before time.Time, limit int) ([]Request, error)
	// PruneRequests ends at most limit requests that have expired: what waits
	// for their confirmation expires in the ledger, contacts made for them go with their evidence, and the rows too.
	// Handled rows go when they have expired. It returns how many rows went.
	PruneRequests(ctx context.Context, now time.Time, salt func() ([]byte, error), limit int) (Pruned, error)
}

// Pruned is what a pruning took away.
type Pruned struct {
	Requests int // rows
	Expired  int // of them never confirmed
	Contacts int // people made for them
	Letters  int // notes of a letter of the day
}

// MoveStore gives an address to another person.
type MoveStore interface {
	// MoveAddress lets the person of a Move and the contact made for it change
	// addresses: the new one becomes the person's primary one of its kind, the
	// old one stays with the other contact, so that it can be told, and goes
	// with it. entries say anew, for the new address, what stands, and notice
	// permits to write to the old one about it; they are written in the same
	// durable transaction. Where the person has the new
	// address already nothing happens and moved is false.
	MoveAddress(ctx context.Context, r Request, kind string, entries []consent.Entry, notice consent.Entry) (moved bool, err error)
}

// Letter is one letter to somebody who asked.
type Letter struct {
	Template  string // name
	Topic     string // Topic or, of an invitation, consent.TopicInvitations
	Basis     consent.Basis
	Driver    string
	Channel   string // configured; empty: the first of the driver
	Contact   int64
	Reference string         // the same again is the same letter
	Data      map[string]any // data.<key> in the template
	Source    string         // why the letter may be sent, for the ledger
}

// Sender hands letters to the outbox.
type Sender interface {
	// Send returns the ID of the delivery. It may be repeated.
	Send(ctx context.Context, l Letter) (delivery string, err error)
	// Left says when a delivery left and under which Message-ID; the zero time
	// while it has not.
	Left(ctx context.Context, r Request) (messageID string, at time.Time, err error)
}
