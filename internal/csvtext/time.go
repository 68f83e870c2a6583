package csvtext

import (
	"strconv"
	"strings"
	"time"
)

// Time reads a moment as tools write it into tables: year first, or as in a
// letter's Date, or seconds since 1970. Where no offset stands it is UTC.
// Dates whose day and month could be the other way round are not read.
func Time(cell string) (time.Time, bool) {
	cell = strings.TrimSpace(cell)
	if seconds, err := strconv.ParseInt(cell, 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC(), len(cell) == 10
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006-01-02T15:04:05", "2006-01-02T15:04",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05 -0700 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST",
		"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST",
	} {
		t, err := time.Parse(layout, cell)
		if err != nil {
			continue
		}
		if name, offset := t.Zone(); strings.HasSuffix(layout, " MST") && !strings.Contains(layout, "-0700") && offset == 0 && name != "UTC" && name != "GMT" {
			return time.Time{}, false // a zone by a name that says nothing certain
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}
