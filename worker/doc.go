// Package worker is the machine room: the bell (Asynq), the pump that rings
// it for whatever is due, the deliverer that walks each message from claim to
// outcome, the limits of channels, the spool of outcomes and the worker's seat.
//
// The database is the truth and the queue is only a bell: a task names a
// batch, the right to send is the claim, so a lost or a repeated task does no
// harm. The package never decides what a verdict means (outbox.Policy does),
// never says who may be written to (outbox.Admit does, in the database),
// writes no SQL, and knows no channel, template or campaign by name.
package worker
