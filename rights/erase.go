package rights

import (
	"context"
	"fmt"
	"io"
	"time"

	"rapport"
	"rapport/access"
	"rapport/contacts"
)

// Erasure is what a store needs to forget a person.
type Erasure struct {
	Actor string
	Note  access.Line                // of the audit log
	Salt  func() ([]byte, error)     // for the lines of the ledger that say so
	Mark  contacts.Fingerprint       // of addresses the person had; nil: only what is known by it
	Kind  func(driver string) string // the kind of address that driver reaches, "" for an unknown one

	// IdleSince makes it a Conflict if there was a sign of the person since
	// then, or they are restricted; zero: they are erased whatever was.
	IdleSince time.Time
}

// Had is an address a person had.
type Had struct{ Kind, Value string }

// Count is how many of something there were somewhere.
type Count struct {
	Where string `json:"where"`
	What  string `json:"what"`
	N     int64  `json:"n"`
}

// Hash is the keyed fingerprint of an address, which stays suppressed.
type Hash struct {
	Kind string `json:"kind"`
	Hash string `json:"hash"`
}

// Erased says what an erasure took away and what it left.
type Erased struct {
	Removed []Count
	Stopped int64   // deliveries that waited and are suppressed now
	Leaving int64   // deliveries that a worker had in hand: the gate stops what has not been offered yet
	Entries []int64 // lines of the ledger that say so
	Hashes  []Hash
	Copies  int // copies of the database in the data folder, which it does not reach
}

// EraseStore forgets people.
type EraseStore interface {
	// Forget removes all that names a person, in one durable transaction, and
	// after it what an engine keeps of removed rows, as far as it can do so by the
	// way. Numbers, states and times stay. An unknown contact is a NotFound
	// error.
	Forget(ctx context.Context, contact int64, e Erasure) (Erased, error)
	// Overwrite rewrites the database so that nothing of removed rows is left in
	// its files. It may take long and needs as much room as the database has.
	Overwrite(ctx context.Context) error
}

// Certificate says what an erasure did. It holds no value of the person.
type Certificate struct {
	Controller string    `json:"controller"`
	Number     int64     `json:"contact"` // the number the person had; it is never given out again
	ErasedAt   time.Time `json:"erased_at"`
	Actor      string    `json:"by"`
	Engine     string    `json:"database"`
	Removed    []Count   `json:"removed"`
	Stopped    int64     `json:"deliveries_stopped"`
	Leaving    int64     `json:"deliveries_in_hand"`
	Entries    []int64   `json:"ledger_entries"`
	Hashes     []Hash    `json:"suppressed_fingerprints"`
	Copies     int       `json:"copies_not_reached"` // of the database, in the data folder
}

// Erase forgets a person (GDPR article 17): the contact, addresses, attributes,
// answers, evidence, requests, preferences, and whatever else names them in
// deliveries, responses and notes. Every address they ever had stays suppressed
// by its fingerprint. What waited is suppressed at once, what a worker has in
// hand is stopped at the gate.
func (s *Service) Erase(ctx context.Context, contact int64) (Certificate, error) {
	return s.erase(ctx, contact, time.Time{})
}

func (s *Service) erase(ctx context.Context, contact int64, idleSince time.Time) (Certificate, error) {
	now := s.moment()
	note, err := s.line(ctx, "rights.erase", contact)
	if err != nil {
		return Certificate{}, err
	}
	actor := rapport.ActorOf(ctx).Name
	done, err := s.o.Store.Forget(ctx, contact, Erasure{
		Actor: actor, Note: note, Salt: s.salt, Mark: s.o.Fingerprint, Kind: s.kindOf, IdleSince: idleSince,
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("erase a contact: %w", err)
	}
	c := Certificate{
		Controller: s.o.Controller, Number: contact, ErasedAt: now, Actor: actor, Engine: s.o.Engine,
		Removed: done.Removed, Stopped: done.Stopped, Leaving: done.Leaving,
		Entries: append([]int64{}, done.Entries...), Hashes: append([]Hash{}, done.Hashes...),
	}
	c.Copies = done.Copies
	return c, nil
}

// Overwrite rewrites the database so that nothing of removed rows is left in
// its files; see EraseStore.
func (s *Service) Overwrite(ctx context.Context) error {
	if err := s.o.Access.Note(ctx, access.Act{Action: "rights.overwrite"}); err != nil {
		return err
	}
	return s.o.Store.Overwrite(ctx)
}

func (s *Service) kindOf(driver string) string {
	d, err := s.o.Drivers.Driver(driver)
	if err != nil {
		return ""
	}
	return d.Address.Kind
}

const saltBytes = 16

func (s *Service) salt() ([]byte, error) {
	b := make([]byte, saltBytes)
	if _, err := io.ReadFull(s.o.Random, b); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	return b, nil
}
