package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is how many in how long: 50 a second, 600 a minute. The zero Rate is
// no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// ParseRate reads "50/s", "600/m", "1000/h" or "20000/d".
func ParseRate(text string) (Rate, error) {
	wrong := fmt.Errorf("%q is not a rate; write it like 50/s, 600/m, 1000/h or 20000/d", text)
	count, unit, ok := strings.Cut(strings.TrimSpace(text), "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 || n > math.MaxInt32 {
		return Rate{}, wrong
	}
	switch strings.TrimSpace(unit) {
	case "s":
		return Rate{n, time.Second}, nil
	case "m":
		return Rate{n, time.Minute}, nil
	case "h":
		return Rate{n, time.Hour}, nil
	case "d":
		return Rate{n, 24 * time.Hour}, nil
	}
	return Rate{}, wrong
}

// IsZero says whether there is no limit.
func (r Rate) IsZero() bool { return r.N == 0 || r.Per == 0 }

// PerSecond is the rate as a number a second; 0 for no limit.
func (r Rate) PerSecond() float64 {
	if r.IsZero() {
		return 0
	}
	return float64(r.N) / r.Per.Seconds()
}

// String writes the rate as ParseRate reads it; "" for no limit.
func (r Rate) String() string {
	switch {
	case r.IsZero():
		return ""
	case r.Per == time.Second:
		return strconv.Itoa(r.N) + "/s"
	case r.Per == time.Minute:
		return strconv.Itoa(r.N) + "/m"
	case r.Per == time.Hour:
		return strconv.Itoa(r.N) + "/h"
	}
	return strconv.Itoa(int(float64(r.N)/(r.Per.Hours()/24))) + "/d"
}

// UnmarshalJSON reads "50/s"; an empty text is no limit.
func (r *Rate) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return fmt.Errorf("%s is not a rate; write it like 50/s or 600/m", b)
	}
	if text == "" {
		*r = Rate{}
		return nil
	}
	got, err := ParseRate(text)
	if err == nil {
		*r = got
	}
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (r Rate) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// Size is a number of bytes.
type Size int64

// units of a size, the longest names first so that KiB is not read as B.
func units() []struct {
	name  string
	bytes Size
} {
	return []struct {
		name  string
		bytes Size
	}{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"KB", 1_000},
		{"MB", 1_000_000},
		{"GB", 1_000_000_000},
		{"B", 1},
	}
}

// ParseSize reads "10MB", "64KiB" or a plain number of bytes. KB, MB and GB
// are powers of 1000; KiB, MiB and GiB of 1024.
func ParseSize(text string) (Size, error) {
	wrong := fmt.Errorf("%q is not a size; write it like 64KB, 10MB or 1GiB", text)
	count, unit := strings.TrimSpace(text), Size(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(count, u.name); ok {
			count, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, wrong
	}
	return Size(n) * unit, nil
}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	if s == 0 {
		return "0B"
	}
	for _, name := range []string{"GB", "GiB", "MB", "MiB", "KB", "KiB"} {
		for _, u := range units() {
			if u.name == name && s%u.bytes == 0 {
				return strconv.FormatInt(int64(s/u.bytes), 10) + name
			}
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// UnmarshalJSON reads "10MB" or a number of bytes.
func (s *Size) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	got, err := ParseSize(text)
	if err == nil {
		*s = got
	}
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
