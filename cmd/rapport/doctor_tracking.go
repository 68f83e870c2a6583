package main

import (
	"rapport/config"
	"rapport/internal/app"
	"rapport/outbox"
)

// tracking says what letters tell about people and on which ground. A ground
// that is stated for people whom nobody asked is no trouble, but it is said.
func (d *doctor) tracking(conf config.Config) {
	const check = "tracking"
	t := app.TrackingOf(conf)
	switch {
	case t.Mode == outbox.TrackOff:
		d.say(check, fine, "", "off: links stay as they are written, nothing is recorded")
	case t.Mode == outbox.TrackAggregate:
		d.say(check, fine, "", "in numbers only: nobody is named")
	case t.Asks():
		d.say(check, fine, "", "by person only for people who said yes to the topic tracking; all others: %s", t.Without)
	default:
		d.say(check, note, "people may object: the topic tracking on the preference page", "by person on the ground of %s, without asking each: %s", t.Basis, t.Reason)
	}
}
