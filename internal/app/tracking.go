package app

import (
	"maps"
	"slices"

	"rapport/config"
	"rapport/consent"
	"rapport/outbox"
	"rapport/rights"
)

// TrackingOf is what a configuration permits letters to tell about people.
func TrackingOf(c config.Config) outbox.Tracking {
	return outbox.Tracking{Mode: c.Tracking, Basis: c.TrackingBasis, Reason: c.TrackingReason, Without: c.TrackingWithout}
}

// Tracking is what this installation permits letters to tell about people.
func (h *House) Tracking() outbox.Tracking { return TrackingOf(h.Config) }

// builtIn are the topics that every installation has. The configuration may
// give them further titles.
func builtIn() []consent.Topic { return []consent.Topic{consent.Tracking(), confirmations()} }

// topics are those of the configuration and the built-in ones.
func (h *House) topics() []consent.Topic {
	list := builtIn()
	for _, t := range h.Config.Topics {
		i := slices.IndexFunc(list, func(b consent.Topic) bool { return b.Name == t.Name })
		if i >= 0 {
			maps.Copy(list[i].Title, t.Title)
			continue
		}
		list = append(list, consent.Topic{Name: t.Name, Kind: t.Kind, Title: t.Title, Priority: t.Priority})
	}
	return list
}

// trackingTold is what people are told about tracking with their data.
func (h *House) trackingTold() rights.Tracking {
	t := h.Tracking()
	if t.Mode != outbox.TrackPerson {
		return rights.Tracking{Mode: t.Mode}
	}
	return rights.Tracking{Mode: t.Mode, Basis: t.Basis, Reason: t.Reason}
}
