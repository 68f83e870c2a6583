package outbox_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/outbox"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// welcome is a delivery that may leave.
func welcome() outbox.Facts {
	return outbox.Facts{
		Run: outbox.Running, Address: "a@example.com", HasContact: true, HasAddress: true,
		Consent: "granted", ConsentAddress: "a@example.com",
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*outbox.Facts)
		state  outbox.State
		reason outbox.Reason
	}{
		{"all is well", func(*outbox.Facts) {}, outbox.Sending, ""},
		{"still planning", func(f *outbox.Facts) { f.Run = outbox.Planning }, outbox.Sending, ""},
		{"cancelling", func(f *outbox.Facts) { f.Run = outbox.Cancelling }, outbox.Cancelled, outbox.ByPerson},
		{"cancelled", func(f *outbox.Facts) { f.Run = outbox.RunCancelled }, outbox.Cancelled, outbox.ByPerson},
		{"finished", func(f *outbox.Facts) { f.Run = outbox.Finished }, outbox.Cancelled, outbox.ByPerson},
		{"erased", func(f *outbox.Facts) { f.HasContact = false }, outbox.Suppressed, outbox.Erased},
		{"complained", func(f *outbox.Facts) { f.Suppression = "complaint" }, outbox.Suppressed, outbox.Complaint},
		{"bounced", func(f *outbox.Facts) { f.Suppression = "hard_bounce" }, outbox.Suppressed, outbox.HardBounce},
		{"suppressed for a reason of old", func(f *outbox.Facts) { f.Suppression = "long ago" }, outbox.Suppressed, outbox.Manual},
		{"address gone", func(f *outbox.Facts) { f.HasAddress = false }, outbox.Suppressed, outbox.AddressChanged},
		{"withdrawn", func(f *outbox.Facts) { f.Consent = "withdrawn" }, outbox.Suppressed, outbox.Withdrawn},
		{"not confirmed", func(f *outbox.Facts) { f.Consent = "pending" }, outbox.Suppressed, outbox.PendingConsent},
		{"never asked", func(f *outbox.Facts) { f.Consent = "" }, outbox.Suppressed, outbox.NoConsent},
		{"a word nobody knows", func(f *outbox.Facts) { f.Consent = "perhaps" }, outbox.Suppressed, outbox.NoConsent},
		{"given for another address", func(f *outbox.Facts) { f.ConsentAddress = "b@example.com" }, outbox.Suppressed, outbox.OtherAddress},
		{"expires now", func(f *outbox.Facts) { f.ExpiresAt = noon }, outbox.Expired, outbox.TimeOver},
		{"expires soon", func(f *outbox.Facts) { f.ExpiresAt = noon.Add(time.Microsecond) }, outbox.Sending, ""},
		{"paused", func(f *outbox.Facts) { f.Run = outbox.Paused }, outbox.Queued, outbox.WaitPaused},
		{"held", func(f *outbox.Facts) { f.Held = true }, outbox.Queued, outbox.WaitHeld},
		{"withdrawn while paused", func(f *outbox.Facts) { f.Run, f.Consent = outbox.Paused, "withdrawn" }, outbox.Suppressed, outbox.Withdrawn},
		{"expired while held", func(f *outbox.Facts) { f.Held, f.ExpiresAt = true, noon }, outbox.Expired, outbox.TimeOver},
		{"paused and held", func(f *outbox.Facts) { f.Held, f.Run = true, outbox.Paused }, outbox.Queued, outbox.WaitPaused},
		{"erased and cancelled", func(f *outbox.Facts) { f.HasContact, f.Run = false, outbox.Cancelling }, outbox.Cancelled, outbox.ByPerson},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := welcome()
			test.change(&f)
			if state, reason := outbox.Admit(f, noon); state != test.state || reason != test.reason {
				t.Errorf("got %s %q, want %s %q", state, reason, test.state, test.reason)
			}
		})
	}
}

func facts() *rapid.Generator[outbox.Facts] {
	return rapid.Custom(func(t *rapid.T) outbox.Facts {
		addresses := []string{"", "a", "b"}
		return outbox.Facts{
			Run:       rapid.SampledFrom([]outbox.RunState{outbox.Planning, outbox.Running, outbox.Paused, outbox.Cancelling, outbox.RunCancelled, outbox.Finished}).Draw(t, "run"),
			ExpiresAt: rapid.SampledFrom([]time.Time{{}, noon, noon.Add(time.Hour)}).Draw(t, "expires"),
			Address:   rapid.SampledFrom(addresses).Draw(t, "address"), HasContact: rapid.Bool().Draw(t, "contact"), HasAddress: rapid.Bool().Draw(t, "has"),
			Consent: rapid.SampledFrom([]string{"", "pending", "granted", "withdrawn"}).Draw(t, "consent"), ConsentAddress: rapid.SampledFrom(addresses).Draw(t, "for"),
			Suppression: rapid.SampledFrom([]string{"", "complaint"}).Draw(t, "suppressed"), Held: rapid.Bool().Draw(t, "held"),
		}
	})
}

func TestGateMovesOnlyLegally(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := facts().Draw(t, "facts")
		state, reason := outbox.Admit(f, noon)
		if !outbox.Legal(outbox.Claimed, state) {
			t.Fatalf("claimed → %s", state)
		}
		if (state == outbox.Sending) != (reason == "") {
			t.Fatalf("%s with reason %q", state, reason)
		}
		if state == outbox.Sending && (f.Consent != "granted" || f.Suppression != "" || f.ConsentAddress != f.Address) {
			t.Fatalf("leaves without permission: %+v", f)
		}
	})
}

func TestSkip(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		c    outbox.Candidate
		want outbox.Reason
	}{
		{outbox.Candidate{Address: "a", Consent: "granted", ConsentAddress: "a"}, ""},
		{outbox.Candidate{Consent: "granted"}, outbox.NoAddress},
		{outbox.Candidate{Address: "a", Consent: "granted", ConsentAddress: "a", Suppression: "complaint"}, outbox.Complaint},
		{outbox.Candidate{Address: "a", Consent: "granted", ConsentAddress: "a", Suppression: "?"}, outbox.Manual},
		{outbox.Candidate{Address: "a", Consent: "withdrawn", ConsentAddress: "a"}, outbox.Withdrawn},
		{outbox.Candidate{Address: "a", Consent: "pending"}, outbox.PendingConsent},
		{outbox.Candidate{Address: "a"}, outbox.NoConsent},
		{outbox.Candidate{Address: "a", Consent: "granted", ConsentAddress: "b"}, outbox.OtherAddress},
	} {
		if got := outbox.Skip(test.c); got != test.want {
			t.Errorf("%+v: %q, want %q", test.c, got, test.want)
		}
	}
}

// Whoever is planned would be let through at the same moment, and whoever is
// skipped would not.
func TestPlanningAndLeavingAreOneGate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := facts().Draw(t, "facts")
		f.Run, f.HasContact, f.Held, f.ExpiresAt = outbox.Running, true, false, time.Time{}
		f.HasAddress = f.Address != ""
		skip := outbox.Skip(outbox.Candidate{Address: f.Address, Consent: f.Consent, ConsentAddress: f.ConsentAddress, Suppression: f.Suppression})
		state, reason := outbox.Admit(f, noon)
		if (skip == "") != (state == outbox.Sending) {
			t.Fatalf("planning says %q, the gate %s %q", skip, state, reason)
		}
	})
}
