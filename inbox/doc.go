// Package inbox reads the mailboxes that answers come back to: letters that
// ask to stop (List-Unsubscribe by mail, a reply "STOP" in many languages),
// reports of non-delivery (RFC 3464) and complaints (RFC 5965). Each mail
// counts once, however often and in however many mailboxes it lies.
//
// Read takes a mail apart, Desk decides what it means and does it. Fetching
// mails is the work of inbox/imap.
//
// It never answers a mail, so that it can be no part of a loop, never gives a
// permission, and believes what a mail says about a person only by a signed
// token, or where no more than the end of advertising follows. It keeps no text
// of a mail: what people wrote stays in the mailbox, for people to read.
package inbox
