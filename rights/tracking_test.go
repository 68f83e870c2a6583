package rights

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"rapport/events"
)

// TestThePageTellsTheGroundOfTracking: whoever asks for their data reads on
// what ground their opens and clicks are known by name.
func TestThePageTellsTheGroundOfTracking(t *testing.T) {
	for _, c := range []struct {
		tracking Tracking
		locale   string
		want     string
	}{
		{Tracking{Mode: "person", Basis: "consent"}, "en", "Only of people who agreed to it"},
		{Tracking{Mode: "person", Basis: "legitimate_interest", Reason: "weighed <twice>"}, "en", "weighed &lt;twice&gt; (legitimate_interest)"},
		{Tracking{Mode: "aggregate"}, "de", "Von niemandem"},
	} {
		var page bytes.Buffer
		err := writePage(&page, person{Tracking: c.tracking, Locale: c.locale, MadeAt: time.Unix(0, 0)}, lists{
			deliveries: func(func(Delivery) error) error { return nil }, responses: func(func(Response) error) error { return nil },
			skips: func(func(Skip) error) error { return nil }, looks: func(func(Look) error) error { return nil },
			events: func(row func(events.Event) error) error {
				return row(events.Event{Name: "order.placed", At: time.Unix(1e9, 0), Data: []byte(`{"a":"<b>"}`)})
			},
		})
		if told := "<td>2001-09-09 01:46:40 UTC</td><td>order.placed</td><td>{&#34;a&#34;:&#34;&lt;b&gt;&#34;}</td>"; !strings.Contains(page.String(), told) {
			t.Errorf("the page does not tell the event:\n%s", page.String())
		}
		if err != nil || !strings.Contains(page.String(), c.want) {
			t.Errorf("%+v: %v, the page does not say %q:\n%s", c.tracking, err, c.want, page.String())
		}
	}
}
