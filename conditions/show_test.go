package conditions_test

import (
	"reflect"
	"strings"
	"testing"

	"rapport/conditions"
)

// TestShowMeansTheSame: what is shown is a condition, and reads back as the
// same one.
func TestShowMeansTheSame(t *testing.T) {
	sources := []string{
		`contact["first-name"] == "A \"quoted\" ü\n" && contact["größe"] > -1.5`,
		`(contact.points + 2) * 3 - (4 - contact.spent) / 2 >= 1`,
		`!(contact.vip || has(contact.prefs)) && contact.city != "x"`,
		`(contact.vip ? contact.points : contact.spent) > 3`,
		`contact.vip ? has(contact.city) : !has(contact.email)`,
		`contact.last_order + duration("1h30m") < now - duration("720h") || contact.seen - contact.last_order > duration("1s")`,
		`contact.birthday < timestamp("2001-01-31T09:00:00.5Z") && contact.birthday in [date("1990-01-01"), date("1991-02-02")]`,
		`size(contact.city) > 3 && contact.city.lowerAscii().contains("er") && (contact.city == "a" || contact.city == "b")`,
		`consent_expires("email", "offers", duration("720h"))`,
		`consent("email", "offers") && !opened("spring", duration("48h")) && (clicked("spring") || received("autumn-offers"))`,
		`event("order.placed", duration("2160h")) >= 2 && (event("order.placed") - event("points.earned")) * 2 < 7`,
		`anniversary(contact.birthday, "Europe/Berlin") || days_until(contact.voucher_until) <= 3`,
		`contact.points in [1, 2.5, 1000000, 12345678901234567890.0] && true`,
	}
	for block := range strings.SplitSeq(strings.Join(blocks(t, guide(t), "cel"), "\n"), "\n") {
		if source, _, ok := strings.Cut(block, "//"); ok && strings.TrimSpace(source) != "" {
			sources = append(sources, source)
		}
	}
	for _, source := range sources {
		where := schema()
		if _, err := conditions.Check(source, where); err != nil {
			where = guideSchema()
		}
		c, err := conditions.Check(source, where)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		shown := conditions.Show(c.Tree())
		again, err := conditions.Check(shown, where)
		if err != nil {
			t.Errorf("%s is shown as %s: %v", source, shown, err)
			continue
		}
		if !reflect.DeepEqual(c.Tree(), again.Tree()) {
			t.Errorf("%s is shown as %s, which is another condition", source, shown)
		}
	}
}

func TestPartsAndTheirFields(t *testing.T) {
	c, err := conditions.Check(`contact.points * 2 > contact.spent && (contact.city == "x" || !has(contact.city)) && consent("email", "offers")`, schema())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range conditions.Parts(c.Tree()) {
		names := []string{}
		for _, f := range conditions.Fields(p) {
			names = append(names, f.Name)
		}
		got = append(got, conditions.Show(p)+" reads "+strings.Join(names, ","))
	}
	want := []string{
		`contact.points * 2 > contact.spent reads points,spent`, `contact.city == "x" reads city`, `!has(contact.city) reads city`,
		`consent("email", "offers") reads `,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the parts are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
