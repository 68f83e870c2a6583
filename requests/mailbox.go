package requests

import "strings"

// Mailbox is the common spelling of all addresses that usually lead into one
// mailbox: lower case, without what follows a plus sign (RFC 5233), and without
// dots at the one large provider that says it does not look at them
// (support.google.com/mail/answer/7436150), under both of its names.
func Mailbox(address string) string {
	address = strings.ToLower(address)
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	local, _, _ := strings.Cut(address[:at], "+")
	domain := address[at:]
	if domain == "@gmail.com" || domain == "@googlemail.com" {
		local, domain = strings.ReplaceAll(local, ".", ""), "@gmail.com"
	}
	return local + domain
}
