// Package rapport holds the words that every room of the house shares: the
// kinds of error, identifiers and the acting person.
//
// The house has one direction. A person comes in by a door (cmd/rapport, web),
// the door calls a service (campaigns, contacts, consent, templates), the
// service writes rows (store), the machine room (worker) rings for them, and
// each message leaves through outbox and one of the channels. What comes back
// enters by responses. The database is the truth; the queue is only a bell.
//
// Who may import whom is drawn in docs/architecture.md and held by a test in
// internal/archtest. This package imports nothing of the house, opens nothing
// and decides nothing.
package rapport
