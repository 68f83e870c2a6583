package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/slack"
)

// TestButtonOfAChat: who presses the button of a message in Slack has left, is
// told so, and gets no more; a press that is not Slack's changes nothing.
func TestButtonOfAChat(t *testing.T) {
	t.Parallel()
	const secret = "canary-signing-secret"
	r := newRig(t, setup{})
	team, err := slack.Start(slack.Options{Token: "xoxb-canary-team"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = team.Close() })
	u, err := url.Parse(team.URL())
	if err != nil {
		t.Fatal(err)
	}
	r.append(fmt.Sprintf("  - name: team\n    driver: slack\n    token: xoxb-canary-team\n    api_url: %s\n    private: [127.0.0.0/8]\n    signing_secret: %s\n    answer_hosts: [%q]\n", team.APIURL(), secret, u.Host))
	r.must("contacts", "import", r.file("people.csv", "external_id,slack,consent:slack:offers,consent_at,consent_source\n"+
		"a,U0AAAAAAA,granted,2026-03-01T10:00:00Z,form\nb,U0BBBBBBB,granted,2026-03-01T10:00:00Z,form\n"))
	r.file("post/template.yaml", "name: post\ndriver: slack\nlocale: en\n")
	r.file("post/en/text.liquid", "Points! <{{ links.unsubscribe }}|Unsubscribe>")
	r.must("templates", "put", r.path("post"))
	for _, name := range []string{"first-offers", "second-offers"} {
		r.must("campaigns", "create", r.file(name+".yaml", fmt.Sprintf("name: %s\ntopic: offers\nchannel: team\ntemplate: post\nschedule: {now: true}\n", name)))
	}
	r.serve()
	r.must("campaigns", "start", "first-offers")
	r.finished("first-offers")
	var m *slack.Message
	for _, x := range team.Messages("") {
		if x.To == "U0AAAAAAA" {
			m = x
		}
	}
	if m == nil || m.Value() == "" {
		t.Fatalf("no button in %+v", m)
	}
	to := "http://" + r.listen + "/in/slack/team"
	press := func(p slack.Press, want int) {
		t.Helper()
		if status, err := team.Press(t.Context(), m, p); err != nil || status != want {
			t.Errorf("%+v: status %d, %v, want %d", p, status, err, want)
		}
	}
	press(slack.Press{To: to, Secret: "guessed"}, http.StatusUnauthorized)
	press(slack.Press{To: to, Secret: secret, Age: 10 * time.Minute}, http.StatusUnauthorized)
	press(slack.Press{To: "http://" + r.listen + "/in/slack/other", Secret: secret}, http.StatusUnauthorized)
	press(slack.Press{To: to, Secret: secret, Value: "forged"}, http.StatusOK)
	if res := r.must("consent", "show", "a"); strings.Contains(res.stdout, withdrawn) {
		t.Errorf("a press that was none has ended something:\n%s", res.stdout)
	}
	press(slack.Press{To: to, Secret: secret}, http.StatusOK)
	if res := r.must("consent", "show", "a"); !strings.Contains(res.stdout, withdrawn) {
		t.Errorf("the press has ended nothing:\n%s", res.stdout)
	}
	answers := team.Answers()
	if len(answers) == 0 || answers[len(answers)-1].Type != "ephemeral" {
		t.Errorf("answers %+v", answers)
	}
	r.must("campaigns", "start", "second-offers")
	if a := r.finished("second-offers"); a.States["sent"] != 1 {
		t.Errorf("states %v", a.States)
	}
	eventually(t, "it is counted", patience, 100*time.Millisecond, func() bool {
		return r.one("SELECT COUNT(*) FROM responses p JOIN runs r ON r.id = p.run_id WHERE p.kind = 'unsubscribed' AND r.name = 'first-offers'") == 1
	})
	if strings.Contains(r.outputs(), "canary") {
		t.Error("a secret was said")
	}
	r.well()
}
