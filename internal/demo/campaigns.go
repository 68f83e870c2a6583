package demo

import (
	"context"
	"fmt"
	"time"

	"rapport"
	"rapport/campaigns"
)

// segment is a group of customers that a campaign is for.
type segment struct{ name, title, condition string }

func segments() []segment {
	return []segment{
		{"readers", "Bought something in the last half year", `contact.last_order > now - duration("4392h")`},
		{"partners", "In our workspace, silver and better", `has(contact.slack) && contact.tier in ["silver", "gold", "platinum"]`},
		{"collectors", "More than 500 points", `contact.points >= 500`},
	}
}

// definitions are the three campaigns, one for each channel, in the names they
// have for the first time.
func definitions(now time.Time) []campaigns.Definition {
	at := campaigns.Schedule{Now: true}
	party := now.UTC().AddDate(0, 1, 0).Truncate(24 * time.Hour).Add(17 * time.Hour)
	return []campaigns.Definition{
		{
			Name: "news", Title: "News for readers", Topic: "newsletter", Channel: "newsletter", Template: "demo-news",
			Audience: campaigns.Audience{Segments: []string{"readers"}}, Schedule: at,
		},
		{
			Name: "evening", Title: "An evening for partners", Topic: "events", Channel: "team", Template: "demo-evening",
			Audience: campaigns.Audience{Segments: []string{"partners"}}, Schedule: at,
			Data: map[string]any{"at": party.Format(time.RFC3339)},
		},
		{
			Name: "gift", Title: "A gift for collectors", Topic: "offers", Channel: "shop", Template: "demo-gift",
			Audience: campaigns.Audience{Segments: []string{"collectors"}}, Schedule: at,
			Data: map[string]any{"percent": 15, "until": party.Format(time.DateOnly)},
		},
	}
}

// service is what the demo asks of campaigns.
type service interface {
	Show(ctx context.Context, ref string) (campaigns.Campaign, error)
	Cancel(ctx context.Context, ref string) (campaigns.Campaign, error)
}

// round finds how often the demo has run on this data: its campaigns are news,
// news-2, news-3 and so on. What an earlier demo left unfinished is cancelled,
// so that the receivers of this one get nothing of it.
func round(ctx context.Context, s service, defs []campaigns.Definition) (n int, err error) {
	for n = 1; ; n++ {
		known := false
		for _, d := range defs {
			c, err := s.Show(ctx, named(d.Name, n))
			switch {
			case rapport.KindOf(err) == rapport.NotFound:
				continue
			case err != nil:
				return n, fmt.Errorf("look for an earlier demo: %w", err)
			}
			known = true
			switch c.State {
			case campaigns.Scheduled, campaigns.Running, campaigns.Paused:
				if _, err := s.Cancel(ctx, c.Name); err != nil {
					return n, fmt.Errorf("end what an earlier demo left: %w", err)
				}
			case campaigns.Draft, campaigns.Finished, campaigns.Cancelled:
			}
		}
		if !known {
			return n, nil
		}
	}
}

func named(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n)
}
