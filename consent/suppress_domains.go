package consent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rapport"
)

// SuppressDomain forbids every address of a receiving domain, and with
// Subdomains those of all domains below it. It is no error when it is there
// already: the first reason stays, and it is only ever widened. At and Actor
// are filled in; an end must lie ahead.
func (s *Service) SuppressDomain(ctx context.Context, x SuppressedDomain) (bool, error) {
	x, err := s.suppressedDomain(ctx, x)
	if err != nil {
		return false, err
	}
	n, err := s.domains.SuppressDomains(ctx, []SuppressedDomain{x})
	if err != nil {
		return false, fmt.Errorf("suppress a domain: %w", err)
	}
	return n > 0, nil
}

func (s *Service) suppressedDomain(ctx context.Context, x SuppressedDomain) (SuppressedDomain, error) {
	var err error
	if x.Domain, err = s.canonicalDomain(x.Kind, x.Domain); err != nil {
		return x, err
	}
	if x.Reason, err = reasonOf(x.Reason); err != nil {
		return x, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	if !x.Expires.IsZero() && !x.Expires.After(now) {
		return x, rapport.Invalidf("expires", "%s is over already", x.Expires.Format(time.RFC3339))
	}
	x.Actor = rapport.ActorOf(ctx).Name
	x.At, err = happened(x.At, now)
	return x, err
}

// DomainKinds lists the kinds of address that have a domain.
func (s *Service) DomainKinds() []string {
	var out []string
	for _, a := range s.drivers.AddressKinds() {
		if a.Separator == DomainSeparator {
			out = append(out, a.Kind)
		}
	}
	return out
}

// canonicalDomain spells a domain as the addresses of a kind have it.
func (s *Service) canonicalDomain(kind, domain string) (string, error) {
	a, err := s.addressKind(kind)
	if err != nil {
		return "", err
	}
	if a.Separator != DomainSeparator {
		return "", rapport.Invalidf("kind", "addresses of kind %s have no domain", kind)
	}
	domain = strings.TrimPrefix(strings.TrimSpace(domain), a.Separator)
	address, err := a.Normalize("a" + a.Separator + domain)
	if err != nil || strings.Contains(domain, a.Separator) {
		return "", rapport.Invalidf("domain", "%q is not a domain; they look like example.com", domain)
	}
	return a.Domain(address), nil
}

// UnsuppressDomain lets a domain be written to again, as far as consent and
// the suppressions of addresses allow.
func (s *Service) UnsuppressDomain(ctx context.Context, kind, domain string) error {
	domain, err := s.canonicalDomain(kind, domain)
	if err != nil {
		return err
	}
	found, err := s.domains.UnsuppressDomain(ctx, kind, domain)
	if err != nil {
		return fmt.Errorf("remove a suppressed domain: %w", err)
	}
	if !found {
		return rapport.NotFoundf("the domain %s is not suppressed", domain)
	}
	return nil
}

// SuppressedDomains lists at most limit domains after the given one (the zero
// SuppressedDomain for the first page).
func (s *Service) SuppressedDomains(ctx context.Context, after SuppressedDomain, limit int) ([]SuppressedDomain, error) {
	list, err := s.domains.SuppressedDomains(ctx, after.Kind, after.Domain, limit)
	if err != nil {
		return nil, fmt.Errorf("list suppressed domains: %w", err)
	}
	return list, nil
}

// DomainOf says whether the domain of an address is suppressed, and by what.
func (s *Service) DomainOf(ctx context.Context, kind, value string) (SuppressedDomain, bool, error) {
	value, err := s.canonical(kind, value)
	if err != nil {
		return SuppressedDomain{}, false, err
	}
	x, ok, err := s.domains.DomainOf(ctx, kind, value)
	if err != nil {
		return SuppressedDomain{}, false, fmt.Errorf("look for a suppressed domain: %w", err)
	}
	return x, ok, nil
}

// MayTest refuses a test message to an address that nobody may write to: it is
// suppressed itself, or its domain is. Denied says why.
func (s *Service) MayTest(ctx context.Context, kind, address string) error {
	x, suppressed, err := s.Suppressed(ctx, kind, address)
	if err != nil {
		return err
	}
	if suppressed {
		return DenyTest("it is suppressed because of " + x.Reason)
	}
	d, suppressed, err := s.DomainOf(ctx, kind, address)
	if err != nil {
		return err
	}
	if suppressed {
		return DenyTest("the domain " + d.Domain + " is suppressed because of " + d.Reason)
	}
	return nil
}

// DenyTest is the refusal of a test message.
func DenyTest(why string) error {
	return &rapport.Error{Kind: rapport.Denied, Field: "to", Msg: "nobody may write to this address: " + why}
}

// EndDomains takes off the domains whose time is over and returns how many. It
// is daily work: until it runs a domain stays forbidden.
func (s *Service) EndDomains(ctx context.Context) (int, error) {
	n, err := s.domains.EndDomains(ctx, s.now())
	if err != nil {
		return 0, fmt.Errorf("end suppressed domains: %w", err)
	}
	return n, nil
}
