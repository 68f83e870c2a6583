package channels

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
)

// Address is a kind of address: how it is called and how it is spelt.
type Address struct {
	Kind string // "email", "phone" …; also the CSV column and contact.<kind>
	// Normalize returns the canonical spelling, which is what is compared and
	// written to; the display form is kept beside it. The error is a sentence.
	Normalize func(string) (string, error)
	// Implied: every contact has one without being asked, its external ID or
	// else its own ID.
	Implied bool
}

// Email is an e-mail address: local@domain, folded to lower case, the domain
// as A-label (RFC 5321 section 2.3.11, RFC 5890). RFC 5321 lets a host tell
// local parts apart by case; none of the large ones does, and two contacts for
// one mailbox would be worse.
var Email = Address{Kind: "email", Normalize: normalizeEmail}

// Phone is a telephone number in E.164 form, "+4930123456".
var Phone = Address{Kind: "phone", Normalize: normalizePhone}

const (
	maxLocal   = 64  // RFC 5321 section 4.5.3.1.1
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3, less the brackets
)

func normalizeEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxAddress {
		return "", fmt.Errorf("the address is longer than %d octets", maxAddress)
	}
	at := strings.LastIndexByte(text, '@')
	if at <= 0 || at == len(text)-1 {
		return "", fmt.Errorf("%q is not an e-mail address; they look like anna@example.com", text)
	}
	local, domain := text[:at], text[at+1:]
	if err := checkLocal(local); err != nil {
		return "", fmt.Errorf("%q is not an e-mail address: %w", text, err)
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || !strings.Contains(ascii, ".") || strings.Contains(ascii, "..") {
		return "", fmt.Errorf("%q is not an e-mail address: %q is not a domain", text, domain)
	}
	return strings.ToLower(local) + "@" + strings.ToLower(ascii), nil
}

func checkLocal(local string) error {
	switch {
	case len(local) > maxLocal:
		return fmt.Errorf("what stands before the @ is longer than %d octets", maxLocal)
	case strings.HasPrefix(local, "."), strings.HasSuffix(local, "."), strings.Contains(local, ".."):
		return errors.New("a dot may not stand first, last or twice in a row")
	}
	for _, r := range local {
		if unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`"(),:;<>[\]@`, r) || unicode.Is(unicode.Cf, r) {
			return fmt.Errorf("%q may not stand before the @", r)
		}
	}
	return nil
}

func normalizePhone(text string) (string, error) {
	n, err := phonenumbers.Parse(strings.TrimSpace(text), "ZZ")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", fmt.Errorf("%q is not a telephone number; write it with its country code, like +49 30 123456", text)
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}
