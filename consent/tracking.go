package consent

// TopicTracking is the built-in topic of marketing kind that says whether
// opens and clicks of a person may be attributed to them, for each driver on
// its own. Nobody is written to about it.
const TopicTracking = "tracking"

// Tracking is the built-in topic. A configuration that lists it may give it
// other titles and no other kind.
func Tracking() Topic {
	return Topic{Name: TopicTracking, Kind: Marketing, Priority: Low, Title: map[string]string{
		"en": "Personal statistics: which letters I open and which links I follow",
		"de": "Persönliche Statistik: welche Nachrichten ich öffne und welchen Links ich folge",
	}}
}
