package preferences

import (
	"testing"
	"time"

	"rapport/consent"
	"rapport/responses"
)

// TestDirect tells which "yes" a press of the button proves.
func TestDirect(t *testing.T) {
	said := func(driver, topic, address string, state consent.State) consent.Proof {
		return consent.Proof{Driver: driver, Topic: topic, State: state, Evidence: &consent.Evidence{Address: address}}
	}
	const anna = "anna@example.com"
	erased := said("mailer", "news", anna, consent.Granted)
	erased.Evidence = nil
	for name, c := range map[string]struct {
		driver, topic, letter string
		history               []consent.Proof
		want                  bool
	}{
		"said before, letter to the address":     {"mailer", "news", anna, []consent.Proof{said("mailer", "news", anna, consent.Confirmed)}, true},
		"said before, then no":                   {"mailer", "news", anna, []consent.Proof{said("mailer", "news", anna, consent.Granted), said("mailer", "news", "", consent.Objected)}, true},
		"asked and never confirmed":              {"mailer", "news", anna, []consent.Proof{said("mailer", "news", anna, consent.Requested)}, false},
		"never said":                             {"mailer", "news", anna, nil, false},
		"said for something else":                {"mailer", "news", anna, []consent.Proof{said("mailer", "offers", anna, consent.Granted)}, false},
		"said on another way":                    {"mailer", "news", anna, []consent.Proof{said("pigeon", "news", anna, consent.Granted)}, false},
		"said for another address":               {"mailer", "news", anna, []consent.Proof{said("mailer", "news", "old@example.com", consent.Granted)}, false},
		"said, and the evidence is erased":       {"mailer", "news", anna, []consent.Proof{erased}, false},
		"letter to another address":              {"mailer", "news", "old@example.com", []consent.Proof{said("mailer", "news", anna, consent.Granted)}, false},
		"letter nobody remembers":                {"mailer", "news", "", []consent.Proof{said("mailer", "news", anna, consent.Granted)}, false},
		"letter on another way":                  {"pigeon", "news", anna, []consent.Proof{said("pigeon", "news", anna, consent.Granted)}, false},
		"tracking, letter to the address":        {"mailer", consent.TopicTracking, anna, nil, true},
		"tracking, letter to another address":    {"mailer", consent.TopicTracking, "old@example.com", nil, false},
		"tracking, letter that nobody remembers": {"mailer", consent.TopicTracking, "", nil, false},
	} {
		k := known{subject: responses.Subject{Driver: "mailer"}, letter: c.letter, ledger: consent.Sheet{History: c.history}}
		if got := k.direct(c.driver, c.topic, anna); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestEndedYesIsNone: a "yes" whose end has come is none that stands.
func TestEndedYesIsNone(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	k := known{now: now, ledger: consent.Sheet{Standing: []consent.Current{
		{Driver: "mailer", Topic: "news", Answer: consent.Yes, Expires: now},
		{Driver: "mailer", Topic: "offers", Answer: consent.Yes, Expires: now.Add(time.Hour)},
	}}}
	if a, b, c := k.current("mailer", "news").Answer, k.current("mailer", "offers").Answer, k.current("mailer", "none").Answer; a != consent.None || b != consent.Yes || c != consent.None {
		t.Errorf("%q %q %q", a, b, c)
	}
}

// TestWiderPausesAreShown: a pause that was asked for by other means, of a whole
// way or of a topic on every way, is shown on the lines it holds; what is over
// is none.
func TestWiderPausesAreShown(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	s := &Service{}
	for name, c := range map[string]struct {
		preferences []consent.Preference
		want        time.Time
	}{
		"none":            {nil, time.Time{}},
		"the line":        {[]consent.Preference{{Driver: "mailer", Topic: "news", PausedUntil: in(30)}}, in(30)},
		"the way":         {[]consent.Preference{{Driver: "mailer", PausedUntil: in(60)}}, in(60)},
		"the topic":       {[]consent.Preference{{Topic: "news", PausedUntil: in(90)}}, in(90)},
		"the longest":     {[]consent.Preference{{Topic: "news", PausedUntil: in(30)}, {Driver: "mailer", PausedUntil: in(60)}}, in(60)},
		"another way":     {[]consent.Preference{{Driver: "pigeon", PausedUntil: in(30)}, {Topic: "offers", PausedUntil: in(30)}}, time.Time{}},
		"over":            {[]consent.Preference{{Driver: "mailer", PausedUntil: in(-1)}, {Driver: "mailer", Topic: "news", PausedUntil: now}}, time.Time{}},
		"all, at the top": {[]consent.Preference{{PausedUntil: in(30)}}, time.Time{}},
	} {
		l, _ := s.line(known{now: now, preferences: c.preferences}, Way{Driver: "mailer"}, consent.Topic{Name: "news", Kind: consent.Marketing})
		if !l.Paused.Equal(c.want) {
			t.Errorf("%s: paused until %s", name, l.Paused)
		}
	}
}
