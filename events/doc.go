// Package events keeps what happened to people in other systems: an order was
// placed, points were earned, a case was closed. Conditions count events from
// the moment they are stored on.
//
// An event has the sender's own ID, which is its idempotency key: the same event
// twice is once, whoever sends it, however often and from however many
// processes at once. Other content under a known ID is refused with a sentence.
// Names are learned from the events that come, or declared before; they stay when
// their events are gone, because conditions speak of them. There are at most
// [MaxNames] of them.
//
// [Service.Add] takes up to [MaxBatch] events in one transaction; [Service.Load]
// reads a stream of lines of any length in such batches. What is wrong with one
// event is told about that event, and the others are taken.
//
// # What it refuses
//
// It makes no contacts: an event about nobody who is known is refused, and so is
// a field that nobody knows. An event is never changed. It does not act on
// events, and does not look into their data.
package events
