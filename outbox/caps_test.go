package outbox_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/channels"
	"rapport/outbox"
)

func news() outbox.Letter {
	return outbox.Letter{Class: channels.Marketing, Topic: "news", Priority: "normal", Driver: "pigeon", Channel: "birds"}
}

func got(l outbox.Letter, state outbox.State, ago time.Duration) outbox.Reached {
	return outbox.Reached{Letter: l, At: capNow().Add(-ago), State: state}
}

func capNow() time.Time { return time.Date(2026, 6, 3, 12, 0, 0, 0, time.UTC) } // a Wednesday

func TestCaps(t *testing.T) {
	t.Parallel()
	const hour, day = time.Hour, 24 * time.Hour
	now := capNow()
	bill := outbox.Letter{Class: channels.Transactional, Topic: "bills", Priority: "normal", Driver: "pigeon", Channel: "birds"}
	high, low, offers := news(), news(), news()
	high.Priority, low.Priority, offers.Topic, offers.Channel, offers.Driver = "high", "low", "offers", "letters", "mailer"
	weekly := outbox.Cap{Most: 2, In: 7 * day}
	for _, test := range []struct {
		name   string
		cap    outbox.Cap
		letter outbox.Letter
		past   []outbox.Reached
		want   outbox.State
		until  time.Duration // from now
	}{
		{"room", weekly, news(), []outbox.Reached{got(news(), outbox.Sent, day)}, outbox.Sending, 0},
		{"full, until the older one leaves the time", weekly, news(), []outbox.Reached{got(news(), outbox.Sent, 6*day+22*hour), got(offers, outbox.Sent, day)}, outbox.Queued, 2 * hour},
		{"full for long: looked at again", weekly, news(), []outbox.Reached{got(news(), outbox.Sent, 3*day), got(offers, outbox.Uncertain, day)}, outbox.Queued, 6 * hour},
		{"out of the time", weekly, news(), []outbox.Reached{got(news(), outbox.Sent, 7*day), got(offers, outbox.Sent, day)}, outbox.Sending, 0},
		{"one of them is on its way and may come back", weekly, news(), []outbox.Reached{got(news(), outbox.Sending, 0), got(offers, outbox.Sent, day)}, outbox.Queued, 2 * time.Minute},
		{"bills do not count", weekly, news(), []outbox.Reached{got(bill, outbox.Sent, hour), got(bill, outbox.Sent, hour)}, outbox.Sending, 0},
		{"bills count where all does", outbox.Cap{Most: 2, In: 7 * day, All: true}, news(), []outbox.Reached{got(bill, outbox.Sent, 7*day-hour), got(bill, outbox.Sent, 7*day-hour)}, outbox.Queued, hour},
		{"a bill is never held", outbox.Cap{Most: 1, In: 7 * day, All: true}, bill, []outbox.Reached{got(bill, outbox.Sent, hour), got(news(), outbox.Sent, hour)}, outbox.Sending, 0},
		{"a cap of another topic", outbox.Cap{Most: 1, In: day, Topics: []string{"offers"}}, news(), []outbox.Reached{got(news(), outbox.Sent, hour)}, outbox.Sending, 0},
		{"a cap of the topic", outbox.Cap{Most: 1, In: 2 * hour, Topics: []string{"news"}}, news(), []outbox.Reached{got(news(), outbox.Sent, hour), got(offers, outbox.Sent, hour)}, outbox.Queued, hour},
		{"a cap of the channel", outbox.Cap{Most: 1, In: 2 * hour, Channels: []string{"birds"}}, offers, []outbox.Reached{got(news(), outbox.Sent, hour)}, outbox.Sending, 0},
		{"dropped", outbox.Cap{Most: 1, In: day, Drop: true}, news(), []outbox.Reached{got(news(), outbox.Sent, hour)}, outbox.Suppressed, 0},
		{"something more urgent takes the place", outbox.Cap{Most: 1, In: day}, news(), []outbox.Reached{got(high, outbox.Queued, 0)}, outbox.Queued, 2 * time.Minute},
		{"something less urgent does not", outbox.Cap{Most: 1, In: day}, news(), []outbox.Reached{got(low, outbox.Claimed, 0), got(news(), outbox.Queued, 0)}, outbox.Sending, 0},
		{"a day of the calendar", outbox.Cap{Most: 1, Period: outbox.Day}, news(), []outbox.Reached{got(news(), outbox.Sent, 13*hour)}, outbox.Sending, 0},
		{"a day that is not over", outbox.Cap{Most: 1, Period: outbox.Day, Zone: time.FixedZone("", 7*3600)}, news(), []outbox.Reached{got(news(), outbox.Sent, 13*hour)}, outbox.Queued, 5 * hour},
		{"a week from Monday", outbox.Cap{Most: 1, Period: outbox.Week}, news(), []outbox.Reached{got(news(), outbox.Sent, 2*day)}, outbox.Queued, 6 * hour},
		{"the week before", outbox.Cap{Most: 1, Period: outbox.Week}, news(), []outbox.Reached{got(news(), outbox.Sent, 3*day)}, outbox.Sending, 0},
		{"a month", outbox.Cap{Most: 1, Period: outbox.Month}, news(), []outbox.Reached{got(news(), outbox.Sent, 3*day)}, outbox.Sending, 0},
		{"a clock that was set back", outbox.Cap{Most: 1, In: hour}, news(), []outbox.Reached{got(news(), outbox.Sent, -2*hour)}, outbox.Queued, 3 * hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := outbox.Limits{Caps: []outbox.Cap{test.cap}, Home: time.UTC}
			v := l.Heed(test.letter, nil, test.past, time.UTC, now, time.Time{})
			if v.State != test.want || test.want == outbox.Queued && !v.Until.Equal(now.Add(test.until)) || (test.want != outbox.Sending) != (v.Reason == outbox.Capped) {
				t.Errorf("%+v, want %s for %s", v, test.want, test.until)
			}
			l.Shadow = true
			if v := l.Heed(test.letter, nil, test.past, time.UTC, now, time.Time{}); v.State != outbox.Sending || (v.Shadow == outbox.Capped) != (test.want != outbox.Sending) {
				t.Errorf("in shadow mode: %+v", v)
			}
		})
	}
}

