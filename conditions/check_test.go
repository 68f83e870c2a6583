package conditions_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rapport"
	"rapport/conditions"
)

var update = flag.Bool("update", false, "write golden files")

func schema() conditions.Schema {
	return conditions.Schema{
		Attributes: map[string]conditions.Type{
			"city": "text", "tier": "text", "points": "number", "spent": "number", "vip": "bool",
			"birthday": "date", "voucher_until": "date", "last_order": "time", "seen": "time",
			"prefs": "json", "first-name": "text", "größe": "number",
		},
		Addresses: []string{"email", "phone", "slack"},
		Drivers:   []string{"email", "slack"},
		Topics:    []string{"newsletter", "offers"},
		Campaigns: []string{"spring", "autumn-offers"},
		Events:    []string{"order.placed", "points.earned"},
	}
}

// TestSentences compares every complaint with testdata/mistakes.txt: blocks of
// a condition, a line "->" and what a person sees.
func TestSentences(t *testing.T) {
	path := filepath.Join("testdata", "mistakes.txt")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for block := range strings.SplitSeq(strings.TrimSuffix(string(want), "\n"), "\n\n") {
		source, _, _ := strings.Cut(block, "\n->\n")
		c, err := conditions.Check(source, schema())
		switch {
		case err == nil:
			t.Errorf("no complaint about %s: %#v", source, c.Tree())
		case rapport.KindOf(err) != rapport.Invalid:
			t.Errorf("%s: kind is %v: %v", source, rapport.KindOf(err), err)
		}
		if got.Len() > 0 {
			got.WriteString("\n")
		}
		got.WriteString(source + "\n->\n" + errorText(err) + "\n")
	}
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != string(want) && !*update {
		t.Errorf("the sentences changed; run with -update and read the difference")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLimits(t *testing.T) {
	long := func(n int) string { return strings.TrimSuffix(strings.Repeat(`contact.vip || `, n), " || ") }
	list := func(n int) string {
		return "contact.points in [" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]"
	}
	for name, c := range map[string]struct {
		source, complaint string
	}{
		"largest list":       {list(1000), ""},
		"list too long":      {list(1001), "more than 1000 values"},
		"many parts":         {long(250), ""},
		"too many parts":     {long(251), "more than 500 parts"},
		"source too long":    {strings.Repeat(" ", 16<<10) + "true", "longer than 16 KiB"},
		"deep":               {strings.Repeat("!", 2) + "contact.vip", ""},
		"deep brackets":      {strings.Repeat("(", 5000) + "true" + strings.Repeat(")", 5000), "nested too deeply"},
		"deep sum":           {strings.Repeat("1 + ", 39) + "1 > 0", ""},
		"too deep sum":       {strings.Repeat("1 + ", 45) + "1 > 0", "nested more than 40 levels"},
		"deepest choice":     {strings.Repeat("true ? true : ", 40) + "true", ""},
		"overflow":           {strings.Repeat("contact.points * ", 30) + "1.0 > 0", "leave the range of numbers"},
		"underflow":          {strings.Repeat("1.0 / contact.points / ", 12) + "1.0 > 0", "leave the range of numbers"},
		"products of counts": {strings.Repeat("event(\"order.placed\") * ", 12) + "1.0 > 0", ""},
		"large factor":       {"contact.points * 1e300 > 0", "leave the range of numbers"},
		"not UTF-8":          {"contact.city == \"\xff\"", "not UTF-8"},
		"most moments":       {"(now - contact.seen) + (now - contact.seen) > duration(\"1h\")", ""},
		"too many moments":   {"(now-contact.seen)+(now-contact.seen)+(now-contact.seen)+(now-contact.seen)+(now-contact.seen) > duration(\"1h\")", "too many moments"},
		"number too exact":   {"contact.points > 9007199254740992", "exact up to"},
		"number rounded":     {"contact.points > 9007199254740992.0", ""},
		"number past 64bit":  {"contact.points > 99999999999999999999", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := conditions.Check(c.source, schema())
			if c.complaint == "" && err != nil || !strings.Contains(errorText(err), c.complaint) {
				t.Errorf("got %v, want %q", err, c.complaint)
			}
			if len(errorText(err)) > 1000 {
				t.Errorf("the complaint has %d bytes", len(errorText(err)))
			}
		})
	}
}

func TestUses(t *testing.T) {
	c, err := conditions.Check(`contact.city == "x" && (contact.email != "" || has(contact.points)) && consent("email", "offers") && opened("spring") && event("points.earned") + event("order.placed") > 1 && event("order.placed") < 9 && anniversary(contact.birthday) && contact.city != contact.tier`, schema())
	if err != nil {
		t.Fatal(err)
	}
	want := conditions.Uses{
		Attributes: []string{"birthday", "city", "points", "tier"}, Addresses: []string{"email"},
		Topics: []string{"offers"}, Campaigns: []string{"spring"}, Events: []string{"order.placed", "points.earned"}, Today: true,
	}
	if !reflect.DeepEqual(c.Uses(), want) {
		t.Errorf("got %+v", c.Uses())
	}
	zoned, err := conditions.Check(`anniversary(contact.birthday, "Europe/Berlin")`, schema())
	if err != nil || zoned.Uses().Today {
		t.Errorf("a given zone needs no zone of the contact: %+v, %v", zoned.Uses(), err)
	}
}

func TestCelebrates(t *testing.T) {
	for day, want := range map[string][]string{
		"2026-02-28": {"02-28", "02-29"}, "2024-02-28": {"02-28"}, "2024-02-29": {"02-29"},
		"2026-12-31": {"12-31"}, "2100-02-28": {"02-28", "02-29"}, "2000-02-28": {"02-28"},
	} {
		d, err := conditions.ParseDay(day)
		if err != nil || d.String() != day || !slices.Equal(d.Celebrates(), want) {
			t.Errorf("%s: %v %v, %v", day, d, d.Celebrates(), err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		`contact.city == "Berlin" && contact.points >= 500`, `contact.last_order < now - duration("720h")`,
		`consent("email", "offers") || !has(contact.birthday)`, `consent_expires("email", "offers", duration("720h"))`, `anniversary(contact.birthday, "Europe/Berlin")`,
		"contact.`first-name`.lowerAscii().endsWith(\"a\")", `contact.tier in ["gold"] ? -contact.points / 2 > 1 : true`,
		`event("order.placed", duration("2160h")) >= 2`, `(((`, "\"", `contact.a.b.c`, `[1,2][0]`, `{"a":1}.a`, `contact{}`, `1u == 2`, `b"x" == 'y'`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		c, err := conditions.Check(source, schema())
		if err != nil {
			if rapport.KindOf(err) != rapport.Invalid {
				t.Fatalf("%q: %v", source, err)
			}
			return
		}
		if _, err := c.Eval(t.Context(), &conditions.Person{}, now); err != nil {
			t.Fatalf("%q: %v", source, err)
		}
	})
}
