package templates

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// language is how a language writes dates and numbers.
type language struct {
	months, weekdays []string
	decimal, group   string
	currencyAfter    bool
	dateForm         string // default of the date filter
}

func languageOf(locale string) language {
	tag, _, _ := strings.Cut(locale, "-")
	german := []string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}
	english := []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	englishDays := []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	if strings.EqualFold(tag, "de") {
		return language{
			months:   german,
			weekdays: []string{"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"},
			decimal:  ",", group: ".", currencyAfter: true, dateForm: "%-d. %B %Y",
		}
	}
	l := language{months: english, weekdays: englishDays, decimal: ".", group: ",", dateForm: "%-d %B %Y"}
	if !strings.EqualFold(tag, "en") {
		l.dateForm = "%Y-%m-%d" // no words of a foreign language
	}
	return l
}

// addFormats adds dates, numbers and money as people of the locale write them.
func addFormats(f *filterSet, l language) {
	f.AddFilter("date", l.dateOf)
	f.AddFilter("number", func(v any, places func(int) int) (string, error) { return l.numberFrom(v, places(-1)) })
	f.AddFilter("money", l.moneyFrom)
}

// dateOf is the filter date.
func (l language) dateOf(v any, form string, now time.Time) (string, error) {
	if v == nil || v == "" {
		return "", nil
	}
	t, err := timeOf(v, now)
	if err != nil {
		return "", err
	}
	if form == "" {
		form = l.dateForm
	}
	return l.date(t, form)
}

// numberFrom is the filter number; places below 0: as many as there are.
func (l language) numberFrom(v any, places int) (string, error) {
	n, err := numberOf(v)
	if err != nil {
		return "", err
	}
	if places > 9 {
		return "", problemf("", 0, "shows at most 9 decimal places")
	}
	return l.number(strconv.FormatFloat(n, 'f', places, 64)), nil
}

// moneyFrom is the filter money.
func (l language) moneyFrom(v any, currency string) (string, error) {
	n, err := numberOf(v)
	if err != nil {
		return "", err
	}
	return l.money(n, currency)
}

// timeOf reads a time: a time, "2026-12-24", an RFC 3339 text, "now", or
// seconds since 1970. A bare date stays that date in every zone.
func timeOf(v any, now time.Time) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v.In(now.Location()), nil
	case int:
		return time.Unix(int64(v), 0).In(now.Location()), nil
	case int64:
		return time.Unix(v, 0).In(now.Location()), nil
	case float64:
		return time.UnixMicro(int64(v * 1e6)).In(now.Location()), nil
	}
	text := strings.TrimSpace(fmt.Sprint(v))
	switch text {
	case "now", "today":
		return now, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05.999999Z07:00"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.In(now.Location()), nil
		}
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, problemf("", 0, "the value is not a date; write dates like 2026-12-24 or 2026-12-24T18:00:00Z")
}

// date formats by the letters of strftime.
func (l language) date(t time.Time, form string) (string, error) {
	if len(form) > 200 {
		return "", problemf("", 0, "the format is too long")
	}
	var b strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '%' || i+1 == len(form) {
			b.WriteByte(form[i])
			continue
		}
		i++
		pad := byte('0')
		if (form[i] == '-' || form[i] == '_') && i+1 < len(form) {
			pad = form[i]
			i++
		}
		text, err := l.field(t, form[i], pad)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func (l language) field(t time.Time, c, pad byte) (string, error) {
	two := func(n int) string { return padded(n, 2, pad) }
	switch c {
	case 'Y':
		return strconv.Itoa(t.Year()), nil
	case 'y':
		return two(t.Year() % 100), nil
	case 'm':
		return two(int(t.Month())), nil
	case 'd':
		return two(t.Day()), nil
	case 'e':
		if pad == '0' {
			pad = '_'
		}
		return two(t.Day()), nil
	case 'j':
		return padded(t.YearDay(), 3, pad), nil
	case 'B':
		return l.months[t.Month()-1], nil
	case 'b', 'h':
		return string([]rune(l.months[t.Month()-1])[:3]), nil
	case 'A':
		return l.weekdays[t.Weekday()], nil
	case 'a':
		n := 3
		if l.currencyAfter {
			n = 2
		}
		return l.weekdays[t.Weekday()][:n], nil
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1), nil
	case 'w':
		return strconv.Itoa(int(t.Weekday())), nil
	case 'V':
		_, week := t.ISOWeek()
		return two(week), nil
	case '%':
		return "%", nil
	case 'n':
		return "\n", nil
	}
	return clockField(t, c, two)
}

