package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// tracked is what a report says about whom its letters led to.
type tracked struct {
	Tracking struct {
		Mode       string   `json:"mode"`
		Basis      string   `json:"basis"`
		Sent       int      `json:"sent"`
		ByPerson   int      `json:"by_person"`
		Opened     int      `json:"opened"`
		Clicked    int      `json:"clicked"`
		ClickRate  *float64 `json:"click_rate"`
		AnonClicks int      `json:"clicks_unnamed"`
	} `json:"tracking"`
}

// reading3 are three who want letters: the first agreed to be tracked, the
// second was not asked, the third agrees and takes it back.
const reading3 = `external_id,email,first_name,last_name,city,points,tier,consent:email:offers,consent:email:tracking,consent_at,consent_source
a,anna@mail.example,Anna,A,Berlin,1,gold,granted,granted,2026-01-02T10:00:00Z,form
b,ben@mail.example,Ben,B,Berlin,2,gold,granted,,2026-01-02T10:00:00Z,form
c,cora@mail.example,Cora,C,Berlin,3,gold,granted,granted,2026-01-02T10:00:00Z,form
`

// TestTrackingByPermission: links lead only to people who agreed, and a hit of
// somebody who has taken it back is counted and not theirs.
func TestTrackingByPermission(t *testing.T) {
	t.Parallel()
	for name, s := range engines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.config = "tracking: person\n"
			r := newRig(t, s)
			trackingByPermission(t, r)
		})
	}
}

func trackingByPermission(t *testing.T, r *rig) {
	r.must("contacts", "import", r.file("three.csv", reading3))
	r.must("templates", "put", r.letter())
	r.refused(2, "tracking is built in", "campaigns", "create", r.file("bad.yaml", "name: bad\ntopic: tracking\nchannel: news\ntemplate: letter\nschedule: {now: true}\n"))
	r.create("first-offers", "")
	r.create("quiet-offers", "tracking: aggregate\n")
	r.must("campaigns", "start", "first-offers")
	r.serve()
	r.finished("first-offers")

	anna, ben, cora := r.letterFor("anna@mail.example"), r.letterFor("ben@mail.example"), r.letterFor("cora@mail.example")
	if anna.links("/c/")[0] == cora.links("/c/")[0] || anna.links("/c/")[0] == ben.links("/c/")[0] || anna.pixel() == cora.pixel() {
		t.Errorf("the links of who agreed do not lead to them: %s", anna.links("/c/")[0])
	}
	r.must("consent", "withdraw", "c", "email:tracking", "--source", "a call")
	var got tracked
	eventually(t, "the report counts three clicks, one of them by name", patience, reading, func() bool {
		for _, l := range []opened{anna, ben, cora} {
			if _, err := r.ask(http.MethodGet, l.links("/c/")[0], ""); err != nil {
				t.Fatal(err)
			}
		}
		got = decode[tracked](t, r.must("campaigns", "report", "first-offers", "--json").stdout)
		return got.Tracking.Clicked == 1 && got.Tracking.AnonClicks > 0
	})
	if x := got.Tracking; x.Mode != "person" || x.Basis != "consent" || x.Sent != 3 || x.ByPerson != 2 || x.Opened != 0 || *x.ClickRate != 0.5 {
		t.Errorf("the report says %+v", x)
	}
	if told := r.must("contacts", "show", "c").stdout; strings.Contains(told, "clicked") {
		t.Errorf("a click of somebody who withdrew is theirs:\n%s", told)
	}
	if told := r.must("contacts", "show", "a").stdout; !strings.Contains(told, "clicked") {
		t.Errorf("a click of somebody who agreed is nobody's:\n%s", told)
	}

	r.must("campaigns", "start", "quiet-offers")
	r.finished("quiet-offers")
	anna, ben = r.letterFor("anna@mail.example"), r.letterFor("ben@mail.example")
	if anna.links("/c/")[0] != ben.links("/c/")[0] || anna.pixel() != ben.pixel() {
		t.Error("a campaign that tracks in numbers only has links that lead to people")
	}
	r.networks("b", ben)
}

// networks: what a click on the way out leaves as evidence is the network, not
// the whole address.
func (r *rig) networks(who string, l opened) {
	r.t.Helper()
	if _, err := r.ask(http.MethodPost, l.leave(), "List-Unsubscribe=One-Click"); err != nil {
		r.t.Fatal(err)
	}
	res := r.must("consent", "show", who, "--json")
	if !strings.Contains(res.stdout, `"127.0.0.0"`) || strings.Contains(res.stdout, `"127.0.0.1"`) {
		r.t.Errorf("the evidence of an unsubscription:\n%s", res.stdout)
	}
}

// TestTrackingWithoutLinks: whoever has not agreed gets the links as they were
// written, if the installation says so; a stated ground is told by the doctor.
func TestTrackingWithoutLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: "tracking_without: off\n"})
	r.must("contacts", "import", r.file("three.csv", reading3))
	r.must("templates", "put", r.letter())
	r.create("first-offers", "")
	r.must("campaigns", "start", "first-offers")
	r.serve()
	r.finished("first-offers")
	if anna, ben := r.letterFor("anna@mail.example"), r.letterFor("ben@mail.example"); len(anna.links("/c/")) == 0 || len(ben.links("/c/")) != 0 || ben.pixel() != "" {
		t.Errorf("who agreed has %v, who was not asked %v and %q", anna.links("/c/"), ben.links("/c/"), ben.pixel())
	}
	stated := newRig(t, setup{})
	if res := stated.run("doctor", "--quick"); !strings.Contains(res.stdout, "legitimate_interest") || !strings.Contains(res.stdout, "an invented shop of invented people") {
		t.Errorf("the doctor does not tell the ground of tracking:\n%s", res.stdout)
	}
}
