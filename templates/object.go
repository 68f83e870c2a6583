package templates

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Object reads a JSON object as templates see it: whole numbers are int64,
// others float64. Nothing and null give nil. The error is that of
// encoding/json and quotes no value.
func Object(raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	s := scanText{text: string(raw)}
	if v, ok := s.value(); ok {
		if object, ok := v.(map[string]any); ok {
			return object, nil
		}
	}
	return slowObject(raw)
}

// slowObject is the meaning of Object. It is asked when the quick reader finds
// something unusual, and has the words for what is wrong.
func slowObject(raw json.RawMessage) (map[string]any, error) {
	var out map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	for k, v := range out {
		out[k] = plain(v)
	}
	return out, nil
}

// plain turns the numbers in a value into int64 and float64.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return numberText(v.String())
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

func numberText(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return f
}

// scanText reads JSON from a text whose stretches become the texts it finds.
// What it does not take (ok is false) is not JSON, or so unusual that the
// standard library should read it; what it takes, it reads alike.
type scanText struct {
	text  string
	at    int
	depth int
}

// deepest is how far values may be nested for the quick reader.
const deepest = 100

// next skips blanks and returns the octet that follows; 0 at the end.
func (s *scanText) next() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// object reads an object and hands every name to field, which reads the value.
func (s *scanText) object(field func(name string) bool) bool {
	if s.next() != '{' {
		return false
	}
	s.at++
	if s.next() == '}' {
		s.at++
		return true
	}
	for {
		if s.next() != '"' {
			return false
		}
		name, ok := s.string()
		if !ok || s.next() != ':' {
			return false
		}
		s.at++
		if !field(name) {
			return false
		}
		switch s.next() {
		case ',':
			s.at++
		case '}':
			s.at++
			return true
		default:
			return false
		}
	}
}

func (s *scanText) value() (any, bool) {
	switch c := s.next(); c {
	case '"':
		return s.boxed()
	case '{', '[':
		if s.depth++; s.depth > deepest {
			return nil, false
		}
		defer func() { s.depth-- }()
		if c == '[' {
			return s.list()
		}
		out := map[string]any{}
		ok := s.object(func(name string) bool {
			v, ok := s.value()
			out[name] = v
			return ok
		})
		return out, ok
	case 't':
		return true, s.word("true")
	case 'f':
		return false, s.word("false")
	case 'n':
		return nil, s.word("null")
	}
	return s.number()
}

func (s *scanText) boxed() (any, bool) {
	text, ok := s.string()
	return text, ok
}

func (s *scanText) list() (any, bool) {
	s.at++
	out := []any{}
	if s.next() == ']' {
		s.at++
		return out, true
	}
	for {
		v, ok := s.value()
		if !ok {
			return nil, false
		}
		out = append(out, v)
		switch s.next() {
		case ',':
			s.at++
		case ']':
			s.at++
			return out, true
		default:
			return nil, false
		}
	}
}

func (s *scanText) word(word string) bool {
	ok := strings.HasPrefix(s.text[s.at:], word)
	s.at += len(word)
	return ok
}

// string reads a string; s.at is at its first quote.
func (s *scanText) string() (string, bool) {
	start := s.at + 1
	ascii := true
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			text := s.text[start:i]
			return text, ascii || utf8.ValidString(text)
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			return "", false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", false
}

// escaped reads a string with a backslash at i.
func (s *scanText) escaped(i int) (string, bool) {
	start := s.at
	for ; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '"':
			s.at = i + 1
			var out string
			err := json.Unmarshal([]byte(s.text[start:s.at]), &out)
			return out, err == nil
		}
	}
	return "", false
}

// number reads a number as JSON writes it (RFC 8259 section 6).
func (s *scanText) number() (any, bool) {
	start := s.at
	if s.peek() == '-' {
		s.at++
	}
	whole := s.digits()
	if whole == 0 || whole > 1 && s.text[s.at-whole] == '0' {
		return nil, false
	}
	broken := false
	if s.peek() == '.' {
		broken = true
		s.at++
		if s.digits() == 0 {
			return nil, false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		broken = true
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if s.digits() == 0 {
			return nil, false
		}
	}
	text := s.text[start:s.at]
	if broken || whole > 18 {
		return numberText(text), true
	}
	n := int64(0)
	for _, c := range []byte(text[len(text)-whole:]) {
		n = 10*n + int64(c-'0')
	}
	if text[0] == '-' {
		n = -n
	}
	return n, true
}

func (s *scanText) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanText) digits() int {
	start := s.at
	for s.at < len(s.text) && s.text[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - start
}
