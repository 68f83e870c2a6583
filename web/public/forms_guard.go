package public

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
	"time"

	"rapport/internal/throttle"
	"rapport/responses"
)

// How old a form must be before it may come back (nobody fills one in faster),
// how old it may be, and how long somebody waits whose browser computes nothing.
const (
	minAge     = 2 * time.Second
	maxAge     = 12 * time.Hour
	patientAge = 20 * time.Second
)

// The two sorts of tickets: of a form as it is, and of one whose sender waits
// instead of computing.
const (
	prompt  = "prompt"
	patient = "patient"
)

// judgement is what a ticket is worth.
type judgement uint8

const (
	unknown    judgement = iota // not ours, of another form, too old or used
	early                       // ours, and too new
	quickReady                  // may come back
	waited                      // may come back, and its sender has waited
)

// tickets are signed notes of when a form was shown: each is good once.
type tickets struct {
	tokens *responses.Tokens
	now    func() time.Time
	number func() int64

	mu          sync.Mutex
	spent, last map[int64]struct{} // the younger and the older half of those that came back
}

// mostSpent bounds each half of the tickets that are remembered.
const mostSpent = 50_000

func newTickets(tokens *responses.Tokens, now func() time.Time, number func() int64) *tickets {
	return &tickets{tokens: tokens, now: now, number: number, spent: map[int64]struct{}{}}
}

func (t *tickets) issue(form, sort string) string {
	return t.tokens.Sign(responses.ForForm, responses.Subject{Run: t.now().Unix(), Contact: t.number(), Driver: sort, Topic: form})
}

func (t *tickets) judge(form, ticket string) judgement {
	s, err := t.tokens.Read(responses.ForForm, ticket)
	if err != nil || s.Topic != form {
		return unknown
	}
	age := t.now().Sub(time.Unix(s.Run, 0))
	switch {
	case age > maxAge || age < -minAge || t.used(s.Contact):
		return unknown
	case s.Driver == patient && age >= patientAge:
		return waited
	case s.Driver == patient || age < minAge:
		return early
	}
	return quickReady
}

// waits says whether the sender of a ticket waits instead of computing.
func (t *tickets) waits(ticket string) bool {
	s, err := t.tokens.Read(responses.ForForm, ticket)
	return err == nil && s.Driver == patient
}

func (t *tickets) used(number int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, a := t.spent[number]
	_, b := t.last[number]
	return a || b
}

// spend uses a ticket; false: it was used before.
func (t *tickets) spend(ticket string) bool {
	s, err := t.tokens.Read(responses.ForForm, ticket)
	if err != nil || t.used(s.Contact) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, twice := t.spent[s.Contact]; twice {
		return false
	}
	if len(t.spent) >= mostSpent {
		t.last, t.spent = t.spent, map[int64]struct{}{}
	}
	t.spent[s.Contact] = struct{}{}
	return true
}

// workBits is how hard the puzzle is: a hundred thousand hashes, a moment of a
// browser's time, which for a flood is what it costs.
const workBits = 17

// worked says whether the puzzle is solved: the SHA-256 of ticket, address and
// the answer begins with enough zero bits. Each address is a puzzle of its own.
func worked(e entry) bool {
	if e.Work == "" || len(e.Work) > 20 {
		return false
	}
	sum := sha256.Sum256([]byte(e.Ticket + "\n" + e.Address + "\n" + e.Work))
	return bits.LeadingZeros32(binary.BigEndian.Uint32(sum[:4])) >= workBits
}

// signUpRate is how often one network may sign up. A proxy that does not say for
// whom it speaks has no limit; a flood from everywhere is met by the letter of
// the day, which guards the mailboxes.
func signUpRate() throttle.Rate {
	return throttle.Rate{Burst: 20, Every: 3 * time.Minute, Most: 8192}
}

// full says whether the network of a connection has signed up too often.
func (d *doors) full(remote string) bool {
	from, ok := throttle.Network(remote)
	return ok && !d.networks.Allow(from)
}
