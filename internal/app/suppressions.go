package app

import "context"

// endDomains takes off the suppressed domains whose time is over.
func (h *House) endDomains() DailyChore {
	return DailyChore{
		Name: "end-domains", What: "lets domains go whose suppression has come to its end",
		Do: func(ctx context.Context) (map[string]int, error) {
			n, err := h.Consent.EndDomains(ctx)
			return map[string]int{"ended": n}, err
		},
	}
}
