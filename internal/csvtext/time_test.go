package csvtext_test

import (
	"testing"
	"time"

	"rapport/internal/csvtext"
)

func TestTime(t *testing.T) {
	noon := time.Date(2024, 3, 14, 12, 0, 0, 0, time.UTC)
	for _, cell := range []string{
		"2024-03-14T12:00:00Z", "2024-03-14T14:00:00+02:00", "2024-03-14 12:00:00", "2024-03-14 12:00", "2024-03-14T12:00:00",
		"2024-03-14 12:00:00 +0000 UTC", "2024-03-14 14:00:00 +0200 CEST", "2024-03-14 14:00:00+02", "2024-03-14 12:00:00 UTC",
		"Thu, 14 Mar 2024 13:00:00 +0100", "Thu, 14 Mar 2024 12:00:00 UTC", "1710417600", " 2024-03-14 12:00:00 ",
	} {
		if got, ok := csvtext.Time(cell); !ok || !got.Equal(noon) {
			t.Errorf("%q is %v, %t", cell, got, ok)
		}
	}
	if got, ok := csvtext.Time("2024-03-14 12:00:00.5 +0000 UTC"); !ok || !got.Equal(noon.Add(500*time.Millisecond)) {
		t.Error(got, ok)
	}
	if got, ok := csvtext.Time("2024-03-14"); !ok || !got.Equal(noon.Add(-12*time.Hour)) {
		t.Error(got, ok)
	}
	for _, cell := range []string{"", "03/04/2024", "4.3.2024", "yesterday", "2024", "17104176000", "2024-03-14 12:00:00 XYZ"} {
		if got, ok := csvtext.Time(cell); ok {
			t.Errorf("%q is %v", cell, got)
		}
	}
}
