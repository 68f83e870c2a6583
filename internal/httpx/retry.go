package httpx

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAfter bounds what a receiver may ask for.
const maxAfter = 24 * time.Hour

// RetryAfter reads the header of an answer in its two forms (RFC 9110 section
// 10.2.3), seconds or a date, at most a day; 0 when there is none or it says
// nothing that can be read.
func RetryAfter(res *http.Response, now time.Time) time.Duration {
	text := strings.TrimSpace(res.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxAfter)
	}
	return 0
}
