// Package imapd is a mail server with mailboxes in memory that speaks IMAP on
// a free port of loopback, for tests. A test puts mails in, and sees what has
// become of them; it can cut all connections, or say less than other servers
// do (no IDLE, no MOVE).
//
// It is no mailbox to keep mail in, and takes no mail by SMTP.
package imapd
