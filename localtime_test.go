package rapport

import (
	"testing"
	"time"
)

func TestLocalTimeInGapAndOverlap(t *testing.T) {
	for _, c := range []struct{ zone, wall, want string }{
		{"Europe/Berlin", "2026-06-01T09:00:00Z", "2026-06-01T07:00:00Z"},
		{"Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T01:00:00Z"}, // gap: first moment after it
		{"Europe/Berlin", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"}, // overlap: the first
		{"America/New_York", "2026-03-08T02:00:00Z", "2026-03-08T07:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-05T01:45:00Z", "2026-04-04T14:45:00Z"}, // half an hour back
		{"Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z"},        // a day that never was
		{"UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		wall, _ := time.Parse(time.RFC3339, c.wall)
		if got := LocalTime(wall, zone).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("LocalTime(%s, %s) = %s, want %s", c.wall, c.zone, got, c.want)
		}
	}
}
