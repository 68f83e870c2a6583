package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport"
	"rapport/outbox"
)

// show runs a whole demo.
func show(t *testing.T, o Options) (Result, *Demo) {
	t.Helper()
	o.Listen, o.Drivers = "127.0.0.1:0", registry(t)
	d, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	result, err := d.Send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result, d
}

// Two hundred customers: every account adds up and agrees with what the
// receivers wrote down, and every special case has happened.
func TestDemo(t *testing.T) {
	t.Parallel()
	result, d := show(t, Options{Contacts: 200})
	for _, f := range result.Faults() {
		t.Error(f)
	}
	if len(result.Campaigns) != 3 || len(result.receipts) != 3 {
		t.Fatalf("there are %d accounts and %d receipts", len(result.Campaigns), len(result.receipts))
	}
	for i, a := range result.Campaigns {
		r := result.receipts[i]
		if a.States[outbox.Sent] != int64(r.taken-r.untold) || a.States[outbox.Uncertain] != int64(r.untold+r.dropped) {
			t.Errorf("%s: %v, but the receiver says %+v", a.Campaign, a.States, r)
		}
		if a.Planned == 0 || len(a.NotPlanned) == 0 {
			t.Errorf("%s planned %d and left out %v", a.Campaign, a.Planned, a.NotPlanned)
		}
	}
	mail := result.Campaigns[0]
	for _, reason := range []outbox.Reason{outbox.NoConsent, outbox.Withdrawn, outbox.PendingConsent, outbox.NoAddress, outbox.Complaint, outbox.Manual} {
		if mail.NotPlanned[reason] == 0 {
			t.Errorf("nobody was left out for %s: %v", reason, mail.NotPlanned)
		}
	}
	if mail.Reasons[outbox.Failed][outbox.UnknownUser] == 0 {
		t.Errorf("no mailbox was refused for ever: %v", mail.Reasons)
	}
	if got := result.Tracking[0]; got.ByPerson == 0 || got.ByPerson >= got.Sent || got.Basis != outbox.ByOwnConsent {
		t.Errorf("the letters of %s: %+v", got.Campaign, got.Tracked)
	}
	if got := result.Tracking[1]; got.ByPerson != 0 || got.Sent == 0 {
		t.Errorf("nobody agreed to be tracked by %s: %+v", got.Campaign, got.Tracked)
	}
	if d.data == "" {
		t.Error("there is no data folder")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.data); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

// A second demo on the same data makes campaigns of new names, and those who
// were refused for ever are not written to again.
func TestASecondDemoOnTheSameData(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("does not apply: one demo is enough with -short")
	}
	data := filepath.Join(t.TempDir(), "data")
	first, d := show(t, Options{Contacts: 60, Data: data})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	second, _ := show(t, Options{Contacts: 60, Data: data})
	for i, a := range second.Campaigns {
		if a.Campaign != first.Campaigns[i].Campaign+"-2" {
			t.Errorf("campaign %d is named %s", i, a.Campaign)
		}
		failed := first.Campaigns[i].Reasons[outbox.Failed][outbox.UnknownUser]
		if a.Planned != first.Campaigns[i].Planned-failed {
			t.Errorf("%s planned %d after %d of which %d are unknown", a.Campaign, a.Planned, first.Campaigns[i].Planned, failed)
		}
	}
	for _, f := range second.Faults() {
		t.Error(f)
	}
}

func TestForeignDataIsLeftAlone(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "rapport.db"), []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Contacts: 1, Data: data, Listen: "127.0.0.1:0", Drivers: registry(t)})
	if rapport.KindOf(err) != rapport.Conflict || !strings.Contains(err.Error(), data) {
		t.Errorf("a demo on somebody's data: %v", err)
	}
	if _, err := Start(t.Context(), Options{Listen: "127.0.0.1:0", Drivers: registry(t)}); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("a demo without customers: %v", err)
	}
}
