package httpx_test

import (
	"net/http"
	"testing"
	"time"

	"rapport/internal/httpx"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"30":                            30 * time.Second,
		" 7 ":                           7 * time.Second,
		"-5":                            0,
		"0":                             0,
		"1.5":                           0,
		"soon":                          0,
		"9999999999":                    24 * time.Hour,
		"9223372036854775807":           24 * time.Hour,
		"99999999999999999999":          0,
		"Mon, 04 May 2026 12:10:00 GMT": 10 * time.Minute,
		"Mon, 04 May 2026 11:00:00 GMT": 0,
		"Mon, 04 May 2126 11:00:00 GMT": 24 * time.Hour,
	} {
		res := &http.Response{Header: http.Header{"Retry-After": {text}}}
		if got := httpx.RetryAfter(res, now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", text, got, want)
		}
	}
	if got := httpx.RetryAfter(&http.Response{}, now); got != 0 {
		t.Errorf("no header: %s", got)
	}
}
