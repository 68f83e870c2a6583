package demo

import (
	"flag"
	"os"
	"strings"
	"testing"

	"rapport/campaigns"
	"rapport/outbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sample() Result {
	return Result{
		Campaigns: []outbox.Account{
			{
				Campaign: "news", Channel: "newsletter", Planned: 1200,
				States:     map[outbox.State]int64{outbox.Sent: 1180, outbox.Failed: 12, outbox.Uncertain: 5, outbox.Suppressed: 3},
				Reasons:    map[outbox.State]map[outbox.Reason]int64{outbox.Failed: {outbox.UnknownUser: 12}, outbox.Uncertain: {outbox.Connection: 5}, outbox.Suppressed: {outbox.Withdrawn: 3}},
				NotPlanned: map[outbox.Reason]int64{outbox.NoConsent: 80, outbox.HardBounce: 7, outbox.Manual: 7},
			},
			{Campaign: "gift", Channel: "shop", Planned: 3, States: map[outbox.State]int64{outbox.Sent: 3}},
		},
		Tracking: []Tracked{
			{"news", campaigns.Tracked{Mode: outbox.TrackPerson, Basis: outbox.ByOwnConsent, Sent: 1185, ByPerson: 830}},
			{"gift", campaigns.Tracked{Mode: outbox.TrackPerson, Basis: outbox.ByOwnConsent, Sent: 3}},
		},
		Pages:    Pages{UI: "http://127.0.0.1:8080/", Mail: "http://127.0.0.1:1/", Slack: "http://127.0.0.1:2/", Webhook: "http://127.0.0.1:3/", Report: "http://127.0.0.1:4/report"},
		receipts: []receipt{{channel: "newsletter", taken: 1183, untold: 3, dropped: 2}, {channel: "shop", taken: 3}},
	}
}

func TestPrintedAccount(t *testing.T) {
	var out strings.Builder
	if err := sample().Print(&out); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/account.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the account is\n%s\nwant\n%s", out.String(), want)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(r *Result)
		want  string
	}{
		{"all is well", func(*Result) {}, ""},
		{"a state is missing", func(r *Result) { r.Campaigns[0].States[outbox.Failed] = 11 }, "do not add up"},
		{"a message is lost", func(r *Result) { r.receipts[0].taken-- }, "took 1182 and dropped 2"},
		{"a message is sent twice", func(r *Result) { r.receipts[1].twice = 1 }, "more than once"},
		{"something is open", func(r *Result) {
			r.Campaigns[1].States = map[outbox.State]int64{outbox.Sending: 1, outbox.Sent: 2}
		}, "1 deliveries have not ended"},
	} {
		r := sample()
		c.spoil(&r)
		got := strings.Join(r.Faults(), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: the faults are %q, want %q", c.name, got, c.want)
		}
		if c.want != "" {
			var out strings.Builder
			if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "DOES NOT ADD UP") {
				t.Errorf("%s: printed as\n%s", c.name, out.String())
			}
		}
	}
}
