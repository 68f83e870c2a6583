package channels_test

import (
	"strings"
	"testing"

	"rapport/channels"
)

func TestEmailAddresses(t *testing.T) {
	long := strings.Repeat("x", 64)
	for in, want := range map[string]string{
		"anna@example.com":                           "anna@example.com",
		"  Anna@Example.COM\t":                       "anna@example.com",
		"anna@müller.example":                        "anna@xn--mller-kva.example",
		"jose\u0301@example.com":                     "jos\u00e9@example.com",
		"anna@MÜLLER.example":                        "anna@xn--mller-kva.example",
		"anna@xn--mller-kva.example":                 "anna@xn--mller-kva.example",
		"anna@example.com.":                          "anna@example.com",
		"anna+news@mail.example.com":                 "anna+news@mail.example.com",
		"o'brien@example.ie":                         "o'brien@example.ie",
		"用户@例子.广告":                                   "用户@xn--fsqu00a.xn--4rr70v",
		long + "@example.com":                        long + "@example.com",
		long + "x@example.com":                       "",
		"":                                           "",
		"anna":                                       "",
		"@example.com":                               "",
		"anna@":                                      "",
		"anna@localhost":                             "",
		"anna@.com":                                  "",
		"anna@example..com":                          "",
		"anna@example.com..":                         "",
		"anna@exa mple.com":                          "",
		"an na@example.com":                          "",
		".anna@example.com":                          "",
		"anna.@example.com":                          "",
		"an..na@example.com":                         "",
		"anna@bob@example.com":                       "",
		"Anna <anna@example.com>":                    "",
		`"anna b"@example.com`:                       "",
		"anna@example.com,b@c.de":                    "",
		"anna@-example.com":                          "",
		"an\x00na@example.com":                       "",
		"anna@example.com\r\nBcc: x":                 "",
		"anna\r\n@example.com":                       "",
		"anna\u200b@example.com":                     "",
		"anna@127.0.0.1":                             "",
		"anna@\x95.example":                          "",
		"an\xffna@example.com":                       "",
		"anna@[127.0.0.1]":                           "",
		"a@" + strings.Repeat("x.", 130) + "example": "",
	} {
		checkNormal(t, channels.Email, in, want)
	}
}

func TestPhoneNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"+49 30 123456":           "+4930123456",
		"+49 (0) 30 123456":       "+4930123456",
		"+1-212-555-0123":         "+12125550123",
		" +4930123456 ":           "+4930123456",
		"+1 800 FLOWERS":          "",
		"+1 212 555 0123 ext. 5":  "",
		"+1 212 555 0123;5":       "",
		"+X000AA0000000000":       "",
		"030 123456":              "",
		"+49":                     "",
		"hello":                   "",
		"":                        "",
		"+1":                      "",
		"+4930123456789012345678": "",
	} {
		checkNormal(t, channels.Phone, in, want)
	}
}

func checkNormal(t *testing.T, kind channels.Address, in, want string) {
	t.Helper()
	got, err := kind.Normalize(in)
	if got != want || (err == nil) != (want != "") {
		t.Errorf("%s %q: %q, %v; want %q", kind.Kind, in, got, err, want)
	}
}

// FuzzEmail: what is normal stays as it is, and nothing that could leave the
// line of an SMTP command or a header is ever normal.
func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"anna@example.com", "Ä@müller.example.", "a@b@c.de", "x\r\n@y.z", "a@b..c", "\xff@x.y", "ẞ@ẞ.de", "a@xn--a.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkStable(t, channels.Email, text, 254) })
}

// FuzzPhone: what is normal stays as it is and is a plus with digits.
func FuzzPhone(f *testing.F) {
	for _, seed := range []string{"+4930123456", "+1 212 555 0123 ext. 5", "tel:+49-30-1", "+٤٩٣٠١٢٣٤٥٦", "+"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkStable(t, channels.Phone, text, 17) })
}

func checkStable(t *testing.T, kind channels.Address, text string, longest int) {
	t.Helper()
	first, err := kind.Normalize(text)
	if err != nil {
		if first != "" {
			t.Errorf("%q is refused and yet becomes %q", text, first)
		}
		return
	}
	again, err := kind.Normalize(first)
	if err != nil || again != first {
		t.Errorf("%q becomes %q, and that becomes %q (%v)", text, first, again, err)
	}
	if len(first) > longest || strings.ContainsAny(first, "\r\n\x00 \t<>,;:\"") {
		t.Errorf("%q becomes %q, which is not safe in a command", text, first)
	}
}

func TestDomainOfAnAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind     channels.Address
		to, want string
	}{
		{channels.Email, "anna@example.com", "example.com"},
		{channels.Email, "nobody", ""},
		{channels.Phone, "+4930123456", ""},
		{channels.Address{Kind: "room", Separator: ":"}, "a:b:c", "c"},
	} {
		if got := test.kind.Domain(test.to); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.kind.Kind, test.to, got, test.want)
		}
	}
}