func TestWishes(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := capNow()
	bill := outbox.Letter{Class: channels.Transactional, Topic: "bills", Driver: "pigeon"}
	offers := news()
	offers.Topic, offers.Driver = "offers", "mailer"
	for _, test := range []struct {
		name    string
		wish    outbox.Wish
		letter  outbox.Letter
		past    []outbox.Reached
		expires time.Duration
		want    outbox.State
		reason  outbox.Reason
	}{
		{"a pause", outbox.Wish{PausedUntil: now.Add(day)}, news(), nil, 0, outbox.Queued, outbox.AskedPause},
		{"a pause longer than it keeps", outbox.Wish{PausedUntil: now.Add(day)}, news(), nil, time.Hour, outbox.Suppressed, outbox.AskedPause},
		{"a pause that is over", outbox.Wish{PausedUntil: now}, news(), nil, 0, outbox.Sending, ""},
		{"a bill", outbox.Wish{PausedUntil: now.Add(day), Every: day}, bill, []outbox.Reached{got(bill, outbox.Sent, 0)}, 0, outbox.Sending, ""},
		{"of another topic", outbox.Wish{Topic: "offers", PausedUntil: now.Add(day)}, news(), nil, 0, outbox.Sending, ""},
		{"of another driver", outbox.Wish{Driver: "mailer", PausedUntil: now.Add(day)}, news(), nil, 0, outbox.Sending, ""},
		{"at most one a week", outbox.Wish{Every: 7 * day}, news(), []outbox.Reached{got(offers, outbox.Sent, day)}, 0, outbox.Queued, outbox.AskedLess},
		{"at most one a week of this driver", outbox.Wish{Driver: "pigeon", Every: 7 * day}, news(), []outbox.Reached{got(offers, outbox.Sent, day)}, 0, outbox.Sending, ""},
		{"at most one a week of this topic", outbox.Wish{Topic: "news", Every: 7 * day}, news(), []outbox.Reached{got(offers, outbox.Sent, day)}, 0, outbox.Sending, ""},
		{"the week is over", outbox.Wish{Every: 7 * day}, news(), []outbox.Reached{got(news(), outbox.Sent, 7*day)}, 0, outbox.Sending, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var expires time.Time
			if test.expires > 0 {
				expires = now.Add(test.expires)
			}
			for _, shadow := range []bool{false, true} { // a person's word is kept in any case
				l := outbox.Limits{Shadow: shadow}
				v := l.Heed(test.letter, []outbox.Wish{test.wish}, test.past, time.UTC, now, expires)
				if v.State != test.want || v.Reason != test.reason || v.State == outbox.Queued && !v.Until.After(now) {
					t.Errorf("%+v, want %s %s", v, test.want, test.reason)
				}
			}
		})
	}
}

// TestCapsHold lets letters of a person come at random times and go when they
// are told to: no time of the cap's length ever has more than it allows, and
// none waits when there is room.
func TestCapsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := outbox.Cap{Most: rapid.IntRange(1, 4).Draw(t, "most"), In: time.Duration(rapid.IntRange(1, 200).Draw(t, "hours")) * time.Hour}
		l := outbox.Limits{Caps: []outbox.Cap{c}}
		now := capNow()
		var past []outbox.Reached
		for range rapid.IntRange(1, 12).Draw(t, "letters") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100*60).Draw(t, "minutes")) * time.Minute)
			for looks := 0; ; looks++ {
				inTime := 0
				for _, r := range past {
					if now.Sub(r.At) < c.In {
						inTime++
					}
				}
				v := l.Heed(news(), nil, past, time.UTC, now, time.Time{})
				if (v.State == outbox.Sending) != (inTime < c.Most) {
					t.Fatalf("%s with %d of %d", v.State, inTime, c.Most)
				}
				if v.State == outbox.Sending {
					past = append(past, outbox.Reached{Letter: news(), At: now, State: outbox.Sent})
					break
				}
				if !v.Until.After(now) || looks > 200 {
					t.Fatalf("waits until %s at %s", v.Until, now)
				}
				now = v.Until
			}
		}
	})
}
