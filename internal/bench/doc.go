// Package bench measures Rapport on the machine it runs on: it invents people,
// imports them, counts a segment, plans and sends a campaign to a mail server
// of its own beside it, and says what each of these took. Every message is
// counted at the receiver, and a run whose account does not agree with the
// receiver's is a failure whatever its speed.
//
// What sends is a process of its own, started as an operator would start it,
// so that neither the measuring nor the receiver is charged to it.
//
// It never writes to anybody: receivers are its own, on the loopback. It
// refuses a database that holds people already.
package bench
