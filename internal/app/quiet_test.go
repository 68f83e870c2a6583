package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/config"
	"rapport/outbox"
)

func TestQuietOfTheConfiguration(t *testing.T) {
	h := build(t, "zone: Europe/Berlin",
		`quiet: {from: "21:00", to: "08:00", all_day: [sun], transactional: {from: "23:00", to: "06:00"}, channels: {hook: "off"}}`,
		`caps: {mode: shadow, rules: [{most: 3, in: 7d}, {topics: [news], channels: [hook], most: 1, in: day, over: drop}, {topics: all, most: 9, in: week}]}`,
		`topics: [{name: news, kind: marketing}, {name: alarms, kind: transactional, quiet: on}, {name: tips, kind: marketing, quiet: off}]`,
		`channels: [{name: hook, driver: webhook, url: "https://example.com/", secret: "0123456789abcdef0123456789abcdef"}]`)
	for _, test := range []struct {
		class          channels.Class
		topic, channel string
		want           *outbox.Quiet
	}{
		{channels.Marketing, "news", "letters", h.calm.General},
		{channels.Marketing, "tips", "letters", nil},
		{channels.Marketing, "news", "hook", nil},
		{channels.Transactional, "codes", "letters", nil},
		{channels.Transactional, "alarms", "letters", h.calm.Classes[channels.Transactional]},
	} {
		if got := h.calm.QuietOf(test.class, test.topic, test.channel); got != test.want {
			t.Errorf("%+v: %+v", test, got)
		}
	}
	if h.calm.General == nil || h.calm.Spread != quietSpread || h.calm.Shadow {
		t.Errorf("calm %+v", h.calm)
	}
	l := h.limits
	if l == nil || !l.Shadow || len(l.Caps) != 3 || l.Caps[0].In != 7*24*time.Hour || !l.Caps[1].Drop || l.Caps[1].Period != outbox.Day ||
		l.Caps[1].Channels[0] != "hook" || !l.Caps[2].All || len(l.Caps[0].Topics) != 0 {
		t.Errorf("limits %+v", l)
	}
	if z := l.ZoneOf("", "pl-PL").String(); z != "Europe/Warsaw" {
		t.Errorf("the days of somebody from Poland begin in %s", z)
	}
}

func noBell(context.Context, channels.Env, struct{}) (channels.Channel, error) {
	return nil, errors.New("nothing rings here")
}

// TestChannelsThatRing are quiet at night unless the configuration names them.
func TestChannelsThatRing(t *testing.T) {
	phone := channels.Define(channels.Driver{Name: "bell", Address: channels.Phone, Parts: []channels.Part{{Name: "text", Syntax: channels.Plain, Required: true}}}, noBell)
	drivers, err := channels.NewRegistry(phone)
	if err != nil {
		t.Fatal(err)
	}
	for set, rings := range map[string]bool{"": true, `quiet: {channels: {calls: "off"}}`: false} {
		c := conf(t, drivers, set, "channels: [{name: calls, driver: bell}]", "data: "+t.TempDir())
		h, err := Open(t.Context(), Options{Config: c, Drivers: drivers})
		if err != nil {
			t.Fatal(err)
		}
		q := h.calm.QuietOf(channels.Marketing, "news", "calls")
		if (q != nil) != rings || rings && (q.From != 21*time.Hour || q.To != 8*time.Hour) {
			t.Errorf("%q: %+v", set, q)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOwnCalendarsOfAHouse(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("one.yaml", "name: shop\nrest: [mon]\n")
	write("two.yml", "calendars: [{name: bank, include: [shop, de]}]\n")
	h := build(t, "calendars: {files: ["+folder+"]}", "quiet: {calendar: bank}")
	monday, tuesday := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC)
	off := func(name string, day time.Time) bool {
		t.Helper()
		k, err := h.Book().Calendar(name)
		if err != nil {
			t.Fatal(err)
		}
		return k.Off(day)
	}
	if !off("bank", monday) || off("bank", tuesday) {
		t.Error("the calendars of the folder are not kept to")
	}
	list, err := CalendarFiles(write("../new.yaml", "name: shop\nrest: [tue]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.PutCalendars(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if off("bank", monday) || !off("bank", tuesday) {
		t.Error("what was put in does not go before the files")
	}
	if err := h.checkCalendars(); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := h.RemoveCalendar(t.Context(), "bank"); rapport.KindOf(err) != rapport.Conflict {
		t.Errorf("one in use is removed: %v", err)
	}
	if err := h.RemoveCalendar(t.Context(), "shop"); err != nil || !off("bank", monday) {
		t.Errorf("remove: %v", err)
	}
	if err := h.RemoveCalendar(t.Context(), "shop"); rapport.KindOf(err) != rapport.NotFound {
		t.Errorf("remove again: %v", err)
	}
	if list, err = CalendarFiles(write("../wrong.yaml", "name: lost\ninclude: [nobody]\n")); err != nil {
		t.Fatal(err)
	}
	if err := h.PutCalendars(t.Context(), list); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("an include that leads nowhere: %v", err)
	}
	if _, err := CalendarFiles(filepath.Join(folder, "none")); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("no file: %v", err)
	}
}

func TestQuietThatCannotBeKept(t *testing.T) {
	drivers := registry(t)
	for _, line := range []string{`quiet: {from: "21:00"}`, `quiet: {from: "9", to: "10:00"}`, `quiet: {all_day: [everyday]}`, "calendars: {files: [./nowhere]}"} {
		h, err := Open(t.Context(), Options{Config: conf(t, drivers, line, "data: "+t.TempDir()), Drivers: drivers})
		if rapport.KindOf(err) != rapport.Invalid {
			t.Errorf("%s: %v", line, err)
		}
		if err == nil {
			_ = h.Close()
		}
	}
	h := build(t, "quiet: {calendar: atlantis}")
	if err := h.Serve(t.Context(), nil); rapport.KindOf(err) != rapport.Invalid {
		t.Errorf("it sends though nobody knows the calendar: %v", err)
	}
	if q, err := hours("quiet", config.Hours{Off: true}); q != nil || err != nil {
		t.Errorf("off: %+v, %v", q, err)
	}
}
