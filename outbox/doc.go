// Package outbox is the one door through which every message leaves: the
// states of a delivery, the closed list of reasons, the gate that reads
// permission at the last moment (Admit) and the policy that turns the outcome
// of an attempt into the next state (Policy.Next).
//
// Its decisions are pure functions. It never renders, opens no connection and
// reads no clock; rows are moved by store, the walk is done by worker.
package outbox
