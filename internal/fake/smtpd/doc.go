// Package smtpd is a real small SMTP server that does what a script tells it:
// the mail catcher of the demo, the receiver of the tests and the fault rig, and
// the sink of the benchmarks.
//
// Without a script it is a strict and fast receiver (RFC 5321 with PIPELINING,
// 8BITMIME, SMTPUTF8, SIZE, DSN, ENHANCEDSTATUSCODES, STARTTLS and AUTH, each of
// which can be missing or broken). With a script it can refuse, wait, drip, cut
// the connection or fall silent at every stage, by recipient, session or
// attempt. What it took is in a journal, the mails are in a bounded mailbox, and
// Pages shows them to a browser.
//
// It refuses to be a mail server: it relays nothing, stores nothing on disk,
// checks no sender, and listens on loopback unless told otherwise. It is strict
// where a sender's mistake should be seen: a bare LF or CR never ends a line, and
// a message that has one, or a line over the limit, is refused.
package smtpd
