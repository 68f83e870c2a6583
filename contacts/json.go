package contacts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNesting is how deep lists and objects of an attribute may stand within
// one another: SQLite reads a thousand levels, templates far fewer.
const maxNesting = 100

// portable says why a JSON value cannot be stored on every engine: one such
// value would be refused together with all rows that are written beside it.
func portable(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	depth, values := 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 && values == 1 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s is not JSON", quote(text))
		}
		if err := portableToken(t); err != nil {
			return err
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			values++
		}
		if depth > maxNesting {
			return fmt.Errorf("it has more than %d lists and objects within one another", maxNesting)
		}
	}
}

func portableToken(t json.Token) error {
	switch t := t.(type) {
	case string:
		// The decoder writes the replacement character for half a surrogate.
		if strings.ContainsRune(t, 0) || strings.ContainsRune(t, utf8.RuneError) {
			return errors.New(`it holds a character that is none (\u0000, or half of a pair \ud800 to \udfff)`)
		}
	case json.Number:
		if !fits(t.String()) {
			return fmt.Errorf("%s is larger, or nearer to zero, than a number can be", quote(t.String()))
		}
	}
	return nil
}

// maxNumber is how many characters a number may have.
const maxNumber = 400

// fits says whether a number is one to every engine: neither too large for a
// float64 nor so small that it would become zero.
func fits(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || len(number) > maxNumber {
		return false
	}
	digits, _, _ := strings.Cut(strings.ToLower(number), "e")
	return f != 0 || !strings.ContainsAny(digits, "123456789")
}
