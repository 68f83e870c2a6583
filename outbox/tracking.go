package outbox

// What links in letters may tell about who follows them.
const (
	TrackPerson    = "person"    // who, when, which link
	TrackAggregate = "aggregate" // counted, nobody named
	TrackOff       = "off"       // as the author wrote them
)

// ByOwnConsent is the basis that asks each person: only whoever has said yes to
// being tracked is.
const ByOwnConsent = "consent"

// Tracking is what an installation permits letters to tell about people.
type Tracking struct {
	Mode    string `json:"mode"`             // the most there is: person, aggregate or off
	Basis   string `json:"basis"`            // of person: consent, or the ground that is stated for everybody
	Reason  string `json:"reason,omitempty"` // why that ground holds; always there when it is not consent
	Without string `json:"without"`          // what letters to all others have: aggregate or off
}

// lower is how little a word tells; whatever is not known tells most.
func lower(word string) int {
	switch word {
	case TrackOff:
		return 0
	case TrackAggregate:
		return 1
	}
	return 2
}

// For is what holds for a run that asks for a word of its own ("": none): a
// run may lower what the installation permits, and never raise it.
func (t Tracking) For(asked string) string {
	mode := t.Mode
	if mode == "" {
		mode = TrackPerson
	}
	if asked != "" && lower(asked) < lower(mode) {
		return asked
	}
	return mode
}

// Links is what holds for one letter of a run: named says whether the person's
// consent, or the stated ground, permits links that lead to the person.
func (t Tracking) Links(asked string, named bool) string {
	mode := t.For(asked)
	if mode != TrackPerson || named {
		return mode
	}
	if t.Without == TrackOff {
		return TrackOff
	}
	return TrackAggregate
}

// Asks says whether each person is asked.
func (t Tracking) Asks() bool { return t.Basis == "" || t.Basis == ByOwnConsent }
