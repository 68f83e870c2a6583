package consent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/channels"
)

// Suppress forbids an address to every channel. It is no error when it is
// forbidden already; see SuppressionStore.Suppress for which reason stays.
func (s *Service) Suppress(ctx context.Context, kind, value, reason, detail string) (bool, error) {
	sup, err := s.suppression(ctx, Suppression{Kind: kind, Value: value, Reason: reason, Detail: detail})
	if err != nil {
		return false, err
	}
	n, err := s.suppressions.Suppress(ctx, []Suppression{sup})
	if err != nil {
		return false, fmt.Errorf("suppress an address: %w", err)
	}
	return n > 0, nil
}

// suppression fills in what is missing and checks the rest.
func (s *Service) suppression(ctx context.Context, x Suppression) (Suppression, error) {
	value, err := s.canonical(x.Kind, x.Value)
	if err != nil {
		return x, err
	}
	x.Value, x.Hash = value, s.fingerprint(x.Kind, value)
	if x.Reason, err = reasonOf(x.Reason); err != nil {
		return x, err
	}
	x.Actor = rapport.ActorOf(ctx).Name
	x.RecordedAt = s.now().UTC().Truncate(time.Microsecond)
	x.At, err = happened(x.At, x.RecordedAt)
	return x, err
}

// reasonOf checks a reason; none is "manual".
func reasonOf(reason string) (string, error) {
	if reason == "" {
		return Manual, nil
	}
	if !slices.Contains(Reasons(), reason) {
		return "", rapport.Invalidf("reason", "%q is not a reason; known: %s", reason, strings.Join(Reasons(), ", "))
	}
	return reason, nil
}

// happened is when something happened; nobody said: now.
func happened(at, now time.Time) (time.Time, error) {
	switch {
	case at.IsZero():
		return now, nil
	case at.After(now.Add(24 * time.Hour)):
		return at, rapport.Invalidf("at", "%s lies in the future", at.Format(time.RFC3339))
	case at.After(now):
		return now, nil // a clock or a time zone that is a little ahead
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

func (s *Service) addressKind(kind string) (channels.Address, error) {
	kinds := s.drivers.AddressKinds()
	i := slices.IndexFunc(kinds, func(a channels.Address) bool { return a.Kind == kind })
	if i < 0 {
		var names []string
		for _, a := range kinds {
			names = append(names, a.Kind)
		}
		return channels.Address{}, rapport.Unknown("kind of address", kind, names)
	}
	return kinds[i], nil
}

func (s *Service) canonical(kind, value string) (string, error) {
	a, err := s.addressKind(kind)
	if err != nil {
		return "", err
	}
	canonical, err := a.Normalize(value)
	if err != nil {
		return "", rapport.Invalidf(kind, "%v", err)
	}
	return canonical, nil
}

// Unsuppress lets an address be written to again, if consent allows it. What
// its owner said themselves, and an erasure, is not an operator's to take
// back: it is Denied unless the ledger has a later act of theirs.
func (s *Service) Unsuppress(ctx context.Context, kind, value string) error {
	value, err := s.canonical(kind, value)
	if err != nil {
		return err
	}
	hash := s.fingerprint(kind, value)
	x, ok, err := s.suppressions.Suppressed(ctx, kind, hash)
	if err != nil {
		return fmt.Errorf("look for a suppression: %w", err)
	}
	if !ok {
		return rapport.NotFoundf("this address is not suppressed")
	}
	if slices.Contains(ownersOnly(), x.Reason) {
		if err := s.actedSince(ctx, kind, value, x); err != nil {
			return err
		}
	}
	found, err := s.suppressions.Unsuppress(ctx, x)
	if err != nil {
		return fmt.Errorf("remove a suppression: %w", err)
	}
	if !found {
		return rapport.Conflictf("the suppression has changed meanwhile: look again and decide anew")
	}
	return nil
}

// actedSince is an error unless the owner of an address has agreed anew after
// it was suppressed.
func (s *Service) actedSince(ctx context.Context, kind, value string, x Suppression) error {
	lines, err := s.suppressions.ActsSince(ctx, kind, value, x.At)
	if err != nil {
		return fmt.Errorf("look for a later consent: %w", err)
	}
	if slices.ContainsFunc(lines, func(r Record) bool { return r.agreed(value) }) {
		return nil
	}
	return &rapport.Error{Kind: rapport.Denied, Msg: fmt.Sprintf(
		"this address is suppressed because of %s, which only its owner can take back: it ends when they confirm a sign-up anew, or when a later consent of theirs is recorded with its source", x.Reason)}
}

// Suppressed says whether an address is suppressed itself, and why. DomainOf
// tells about its domain.
func (s *Service) Suppressed(ctx context.Context, kind, value string) (Suppression, bool, error) {
	value, err := s.canonical(kind, value)
	if err != nil {
		return Suppression{}, false, err
	}
	sup, ok, err := s.suppressions.Suppressed(ctx, kind, s.fingerprint(kind, value))
	if err != nil {
		return Suppression{}, false, fmt.Errorf("look for a suppression: %w", err)
	}
	return sup, ok, nil
}

// Suppressions lists at most limit suppressions after the given one (the zero
// Suppression for the first page).
func (s *Service) Suppressions(ctx context.Context, after Suppression, limit int) ([]Suppression, error) {
	list, err := s.suppressions.Suppressions(ctx, after.Kind, after.Hash, limit)
	if err != nil {
		return nil, fmt.Errorf("list suppressions: %w", err)
	}
	return list, nil
}
