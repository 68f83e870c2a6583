// Package imap fetches the mails of a mailbox (RFC 3501 and 9051) and hands
// each to whoever deals with it: at once where the server says so (IDLE), and
// by looking again and again where it does not.
//
// It remembers how far it has come by UIDVALIDITY and UID, so that a restart
// goes on where it stood. What has been dealt with is moved to a folder, or
// marked as read; what people have to read stays where it is and as it is. It
// deletes nothing that has no copy, reads at most so much of a mail, and decides
// nothing about what a mail means.
package imap
