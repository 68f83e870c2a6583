package responses

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

var testKey = bytes.Repeat([]byte{7}, 32)

func testTokens(t testing.TB, key []byte, older ...[]byte) *Tokens {
	t.Helper()
	tokens, err := NewTokens(key, older...)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

var subjects = []Subject{
	{Run: 1, Contact: 1},
	{Run: 1, Contact: 0},
	{Run: 1 << 40, Contact: 987654321},
	{Run: math.MaxInt64, Contact: math.MaxInt64},
}

func TestTokensReadBack(t *testing.T) {
	tokens := testTokens(t, testKey)
	for _, p := range purposes() {
		for _, s := range subjects {
			if p.scoped() {
				s.Driver, s.Topic = "pigeon", strings.Repeat("t", maxName)
			}
			token := tokens.Sign(p, s)
			if got, err := tokens.Read(p, token); err != nil || got != s {
				t.Errorf("%s: %+v came back as %+v, %v", p, s, got, err)
			}
			if again := tokens.Sign(p, s); again != token {
				t.Errorf("%s: the same subject has two tokens", p)
			}
			for _, other := range purposes() {
				if _, err := tokens.Read(other, token); other != p && !errors.Is(err, ErrToken) {
					t.Errorf("a token for %s was taken for %s: %v", p, other, err)
				}
			}
		}
	}
}

func TestTokensOfAnotherKey(t *testing.T) {
	old, rotated := testTokens(t, testKey), testTokens(t, bytes.Repeat([]byte{8}, 32), testKey)
	s := Subject{Run: 4, Contact: 5}
	if got, err := rotated.Read(ForClick, old.Sign(ForClick, s)); err != nil || got != s {
		t.Errorf("a token of the older key: %+v, %v", got, err)
	}
	if _, err := old.Read(ForClick, rotated.Sign(ForClick, s)); !errors.Is(err, ErrToken) {
		t.Errorf("a token of a key that is not known: %v", err)
	}
	if _, err := NewTokens(testKey[:31]); err == nil {
		t.Error("a short key was taken")
	}
}

// Every change of a token makes it worthless: no bit of it is left unsigned
// and no other spelling means the same.
func TestChangedTokens(t *testing.T) {
	tokens := testTokens(t, testKey)
	for _, p := range purposes() {
		s := Subject{Run: 300, Contact: 70000}
		if p.scoped() {
			s.Driver, s.Topic = "pigeon", "news"
		}
		token := tokens.Sign(p, s)
		bad := []string{"", "x", token[1:], token[:len(token)-1], token + "A", token + "=", token + "\n", " " + token, strings.Repeat(token, 9), "%00" + token}
		for i := range token {
			for _, c := range []byte("Aa0-_/+Zz9\x00\xff") {
				if p.folded() && strings.EqualFold(string(c), token[i:i+1]) {
					continue // its case may change on the way
				}
				if c != token[i] {
					bad = append(bad, token[:i]+string(c)+token[i+1:])
				}
			}
		}
		for _, b := range bad {
			if got, err := tokens.Read(p, b); !errors.Is(err, ErrToken) || got != (Subject{}) {
				t.Errorf("%s: %q was read as %+v, %v", p, b, got, err)
			}
		}
	}
}

func TestGuesses(t *testing.T) {
	tokens := testTokens(t, testKey)
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 20)
	for range 20_000 {
		b[0], b[1], b[2], b[3] = version, byte(r.IntN(127)), byte(r.IntN(127)), byte(r.IntN(256))
		for i := 3; i < len(b); i++ {
			b[i] = byte(r.IntN(256))
		}
		if s, err := tokens.Read(ForClick, tokens.spelling.EncodeToString(b)); err == nil {
			t.Fatalf("guessed %+v", s)
		}
	}
}

func TestReturnToken(t *testing.T) {
	tokens := testTokens(t, testKey)
	plain := regexp.MustCompile(`^[a-z0-9]{1,57}$`)
	for _, s := range subjects {
		token := tokens.Sign(ForReturn, s)
		if !plain.MatchString(token) {
			t.Errorf("return token %q", token)
		}
		if got, err := tokens.Read(ForReturn, strings.ToUpper(token)); err != nil || got != s {
			t.Errorf("in upper case: %+v, %v", got, err)
		}
	}
}

// TestReplyToken: what a mail names to end something survives a change of
// case, fits into a header and holds all it needs.
func TestReplyToken(t *testing.T) {
	tokens := testTokens(t, testKey)
	plain := regexp.MustCompile(`^[a-z0-9]{40,300}$`)
	s := Subject{Run: 1 << 40, Contact: 987654321, Driver: "pigeon", Topic: strings.Repeat("t", maxName)}
	token := NewLinker(tokens, "").Reply(s)
	if !plain.MatchString(token) {
		t.Errorf("reply token %q", token)
	}
	if got, err := tokens.Read(ForReply, strings.ToUpper(token)); err != nil || got != s {
		t.Errorf("in upper case: %+v, %v", got, err)
	}
}

func TestLinks(t *testing.T) {
	tokens := testTokens(t, testKey)
	s := Subject{Run: 12, Contact: 345, Driver: "pigeon", Topic: "news"}
	links := NewLinker(tokens, "https://news.example.com/x/").For(s, false)
	read := func(p Purpose, link, prefix, suffix string) Subject {
		t.Helper()
		rest, ok := strings.CutPrefix(link, "https://news.example.com/x"+prefix)
		token, end := strings.CutSuffix(rest, suffix)
		if !ok || !end || !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
			t.Fatalf("link %q", link)
		}
		got, err := tokens.Read(p, token)
		if err != nil {
			t.Fatalf("%s: %v", link, err)
		}
		return got
	}
	hit := Subject{Run: 12, Contact: 345}
	for _, c := range []struct {
		p                    Purpose
		link, prefix, suffix string
		want                 Subject
	}{
		{ForClick, links.Click(0), "/c/", "/0", hit},
		{ForClick, links.Click(17), "/c/", "/17", hit},
		{ForOpen, links.Open(), "/o/", ".gif", hit},
		{ForUnsubscribe, links.Unsubscribe(), "/u/", "", s},
		{ForPreferences, links.Preferences(), "/p/", "", s},
		{ForView, links.View(), "/v/", "", hit},
	} {
		if got := read(c.p, c.link, c.prefix, c.suffix); got != c.want {
			t.Errorf("%s is about %+v", c.link, got)
		}
	}
	nobody := NewLinker(tokens, "https://news.example.com/x").For(s, true)
	if got := read(ForClick, nobody.Click(1), "/c/", "/1"); got != (Subject{Run: 12}) {
		t.Errorf("an anonymous click names %+v", got)
	}
	if got := read(ForUnsubscribe, nobody.Unsubscribe(), "/u/", ""); got != s {
		t.Errorf("the way out must name the person: %+v", got)
	}
}

// One letter with 20 links, a pixel and the way out; target 3 µs.
func BenchmarkLinks(b *testing.B) {
	linker := NewLinker(testTokens(b, testKey), "https://news.example.com")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l := linker.For(Subject{Run: 12, Contact: int64(i), Driver: "pigeon", Topic: "news"}, false)
		n := 0
		for j := range 20 {
			n += len(l.Click(j))
		}
		if n+len(l.Open())+len(l.Unsubscribe()) == 0 {
			b.Fatal("no links")
		}
	}
}
