package email

import (
	"testing"

	"rapport/channels"
)

// TestReturned: reports as servers write them, and what they do to an address.
func TestReturned(t *testing.T) {
	for _, c := range []struct {
		status, diagnostic string
		verdict            channels.Verdict
		strike             bool
	}{
		{"5.1.1", "smtp; 550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown in virtual mailbox table", channels.Rejected, false},
		{"5.1.1", "smtp;550-5.1.1 The email account that you tried to reach does not exist.", channels.Rejected, false},
		{"5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", channels.Rejected, false},
		{"5.1.1", "", channels.Rejected, false},
		{"5.0.0", "smtp; 550 5.1.1 unknown user", channels.Rejected, false},
		{"5.1.2", "X-Postfix; Host or domain name not found", channels.Rejected, false},
		{"5.0.0", "smtp; 550 something that nobody has written down", channels.Malformed, true},
		{"5.7.1", "smtp; 550 5.7.1 Message rejected as spam by content filter", channels.Broken, false},
		{"4.4.1", "smtp; connect to mx.example.com: Connection timed out", channels.Temporary, false},
		{"4.4.7", "smtp; 550 4.4.7 QUEUE.Expired; message expired", channels.Temporary, false},
		{"5.2.2", "smtp; 552 5.2.2 Mailbox full", channels.Temporary, false},
		{"", "", channels.Malformed, true},
		{"nonsense", "\x00\xff 999 9.9.9", channels.Malformed, true},
	} {
		f := returned(c.status, c.diagnostic)
		if f.Verdict != c.verdict || f.Strike != c.strike {
			t.Errorf("%s %q: %s, strike %t (%s, %s)", c.status, c.diagnostic, f.Verdict, f.Strike, f.Code, f.Reason)
		}
	}
}
