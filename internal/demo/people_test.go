package demo

import (
	"bytes"
	"encoding/csv"
	"reflect"
	"strings"
	"testing"
	"time"
)

func testDay() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }

func TestTheSamePeopleEveryTime(t *testing.T) {
	a, b := NewCrowd(7, testDay()), NewCrowd(7, testDay().Add(3*time.Hour))
	for i := range 50 {
		if p, q := a.Person(49-i), b.Person(49-i); !reflect.DeepEqual(p, q) {
			t.Fatalf("person %d is %+v and then %+v", 49-i, p, q)
		}
	}
	if p, q := a.Person(1), NewCrowd(8, testDay()).Person(1); p.FirstName+p.LastName+p.City == q.FirstName+q.LastName+q.City {
		t.Error("another seed makes the same person")
	}
}

// A thousand people have exactly the special cases that the constants say.
func TestShares(t *testing.T) {
	c := NewCrowd(1, testDay())
	got := map[string]int{}
	count := func(name string, is bool) {
		if is {
			got[name]++
		}
	}
	seen := map[string]bool{}
	for i := range thousand {
		p := c.Person(i)
		for _, a := range []string{p.ExternalID, p.Email, p.Chat} {
			if a != "" && seen[a] {
				t.Errorf("%s is given twice", a)
			}
			seen[a] = true
		}
		count("no email", p.Email == "")
		count("suppressed", p.Suppression != "")
		count("greylisted", strings.Contains(p.Email, markLater+"@"))
		count("unknown", strings.Contains(p.Email, markUnknown+"@"))
		count("lost", strings.Contains(p.Email, markLost+"@"))
		count("cut", strings.Contains(p.Email, markCut+"@"))
		count("utf8", strings.HasPrefix(p.Email, "grüße."))
		count("idn", strings.HasSuffix(p.Email, "@münchen.example.com"))
		count("chat", p.Chat != "")
		count("chat unknown", strings.Contains(p.Chat, markUnknown+"@"))
		count("chat lost", strings.Contains(p.Chat, markLost+"@"))
		count("chat slow", strings.Contains(p.Chat, markSlow+"@"))
		count("hook later", strings.HasSuffix(p.Hook, markLater))
		count("hook invalid", strings.HasSuffix(p.Hook, markInvalid))
		count("hook lost", strings.HasSuffix(p.Hook, markLost))
		count("no first name", p.FirstName == "")
		count("long name", len(p.LastName) > 50)
		count("no locale", p.Locale == "")
		count("hook pending", p.Consents[2] == "pending")
		count("hook withdrawn", p.Consents[2] == "withdrawn")
		count("hook none", p.Consents[2] == "")
		for _, l := range []string{"en", "de", "fr", "es", "pl", "tr", "ja"} {
			count("speaks "+l, strings.HasPrefix(p.Locale, l))
		}
	}
	for name, want := range map[string]int{
		"no email": shareNoEmail, "suppressed": shareSuppressed, "greylisted": shareGreylisted, "unknown": shareUnknown,
		"lost": shareLostReply, "cut": shareCut, "utf8": shareUTF8, "idn": shareIDN,
		"chat": shareChat, "chat unknown": shareChatUnknown, "chat lost": shareChatLost, "chat slow": shareChatSlow,
		"hook later": shareHookLater, "hook invalid": shareHookInvalid, "hook lost": shareHookLost,
		"no first name": shareNoFirstName, "long name": shareLongName, "no locale": shareNoLocale,
		"hook pending": sharePending, "hook withdrawn": shareWithdrawn, "hook none": shareNoConsent,
	} {
		if got[name] != want {
			t.Errorf("%s: %d of a thousand, want %d", name, got[name], want)
		}
	}
	for _, l := range []string{"en", "de", "fr", "es", "pl", "tr", "ja"} {
		if got["speaks "+l] < 30 {
			t.Errorf("only %d of a thousand speak %s", got["speaks "+l], l)
		}
	}
}

func TestContactsFile(t *testing.T) {
	c := NewCrowd(1, testDay())
	var file bytes.Buffer
	if err := c.WriteContacts(&file, 2500); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2501 {
		t.Errorf("the file has %d rows, want a header and 2500", len(rows))
	}
	for _, row := range rows[1:] {
		for _, address := range row[3:5] {
			if address != "" && !strings.Contains(address+" ", "example.com ") && !strings.Contains(address+" ", "example.org ") && !strings.Contains(address+" ", "example.net ") {
				t.Errorf("%s does not stand under a domain for examples", address)
			}
		}
	}
}

func TestSuppressionsFile(t *testing.T) {
	c := NewCrowd(1, testDay())
	var file bytes.Buffer
	if err := c.WriteSuppressions(&file, 2000); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+2*shareSuppressed {
		t.Errorf("%d rows, want a header and %d", len(rows), 2*shareSuppressed)
	}
}
