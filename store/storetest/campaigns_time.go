package storetest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport"
	"rapport/campaigns"
	"rapport/contacts"
	"rapport/outbox"
)

// due lets the scheduler look at a moment.
func (d *Desk) due(t testing.TB, at time.Time) {
	t.Helper()
	d.Set(at)
	if err := d.Campaigns.Due(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (d *Desk) runs(t testing.TB, name string) []campaigns.Run {
	t.Helper()
	list, err := d.Campaigns.Runs(t.Context(), name, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (d *Desk) show(t testing.TB, name string) campaigns.Campaign {
	t.Helper()
	c, err := d.Campaigns.Show(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func examineRecurring(t *testing.T, d *Desk) {
	d.People(t, 2)
	d.put(t, "daily", `schedule: {cron: "0 9 * * *", zone: Europe/Berlin, until: "2026-06-04T23:00"}`)
	b := d.start(t, "daily")
	nine := time.Date(2026, 6, 2, 7, 0, 0, 0, time.UTC)
	if b.Run != nil || b.Campaign.State != campaigns.Scheduled || !b.Campaign.NextAt.Equal(nine) {
		t.Fatalf("start said %+v", b)
	}
	d.due(t, nine.Add(-time.Second))
	if n := len(d.runs(t, "daily")); n != 0 {
		t.Fatalf("%d runs before their time", n)
	}
	d.due(t, nine)
	d.plan(t)
	d.send(t, allSent)
	c := d.show(t, "daily")
	if c.State != campaigns.Scheduled || !c.NextAt.Equal(nine.AddDate(0, 0, 1)) {
		t.Fatalf("after the first run %+v", c)
	}
	// The second goes on when the third comes due: that one is left out.
	d.due(t, nine.AddDate(0, 0, 1))
	d.plan(t)
	d.due(t, nine.AddDate(0, 0, 2))
	c = d.show(t, "daily")
	if n := len(d.runs(t, "daily")); n != 2 || !strings.Contains(c.Note, "still going") || c.State != campaigns.Running || c.NextAt != nil {
		t.Fatalf("%d runs, campaign %+v", n, c)
	}
	d.send(t, allSent)
	if c := d.show(t, "daily"); c.State != campaigns.Finished {
		t.Errorf("after its until %+v", c)
	}
	// What has run stays as it ran.
	d.put(t, "hourly", `schedule: {cron: "0 * * * *"}`)
	d.start(t, "hourly")
	d.must(t, "hourly", d.Campaigns.Unschedule)
	if c := d.show(t, "hourly"); c.State != campaigns.Draft || c.NextAt != nil {
		t.Errorf("unscheduled before its first run %+v", c)
	}
	d.start(t, "hourly")
	d.due(t, *d.show(t, "hourly").NextAt)
	d.plan(t)
	d.send(t, allSent)
	d.must(t, "hourly", d.Campaigns.Unschedule)
	if c := d.show(t, "hourly"); c.State != campaigns.Finished || c.NextAt != nil {
		t.Errorf("unscheduled after a run %+v", c)
	}
}

func examineMissed(t *testing.T, d *Desk) {
	d.put(t, "hourly", `schedule: {cron: "0 * * * *"}`)
	d.start(t, "hourly")
	one := noon.Add(time.Hour)
	d.due(t, one.Add(5*time.Hour+10*time.Minute)) // 18:10: the newest is young
	runs := d.runs(t, "hourly")
	if len(runs) != 1 || !runs[0].ScheduledFor.Equal(one.Add(5*time.Hour)) {
		t.Fatalf("runs %+v", runs)
	}
	if c := d.show(t, "hourly"); !strings.Contains(c.Note, "missed") || !c.NextAt.Equal(one.Add(6*time.Hour)) {
		t.Errorf("campaign %+v", c)
	}
	d.plan(t)
	d.send(t, allSent)
	d.due(t, one.Add(8*time.Hour+40*time.Minute)) // the newest is old
	if c := d.show(t, "hourly"); len(d.runs(t, "hourly")) != 1 || c.State != campaigns.Scheduled || !c.NextAt.Equal(one.Add(9*time.Hour)) {
		t.Errorf("campaign %+v", c)
	}
	// A pause keeps times from coming; whoever resumes in time gets the newest.
	d.must(t, "hourly", d.Campaigns.Pause)
	d.due(t, one.Add(9*time.Hour+5*time.Minute))
	if len(d.runs(t, "hourly")) != 1 {
		t.Error("a paused campaign ran")
	}
	d.must(t, "hourly", d.Campaigns.Resume)
	d.due(t, d.Now())
	if runs := d.runs(t, "hourly"); len(runs) != 2 || !runs[0].ScheduledFor.Equal(one.Add(9*time.Hour)) {
		t.Errorf("runs after the pause %+v", runs)
	}
}

func examineLate(t *testing.T, d *Desk) {
	d.People(t, 2)
	at := noon.Add(time.Hour)
	line := `schedule: {at: "2026-06-01T13:00"}`
	d.put(t, "soon", line, "expires: 2h")
	d.put(t, "over", line, "expires: 30m")
	d.start(t, "soon")
	d.start(t, "over")
	d.due(t, at.Add(time.Hour))
	d.plan(t)
	if a := d.account(t, "soon"); a.Planned != 2 {
		t.Errorf("late but not expired: %+v", a)
	}
	list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Campaign: "soon"})
	if err != nil || len(list) != 2 || !list[0].ExpiresAt.Equal(at.Add(2*time.Hour)) {
		t.Errorf("expiry counts from the due time: %+v, %v", list, err)
	}
	if c := d.show(t, "over"); c.State != campaigns.Finished || len(d.runs(t, "over")) != 0 || !strings.Contains(c.Note, "too late") {
		t.Errorf("late and expired: %+v", c)
	}
	d.put(t, "gone", line, "expires: 30m")
	_, err = d.Campaigns.Start(t.Context(), "gone")
	wantKind(t, err, rapport.Invalid)
}

// examineStuck: what a campaign says may stop being true before its time.
func examineStuck(t *testing.T, d *Desk) {
	if _, err := d.Contacts.PutSegment(t.Context(), "all", "", "true"); err != nil {
		t.Fatal(err)
	}
	d.put(t, "spring", `schedule: {at: "2026-06-01T13:00"}`, "audience: {segments: [all]}")
	d.put(t, "well", `schedule: {at: "2026-06-01T13:00"}`)
	d.start(t, "spring")
	d.start(t, "well")
	if err := d.Contacts.DeleteSegment(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	d.due(t, noon.Add(time.Hour))
	if c := d.show(t, "spring"); c.State != campaigns.Paused || !strings.Contains(c.Note, "all") {
		t.Errorf("campaign %+v", c)
	}
	if len(d.runs(t, "well")) != 1 {
		t.Error("another campaign kept this one from its time")
	}
	if _, err := d.Contacts.PutSegment(t.Context(), "all", "", "true"); err != nil {
		t.Fatal(err)
	}
	d.must(t, "spring", d.Campaigns.Resume)
	d.due(t, d.Now())
	if len(d.runs(t, "spring")) != 1 {
		t.Error("it does not go on when it can")
	}
}

func examineRecipient(t *testing.T, d *Desk) {
	d.Import(t, `external_id,email,time_zone
tokyo,tokyo@example.com,Asia/Tokyo
berlin,berlin@example.com,Europe/Berlin
berlin2,berlin2@example.com,Europe/Berlin
york,york@example.com,America/New_York
home,home@example.com,
`, contacts.ImportOptions{Grants: []contacts.Grant{{Driver: mailer, Topic: "news"}}, Source: "examination"})
	line := func(late string) string {
		return `schedule: {at: "2026-06-02T09:00", zone: recipient` + late + "}"
	}
	d.put(t, "all", line(""), "expires: 1h")
	b := d.start(t, "all")
	begin := time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC) // nine in Tokyo
	if !b.Campaign.NextAt.Equal(begin) {
		t.Fatalf("begins %s", b.Campaign.NextAt)
	}
	d.due(t, begin.Add(time.Second))
	d.plan(t)
	want := map[string]time.Time{
		"tokyo": begin, "berlin": begin.Add(7 * time.Hour), "berlin2": begin.Add(7 * time.Hour), "york": begin.Add(13 * time.Hour), "home": begin.Add(9 * time.Hour),
	}
	list, err := d.Campaigns.Deliveries(t.Context(), campaigns.Filter{Campaign: "all"})
	if err != nil || len(list) != len(want) {
		t.Fatalf("%d deliveries, %v", len(list), err)
	}
	for _, x := range list {
		if !x.NotBefore.Equal(want[x.ExternalID]) || !x.ExpiresAt.Equal(want[x.ExternalID].Add(time.Hour)) {
			t.Errorf("%s is due %s until %s, want %s", x.ExternalID, x.NotBefore, x.ExpiresAt, want[x.ExternalID])
		}
	}
	for _, step := range []struct {
		after time.Duration
		n     int
	}{{0, 1}, {6 * time.Hour, 0}, {7 * time.Hour, 2}, {9 * time.Hour, 1}, {13 * time.Hour, 1}} {
		d.Set(begin.Add(step.after).Add(time.Minute))
		if n := d.send(t, allSent); n != step.n {
			t.Errorf("after %s %d were sent, want %d", step.after, n, step.n)
		}
	}
	if d.state(t, "all") != campaigns.Finished {
		t.Error("it is not finished when the last zone was served")
	}
	// Started when it is ten in Berlin: Tokyo and Berlin are late.
	d.Set(begin.Add(8 * time.Hour))
	d.put(t, "send", line(", late: send"))
	d.put(t, "skip", line(", late: skip"))
	for name, want := range map[string]int64{"send": 5, "skip": 2} {
		checked, err := d.Campaigns.Check(t.Context(), name)
		if err != nil || checked.Planned != want || checked.Late != map[string]int64{"send": 3}[name] {
			t.Errorf("check of %s: %+v, %v", name, checked, err)
		}
		d.start(t, name)
		d.plan(t)
		a := d.account(t, name)
		if a.Planned != want || a.NotPlanned[outbox.TooLate] != 5-want {
			t.Errorf("%s: planned %d, not planned %v", name, a.Planned, a.NotPlanned)
		}
	}
	if n := d.send(t, allSent); n != 3 {
		t.Errorf("%d late ones were sent at once, want 3", n)
	}
}

// examineSchedulers: two schedulers look at the same minute, many times; each
// occurrence becomes one run.
func examineSchedulers(t *testing.T, d *Desk) {
	times := 200
	if testing.Short() {
		times = 40
	}
	d.put(t, "minutely", `schedule: {cron: "* * * * *"}`)
	d.start(t, "minutely")
	ahead := &atomic.Int64{}
	other := desk(t, d.Store, ahead)
	for i := range times {
		at := noon.Add(time.Duration(i+1) * time.Minute)
		d.Set(at)
		other.Set(at.Add(3 * time.Second)) // their clocks differ
		var wg sync.WaitGroup
		for _, x := range []*Desk{d, other} {
			wg.Go(func() {
				if err := x.Campaigns.Due(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		d.plan(t)
		if _, err := d.Store.Finish(t.Context(), d.Now()); err != nil {
			t.Fatal(err)
		}
	}
	runs := d.runs(t, "minutely")
	seen := map[time.Time]bool{}
	for _, r := range runs {
		seen[r.ScheduledFor] = true
	}
	if len(runs) != times || len(seen) != times {
		t.Errorf("%d runs of %d minutes, %d times", len(runs), len(seen), times)
	}
}
