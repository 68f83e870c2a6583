package config

import "rapport"

// reservedTopic is the name of the built-in topic of tracking.
const reservedTopic = "tracking"

// checkTracking wants words for a ground that is stated for people whom nobody
// asked, and the built-in topic left as it is.
func (l *loader) checkTracking(c Config) {
	if c.TrackingBasis != "consent" && c.TrackingReason == "" {
		l.complain("tracking_reason", "is empty: tracking_basis %s states a ground on which people are tracked whom nobody asked; write why it holds, it stands in reports and in what people are given of their data", c.TrackingBasis)
	}
	for _, t := range c.Topics {
		if t.Name == reservedTopic && t.Kind != "marketing" {
			l.complain("topics", "%s is built in, for permission to attribute opens and clicks to a person; it is marketing, and may be given other titles only", reservedTopic)
		}
	}
}

// Networks is how much of network addresses is kept as evidence.
func (c Config) Networks() rapport.Networks { return rapport.Networks(c.IP) }
