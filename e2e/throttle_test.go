package e2e

import (
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
)

// TestEndlessThrottleExpires: who is told to slow down for ever charges no try,
// blames no address and ends with the expiry of the deliveries; other domains
// get theirs meanwhile.
func TestEndlessThrottleExpires(t *testing.T) {
	t.Parallel()
	var mood switchboard
	r := newRig(t, setup{mail: smtpd.Options{Script: mood.script}})
	gs := groups{
		{name: "slow", people: 20, domain: "slow.example"},
		{name: "quick", people: 20, domain: "quick.example"},
	}
	r.bring(gs)
	r.serve()
	for name, c := range map[string]struct {
		mood smtpd.Script
		sent int
	}{
		"domain": {func(step smtpd.Step) smtpd.Action {
			if step.Stage == smtpd.Rcpt && strings.HasSuffix(step.Addr, "@slow.example") {
				return smtpd.Reply(451, "4.7.1", "rate limit exceeded, try again in 1 second")
			}
			return smtpd.Action{}
		}, 20},
		"server": {smtpd.Reply(421, "4.3.2", "too many connections").AndClose().At(smtpd.Mail), 0},
	} {
		if name == "server" && scale(t) == 1 {
			continue // what was in hand is looked at again a minute later
		}
		mood.set(c.mood)
		campaign := name + "-offers"
		r.must("campaigns", "create", r.file(campaign+".yaml",
			"name: "+campaign+"\ntopic: offers\nchannel: news\ntemplate: letter\nschedule: {now: true}\nexpires: 8s\naudience: {where: \"contact.email.startsWith('slow-') || contact.email.startsWith('quick-')\"}\n"))
		r.must("campaigns", "start", campaign)
		a := r.finished(campaign)
		if a.Planned != 40 || a.States["sent"] != c.sent || a.States["expired"] != 40-c.sent {
			t.Errorf("%s: account %v %v", name, a.States, a.Reasons)
		}
		var tried int
		db := r.db()
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE r.uid = '"+a.Run+"' AND d.state = 'expired' AND d.attempt > 0").Scan(&tried); err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
		if tried != 0 {
			t.Errorf("%s: %d deliveries were charged for waiting", name, tried)
		}
	}
	if list := r.suppressed(); len(list) != 0 {
		t.Errorf("%d people are suppressed because somebody slows down", len(list))
	}
	r.well()
}
