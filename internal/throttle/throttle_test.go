package throttle

import (
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	const most = 100
	l := New[int](func() time.Time { return now }, Rate{Burst: 20, Every: 5 * time.Millisecond, Most: most})
	many := func(key int) (n int) {
		for n < 1000 && l.Allow(key) {
			n++
		}
		return n
	}
	if one, other := many(1), many(2); one != 20 || other != 20 {
		t.Errorf("%d and %d at once, want 20 each", one, other)
	}
	now = now.Add(35 * time.Millisecond)
	if n := many(1); n != 7 {
		t.Errorf("%d after seven turns", n)
	}
	now = now.Add(time.Hour)
	if n := many(1); n != 20 {
		t.Errorf("%d after an hour: a bucket runs over", n)
	}
	for i := range 3 * most {
		l.Allow(1000 + i)
		if l.Kept() > most {
			t.Fatalf("%d keys are kept", l.Kept())
		}
	}
}

// Whoever is empty stays so while others come and their buckets fill again.
func TestForgettingLeavesTheEmpty(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	l := New[int](func() time.Time { return now }, Rate{Burst: 3, Every: time.Hour, Most: 10})
	for i := range 9 {
		l.Allow(i)
	}
	now = now.Add(time.Hour)
	for l.Allow(100) {
		continue
	}
	for i := range 3 {
		l.Allow(200 + i)
	}
	if l.Allow(100) {
		t.Error("who had used up everything was forgotten before those who had not")
	}
}

func TestNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.7:1": "203.0.113.0/24", "203.0.113.200:9": "203.0.113.0/24", "[::ffff:203.0.113.7]:1": "203.0.113.0/24",
		"[2001:db8:0:1::7]:1": "2001:db8::/56", "[2001:db8:0:100::1%eth0]:1": "2001:db8:0:100::/56",
		"127.0.0.1:1": "", "10.1.2.3:1": "", "[fe80::1%eth0]:1": "", "[::1]:1": "", "nobody": "", "": "",
	} {
		got, ok := Network(remote)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q is of %s, %t; want %q", remote, got, ok, want)
		}
	}
}
