package consent

import (
	"context"
	"fmt"
	"time"

	"rapport"
)

// Preference is what a person asks of marketing beside yes and no: to be left
// alone for a while, or to be written to less often. It forbids nothing that
// transactional topics say.
type Preference struct {
	Driver      string        `json:"driver,omitempty"` // "" for every driver
	Topic       string        `json:"topic,omitempty"`  // "" for every marketing topic
	PausedUntil time.Time     `json:"paused_until,omitzero"`
	Every       time.Duration `json:"every,omitempty"` // at most one message in this time; 0 for no such wish
}

// The longest pause and the rarest rhythm that are taken: who wants less than
// that unsubscribes.
const (
	LongestPause = 2 * 366 * 24 * time.Hour
	RarestEvery  = 366 * 24 * time.Hour
)

// PreferenceStore keeps preferences.
type PreferenceStore interface {
	// SetPreference replaces the one with the same driver and topic; one that
	// asks for nothing is deleted. An unknown contact or topic is NotFound, a
	// topic that is not marketing Invalid. What waits because of an earlier
	// preference of the person is looked at again at once.
	SetPreference(ctx context.Context, contact int64, p Preference, at time.Time) error
	// Preferences lists those of a contact by driver and topic.
	Preferences(ctx context.Context, contact int64) ([]Preference, error)
}

// SetPreference replaces what the person asked for a driver and topic; a pause
// that is over and no rhythm take it back. It holds from the moment this
// returns, also for what is already planned.
func (s *Service) SetPreference(ctx context.Context, contact int64, p Preference) error {
	if p.Driver != "" {
		if _, err := s.drivers.Driver(p.Driver); err != nil {
			return err
		}
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	switch {
	case p.Every < 0 || p.Every > RarestEvery:
		return rapport.Invalidf("every", "%s is no rhythm; it is between 0 (as often as there is something) and 366 days", p.Every)
	case p.PausedUntil.After(now.Add(LongestPause)):
		return rapport.Invalidf("paused_until", "%s is more than two years away; somebody who wants that long a silence unsubscribes", p.PausedUntil.Format(time.DateOnly))
	case !p.PausedUntil.After(now):
		p.PausedUntil = time.Time{}
	}
	p.PausedUntil = p.PausedUntil.UTC().Truncate(time.Microsecond)
	p.Every = p.Every.Truncate(time.Second)
	if err := s.preferences.SetPreference(ctx, contact, p, now); err != nil {
		return fmt.Errorf("keep the preference of contact %d: %w", contact, err)
	}
	return nil
}

// Preferences lists what a person asked for, by driver and topic. A pause that
// is over is not shown any more.
func (s *Service) Preferences(ctx context.Context, contact int64) ([]Preference, error) {
	all, err := s.preferences.Preferences(ctx, contact)
	if err != nil {
		return nil, fmt.Errorf("read the preferences of contact %d: %w", contact, err)
	}
	now := s.now()
	list := all[:0]
	for _, p := range all {
		if !p.PausedUntil.After(now) {
			p.PausedUntil = time.Time{}
		}
		if !p.PausedUntil.IsZero() || p.Every > 0 {
			list = append(list, p)
		}
	}
	return list, nil
}
