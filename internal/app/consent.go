package app

import (
	"cmp"
	"context"

	"rapport/config"
	"rapport/consent"
)

// ConsentTerms is what the configuration says about every entry of the ledger.
func ConsentTerms(c config.Config) consent.Terms {
	t := consent.Terms{
		Controller: cmp.Or(c.Consent.Controller, c.Name), Jurisdiction: c.Consent.Jurisdiction, Categories: c.Consent.Categories,
		Expires: map[string]consent.Span{}, Networks: c.Networks(),
	}
	for topic, span := range c.Consent.Expires {
		t.Expires[topic] = consent.Span(span)
	}
	return t
}

// expireConsent is the daily chore that notes in the ledger what has come to
// its end.
func (h *House) expireConsent() DailyChore {
	return DailyChore{
		Name: "expire-consent", What: "notes in the ledger which permissions have come to their end",
		Do: func(ctx context.Context) (map[string]int, error) {
			n, err := h.Consent.Expire(ctx)
			return map[string]int{"expired": n}, err
		},
	}
}