func clockField(t time.Time, c byte, two func(int) string) (string, error) {
	switch c {
	case 'H', 'k':
		return two(t.Hour()), nil
	case 'I', 'l':
		return two((t.Hour()+11)%12 + 1), nil
	case 'M':
		return two(t.Minute()), nil
	case 'S':
		return two(t.Second()), nil
	case 'p':
		return t.Format("PM"), nil
	case 'P':
		return t.Format("pm"), nil
	case 'Z':
		return t.Format("MST"), nil
	case 'z':
		return t.Format("-0700"), nil
	case 's':
		return strconv.FormatInt(t.Unix(), 10), nil
	case 'F':
		return t.Format(time.DateOnly), nil
	case 'R':
		return t.Format("15:04"), nil
	case 'T', 'X':
		return t.Format(time.TimeOnly), nil
	case 'D', 'x':
		return t.Format("01/02/06"), nil
	}
	return "", problemf("", 0, "the format has %%%c, which stands for nothing; use for example %%d.%%m.%%Y or %%-d %%B %%Y", c)
}

func padded(n, width int, pad byte) string {
	text := strconv.Itoa(n)
	if pad == '-' || len(text) >= width {
		return text
	}
	fill := "0"
	if pad == '_' {
		fill = " "
	}
	return strings.Repeat(fill, width-len(text)) + text
}

var errNotNumber = errors.New("not a number")

func numberOf(v any) (float64, error) {
	var n float64
	var err error
	switch v := v.(type) {
	case nil:
	case int:
		n = float64(v)
	case int64:
		n = float64(v)
	case float64:
		n = v
	case string:
		if v != "" {
			n, err = strconv.ParseFloat(v, 64)
		}
	default:
		err = errNotNumber
	}
	if err != nil || math.IsNaN(n) || math.Abs(n) > 1e15 {
		return 0, problemf("", 0, "the value is not a number")
	}
	return n, nil
}

// number groups the digits of a decimal text.
func (l language) number(text string) string {
	sign := ""
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		sign, text = "−", rest
	}
	whole, rest, hasRest := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + l.group + whole[i:]
	}
	if hasRest {
		whole += l.decimal + rest
	}
	return sign + whole
}

// money writes an amount in minor units with its ISO 4217 code.
func (l language) money(minor float64, currency string) (string, error) {
	places, ok := minorPlaces(currency)
	if !ok {
		return "", problemf("", 0, "needs a currency of three capital letters, like money: \"EUR\"")
	}
	amount := strconv.FormatInt(int64(math.Round(math.Abs(minor))), 10)
	if places > 0 {
		amount = strings.Repeat("0", max(places+1-len(amount), 0)) + amount
		amount = amount[:len(amount)-places] + "." + amount[len(amount)-places:]
	}
	amount = l.number(amount)
	sign := ""
	if math.Round(minor) < 0 {
		sign = "−"
	}
	symbol := symbolOf(currency)
	switch {
	case l.currencyAfter:
		return sign + amount + "\u00A0" + symbol, nil
	case len(symbol) == 3 && symbol == currency:
		return sign + symbol + "\u00A0" + amount, nil
	}
	return sign + symbol + amount, nil
}

func symbolOf(currency string) string {
	switch currency {
	case "EUR":
		return "€"
	case "USD":
		return "$"
	case "GBP":
		return "£"
	case "JPY":
		return "¥"
	}
	return currency
}

// minorPlaces is the number of decimal places of a currency (ISO 4217).
func minorPlaces(currency string) (int, bool) {
	if len(currency) != 3 || strings.ToUpper(currency) != currency {
		return 0, false
	}
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0, true
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3, true
	}
	return 2, true
}
