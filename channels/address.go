package channels

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Address is a kind of address: how it is called and how it is spelt.
type Address struct {
	Kind string // "email", "phone" …; also the CSV column and contact.<kind>
	// Normalize returns the canonical spelling, which is what is compared and
	// written to; the display form is kept beside it. The error is a sentence.
	Normalize func(string) (string, error)
	// Separator stands before the receiving domain of an address, "@" in an
	// e-mail address; empty: addresses of this kind have no domain.
	Separator string
	// Rings: a message makes itself heard where it arrives, so people are left
	// alone at night unless the configuration says otherwise.
	Rings bool
	// Implied: every contact has one without being asked, its external ID or
	// else its own ID.
	Implied bool
}

// Email is an e-mail address: local@domain, folded to lower case, the domain
// as A-label (RFC 5321 section 2.3.11, RFC 5890) and signs outside ASCII in
// their composed form (RFC 6532 section 3.1). RFC 5321 lets a host tell
// local parts apart by case; none of the large ones does, and two contacts for
// one mailbox would be worse.
var Email = Address{Kind: "email", Normalize: normalizeEmail, Separator: "@"}

// Phone is a telephone number in E.164 form, "+4930123456".
var Phone = Address{Kind: "phone", Normalize: normalizePhone, Rings: true}

// Domain is who receives for a canonical address, as far as the kind tells:
// receivers judge and slow down senders by it. Empty: nobody in particular.
func (a Address) Domain(canonical string) string {
	if a.Separator == "" {
		return ""
	}
	i := strings.LastIndex(canonical, a.Separator)
	if i < 0 {
		return ""
	}
	return canonical[i+len(a.Separator):]
}

const (
	maxLocal   = 64  // RFC 5321 section 4.5.3.1.1
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3, less the brackets
	maxDomain  = 253 // RFC 1035 section 2.3.4, less the length octets of the root
	maxLabel   = 63  // RFC 1035 section 2.3.4
)

func normalizeEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxAddress {
		return "", fmt.Errorf("the address is longer than %d octets", maxAddress)
	}
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%q is not an e-mail address: it is not UTF-8", text)
	}
	at := strings.LastIndexByte(text, '@')
	if at <= 0 || at == len(text)-1 {
		return "", fmt.Errorf("%q is not an e-mail address; they look like anna@example.com", text)
	}
	local, domain := norm.NFC.String(strings.ToLower(text[:at])), text[at+1:]
	if err := checkLocal(local); err != nil {
		return "", fmt.Errorf("%q is not an e-mail address: %w", text, err)
	}
	ascii, ok := asciiDomain(strings.TrimSuffix(domain, "."))
	if !ok {
		return "", fmt.Errorf("%q is not an e-mail address: %q is not a domain", text, domain)
	}
	if len(local)+1+len(ascii) > maxAddress {
		return "", fmt.Errorf("the address is longer than %d octets", maxAddress)
	}
	return local + "@" + ascii, nil
}

// asciiDomain spells a domain as A-labels in lower case. It wants at least two
// labels, the last of which is not a number (RFC 3696 section 2), so an address
// literal without its brackets is none.
func asciiDomain(domain string) (string, bool) {
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || len(ascii) > maxDomain {
		return "", false
	}
	ascii = strings.ToLower(ascii)
	// Some A-labels are made that the same table does not read again.
	if again, err := idna.Lookup.ToASCII(ascii); err != nil || again != ascii {
		return "", false
	}
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel {
			return "", false
		}
	}
	last := labels[len(labels)-1]
	return ascii, len(labels) > 1 && strings.Trim(last, "0123456789") != ""
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
	text = strings.TrimSpace(text)
	number, ok := phoneNumber(text)
	// A number with letters or an extension is not one that can be written to,
	// and one that reads differently when it is read again is none at all.
	if again, same := phoneNumber(number); !ok || !same || again != number || strings.IndexFunc(text, unicode.IsLetter) >= 0 {
		return "", fmt.Errorf("%q is not a telephone number; write it with its country code, like +49 30 123456", text)
	}
	return number, nil
}

func phoneNumber(text string) (string, bool) {
	n, err := phonenumbers.Parse(text, "ZZ")
	if err != nil || n.GetExtension() != "" || !phonenumbers.IsPossibleNumber(n) {
		return "", false
	}
	return phonenumbers.Format(n, phonenumbers.E164), true
}
