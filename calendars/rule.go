package calendars

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// rule finds the date of a day in a year; false when there is none in it.
type rule func(year int) (time.Time, bool)

var (
	fixedRule  = regexp.MustCompile(`^(\d{2})-(\d{2})$`)
	singleRule = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2})$`)
	easterRule = regexp.MustCompile(`^easter(?:([+-]\d{1,3}))?$`)
	nthRule    = regexp.MustCompile(`^(1st|2nd|3rd|4th|5th|last) (sun|mon|tue|wed|thu|fri|sat) of (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)$`)
	nearRule   = regexp.MustCompile(`^(sun|mon|tue|wed|thu|fri|sat) (before|after) (\d{2})-(\d{2})$`)
)

// weekdays by the three letters people write.
var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
	"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

const months = "jan feb mar apr may jun jul aug sep oct nov dec"

func date(year, month, day int) (time.Time, bool) {
	d := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return d, int(d.Month()) == month && d.Day() == day
}

// parseRule reads the small language of dates.
func parseRule(text string) (rule, error) {
	if m := fixedRule.FindStringSubmatch(text); m != nil {
		month, day := number(m[1]), number(m[2])
		if _, ok := date(2000, month, day); !ok {
			return nil, fmt.Errorf("%q is no day of the year", text)
		}
		return func(year int) (time.Time, bool) { return date(year, month, day) }, nil
	}
	if m := singleRule.FindStringSubmatch(text); m != nil {
		d, ok := date(number(m[1]), number(m[2]), number(m[3]))
		if !ok {
			return nil, fmt.Errorf("%q is no day", text)
		}
		return func(year int) (time.Time, bool) { return d, d.Year() == year }, nil
	}
	if m := easterRule.FindStringSubmatch(text); m != nil {
		offset := number(m[1])
		return func(year int) (time.Time, bool) { return Easter(year).AddDate(0, 0, offset), true }, nil
	}
	if m := nthRule.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(strings.TrimRight(m[1], "stndrh")) // 0 for the last
		month := time.Month(strings.Index(months, m[3])/4 + 1)
		return func(year int) (time.Time, bool) { return nth(year, month, weekdays[m[2]], n) }, nil
	}
	if m := nearRule.FindStringSubmatch(text); m != nil {
		month, day := number(m[3]), number(m[4])
		if _, ok := date(2000, month, day); !ok {
			return nil, fmt.Errorf("%q is no day of the year", text)
		}
		return func(year int) (time.Time, bool) {
			d, ok := date(year, month, day)
			return near(d, weekdays[m[1]], m[2] == "before"), ok
		}, nil
	}
	return nil, fmt.Errorf("%q is not a rule; write 12-25, 2027-06-15, easter, easter+39, 3rd mon of jan, last mon of may or wed before 11-23", text)
}

// number reads digits with or without a sign; nothing is 0.
func number(digits string) int {
	n, _ := strconv.Atoi(digits) // the pattern has only let digits through
	return n
}

// nth is the n-th weekday of a month, 0 for the last.
func nth(year int, month time.Month, day time.Weekday, n int) (time.Time, bool) {
	if n == 0 {
		end := time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		return near(end, day, true), true
	}
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	d := near(first.AddDate(0, 0, -1), day, false).AddDate(0, 0, 7*(n-1))
	return d, d.Month() == month
}

// near is the last such weekday before a date, or the first one after it.
func near(d time.Time, day time.Weekday, before bool) time.Time {
	if before {
		return d.AddDate(0, 0, -1-(int(d.Weekday())-1-int(day)+14)%7)
	}
	return d.AddDate(0, 0, 1+(int(day)-int(d.Weekday())-1+14)%7)
}

// Easter is Easter Sunday of a Gregorian year, by the computus of Meeus, Jones
// and Butcher (J. Meeus, Astronomical Algorithms, 1991, chapter 8; first
// printed in Nature, 20 April 1876).
func Easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	month := (h + l - 7*m + 90) / 25
	day := (h + l - 7*m + 33*month + 19) % 32
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}
