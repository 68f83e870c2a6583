package app

import (
	"context"
	"maps"
	"slices"

	"rapport/config"
	"rapport/consent"
	"rapport/outbox"
	"rapport/rights"
	"rapport/web/report"
)

// TrackingOf is what a configuration permits letters to tell about people.
func TrackingOf(c config.Config) outbox.Tracking {
	return outbox.Tracking{Mode: c.Tracking, Basis: c.TrackingBasis, Reason: c.TrackingReason, Without: c.TrackingWithout}
}

// Tracking is what this installation permits letters to tell about people.
func (h *House) Tracking() outbox.Tracking { return TrackingOf(h.Config) }

// builtIn are the topics that every installation has. The configuration may
// give them further titles.
func builtIn() []consent.Topic {
	return []consent.Topic{consent.Tracking(), confirmations(), invitations()}
}

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

// endedRun is a run that has ended with so many letters.
type endedRun struct {
	run  string
	sent int64
}

// trackedIn says whom the letters of a run led to, when it is over. Counting
// goes through all of them, so it is done once.
func (h *House) trackedIn(ctx context.Context, a outbox.Account) (*report.Tracked, error) {
	if !a.State.Over() || a.Open() > 0 {
		return nil, nil //nolint:nilnil // not yet
	}
	key := endedRun{a.Run, a.States[outbox.Sent] + a.States[outbox.Uncertain]}
	if known, ok := h.tracked.Load(key); ok {
		return known.(*report.Tracked), nil
	}
	run, err := h.Store.FindRun(ctx, a.Run)
	if err != nil {
		return nil, err
	}
	t, err := h.Campaigns.Tracked(ctx, run)
	if err != nil {
		return nil, err
	}
	told := &report.Tracked{Mode: t.Mode, Basis: t.Basis, Reason: t.Reason, Sent: t.Sent, ByPerson: t.ByPerson}
	h.tracked.Store(key, told)
	return told, nil
}
