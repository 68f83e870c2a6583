package contacts_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/store/storetest"
)

func history(t *testing.T, h *storetest.House, file string, o contacts.ImportOptions) contacts.Report {
	t.Helper()
	rep, err := h.Contacts.ImportHistory(t.Context(), storetest.File(file), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// answerOf is what stands for somebody about news.
func answerOf(t *testing.T, h *storetest.House, who string) consent.Current {
	t.Helper()
	c, err := h.Contacts.Get(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	sheet, err := h.Consent.Show(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range sheet.Standing {
		if x.Topic == "news" {
			return x
		}
	}
	return consent.Current{}
}

func suppressedAs(t *testing.T, h *storetest.House, address string) string {
	t.Helper()
	x, _, err := h.Consent.Suppressed(t.Context(), "email", address)
	if err != nil {
		t.Fatal(err)
	}
	return x.Reason
}

const past = `email,event,at,driver,topic,source,ip,reference,detail
anna@example.com,granted,2020-01-01T10:00:00Z,mailer,news,form,192.0.2.7,,
anna@example.com,withdrawn,2021-01-01,mailer,news,,,mail 17,
anna@example.com,confirmed,2022-01-01 10:00:00,mailer,news,form v2,192.0.2.8,,
ben@example.com,confirmed,2022-01-01,mailer,news,form,,,
ben@example.com,complained,2023-05-01,mailer,news,,,,feedback loop
cleo@example.com,bounced,2023-05-01,mailer,,,,,550 5.1.1
dora@example.com,complained,2021-05-01,mailer,,,,,
dora@example.com,confirmed,2022-05-01,mailer,news,form,,,
emil@example.com,granted,,mailer,news,form,,,
`

func TestHistory(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := history(t, h, past, contacts.ImportOptions{})
	if rep.Rows != 9 || rep.Created != 5 || rep.Errors != 0 || rep.History["recorded"] != 7 || rep.History["suppressed"] != 2 || rep.History["older"] != 1 {
		t.Fatalf("%+v", rep)
	}
	for who, want := range map[string]consent.Answer{"anna@example.com": consent.Yes, "ben@example.com": consent.No, "cleo@example.com": consent.None, "dora@example.com": consent.Yes, "emil@example.com": consent.Yes} {
		if got := answerOf(t, h, who); got.Answer != want {
			t.Errorf("%s: %+v, want %q", who, got, want)
		}
	}
	for address, want := range map[string]string{"anna@example.com": "", "ben@example.com": consent.Complaint, "cleo@example.com": consent.HardBounce, "dora@example.com": ""} {
		if got := suppressedAs(t, h, address); got != want {
			t.Errorf("%s is suppressed as %q, want %q", address, got, want)
		}
	}
	c, _ := h.Contacts.Get(t.Context(), "anna@example.com")
	sheet, err := h.Consent.Show(t.Context(), c.ID)
	if err != nil || len(sheet.History) != 3 {
		t.Fatal(sheet, err)
	}
	last := sheet.History[2]
	if last.State != consent.Confirmed || !last.At.Equal(time.Date(2022, 1, 1, 10, 0, 0, 0, time.UTC)) || !last.RecordedAt.After(last.At) ||
		last.Evidence.Source != "form v2" || last.Evidence.IP != "192.0.2.8" || last.Evidence.Method != consent.ByImport || !strings.HasSuffix(last.Evidence.Reference, ":4") {
		t.Errorf("%+v %+v", last, last.Evidence)
	}
	if ref := sheet.History[1].Evidence.Reference; !strings.Contains(ref, ":3; mail 17") {
		t.Error(ref)
	}
	x, _, _ := h.Consent.Suppressed(t.Context(), "email", "cleo@example.com")
	if x.At.Year() != 2023 || x.RecordedAt.Year() < 2024 || x.Detail != "550 5.1.1" || !strings.HasSuffix(x.Reference, ":7") {
		t.Errorf("%+v", x)
	}
	// The same file again, and the same lines in another file, change nothing.
	for _, again := range []string{past, past + "emil@example.com,withdrawn,2019-01-01,mailer,news,,,,\n"} {
		rep = history(t, h, again, contacts.ImportOptions{})
		if rep.History["recorded"] > 1 || rep.History["suppressed"] != 0 {
			t.Errorf("again: %+v", rep)
		}
	}
	// Emil's "yes" had no time, so that the "no" is heard however old it is.
	if got := answerOf(t, h, "emil@example.com"); got.Answer != consent.No {
		t.Errorf("%+v", got)
	}
	if got := answerOf(t, h, "anna@example.com"); got.Answer != consent.Yes {
		t.Errorf("%+v", got)
	}
}

// A "yes" without a time is one whatever word it has: a "no" that comes in
// another file is heard, however old it is.
func TestAYesWithoutATimeOutlivesNoNo(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	for _, word := range []string{"granted", "confirmed"} {
		address := word + "@example.com"
		history(t, h, "email,event,at,driver,topic,source\n"+address+","+word+",,mailer,news,form\n", contacts.ImportOptions{})
		if got := answerOf(t, h, address); got.Answer != consent.Yes {
			t.Fatalf("%s: %+v", word, got)
		}
		history(t, h, "email,event,at,driver,topic,source\n"+address+",withdrawn,2024-01-01,mailer,news,\n", contacts.ImportOptions{})
		if got := answerOf(t, h, address); got.Answer != consent.No {
			t.Errorf("%s: %+v", word, got)
		}
	}
}

func TestHistoryThatIsRefused(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := history(t, h, `email,event,at,driver,topic,source,basis
a@example.com,liked,2020-01-01,mailer,news,form,
a@example.com,granted,1.2.2020,mailer,news,form,
a@example.com,granted,2199-01-01,mailer,news,form,
a@example.com,granted,2020-01-01,owl,news,form,
a@example.com,granted,2020-01-01,mailer,nows,form,
a@example.com,granted,2020-01-01,mailer,,form,
a@example.com,granted,2020-01-01,mailer,news,form,mood
,granted,2020-01-01,mailer,news,form,
a@example.com,granted,2020-01-01,mailer,news,,
`, contacts.ImportOptions{})
	if rep.Errors != 8 || rep.History["refused"] != 1 || len(rep.Listed) != 8 || rep.Listed[0].Line != 2 {
		t.Fatalf("%+v", rep)
	}
	if got := answerOf(t, h, "a@example.com"); got.Answer != consent.None {
		t.Errorf("a yes without a source is %+v", got)
	}
	for _, c := range []struct{ file, part string }{{"email,at\n", "named event"}, {"event,at\n", "who a row is about"}, {"email,event,event\n", "two columns"}} {
		_, err := h.Contacts.ImportHistory(t.Context(), storetest.File(c.file), contacts.ImportOptions{})
		if err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%q: %v", c.file, err)
		}
	}
}

// TestTheNewestActDecides compares random histories, cut into files and put
// in any order, with the model: the last dated act, of two at once the "no".
func TestTheNewestActDecides(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	r := rand.New(rand.NewPCG(7, 11))
	const people = 40
	want := make([]consent.Answer, people)
	var lines []string
	for i := range people {
		newest := -1
		for range 1 + r.IntN(6) {
			day, event := r.IntN(1000), []string{"granted", "confirmed", "withdrawn", "objected"}[r.IntN(4)]
			answer := consent.Yes
			if event == "withdrawn" || event == "objected" {
				answer = consent.No
			}
			if day > newest || day == newest && answer == consent.No {
				newest, want[i] = day, answer
			}
			lines = append(lines, fmt.Sprintf("p%d@example.com,%s,%s,mailer,news,form\n", i, event, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, day).Format(time.RFC3339)))
		}
	}
	for round := range 3 {
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		for rest := lines; len(rest) > 0; {
			n := min(1+r.IntN(25), len(rest))
			history(t, h, "email,event,at,driver,topic,source\n"+strings.Join(rest[:n], ""), contacts.ImportOptions{})
			rest = rest[n:]
		}
		for i := range people {
			if got := answerOf(t, h, fmt.Sprintf("p%d@example.com", i)); got.Answer != want[i] {
				t.Fatalf("round %d: person %d is %+v, want %q", round, i, got, want[i])
			}
		}
	}
}

func TestHistoryDryRun(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := history(t, h, past, contacts.ImportOptions{DryRun: true})
	if rep.Rows != 9 || rep.History["recorded"] != 7 || rep.History["suppressed"] != 2 {
		t.Fatalf("%+v", rep)
	}
	if list, err := h.Contacts.List(t.Context(), contacts.Page{Limit: 10}); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if got := suppressedAs(t, h, "cleo@example.com"); got != "" {
		t.Error(got)
	}
}
