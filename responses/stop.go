package responses

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"rapport/internal/strictyaml"
)

// Wish is what a short text of a person asks for.
type Wish uint8

// The wishes. Perhaps may ask for an end, or mean something else: a person of
// ours has to read it.
const (
	NoWish  Wish = iota
	Stop         // end what was written about
	StopAll      // end everything
	Perhaps
)

// String returns the wish in a word.
func (w Wish) String() string {
	switch w {
	case Stop:
		return "stop"
	case StopAll:
		return "stop all"
	case Perhaps:
		return "perhaps"
	case NoWish:
	}
	return "none"
}

// Heard is what was understood, in which language, and by which words of the
// table.
type Heard struct {
	Wish     Wish
	Language string
	Words    string
}

const (
	maxHeard = 4 << 10 // octets of a text that are looked at
	maxExtra = 3       // words of a signature that a stop may stand above
)

// Hear tells whether a text that a person wrote, without what it quotes, asks
// for an end of messages. It must be such a word or short sentence and nothing
// else but courtesy and a name: "Stop!", "bitte abmelden, danke". Where the
// words only occur in more text the wish is Perhaps. Case, accents, marks,
// invisible characters and the width of letters do not matter. It is pure, and
// good for any channel.
func Hear(text string) Heard {
	v := spoken()
	lines := v.lines(text)
	if len(lines) == 0 {
		return Heard{}
	}
	whole := strings.Join(lines, " ")
	if h, ok := v.find(whole); ok {
		return h
	}
	// The words in the first line, and a name or a greeting below.
	if h, ok := v.find(lines[0]); ok && h.Wish != Perhaps && !strings.ContainsAny(text, "?？") {
		if rest := v.bare(strings.Join(lines[1:], " ")); len(strings.Fields(rest)) <= maxExtra {
			return h
		}
	}
	return v.mentioned(whole)
}

// AppendedBy says whether a line is what a mail program puts below a reply.
func AppendedBy(line string) bool {
	v := spoken()
	line = plain(line)
	for _, a := range v.apps {
		if strings.HasPrefix(line, a) {
			return true
		}
	}
	return false
}

// Languages lists the languages whose words are known.
func Languages() []string { return spoken().languages }

// stopFile is the table of words; its head says how it is read.
//
//go:embed stop.yaml
var stopFile []byte

// spoken is what the table says, read when the first reply comes. A test
// proves that it can be read.
//
//nolint:gochecknoglobals // an embedded file, parsed once and never changed
var spoken = sync.OnceValue(func() *vocabulary {
	v, err := readWords("stop.yaml", stopFile)
	if err != nil {
		panic(fmt.Sprintf("the built-in table of words: %v", err))
	}
	return v
})

// vocabulary is the table, ready to be asked.
type vocabulary struct {
	languages []string
	phrases   map[string]Heard // by words without courtesy
	polite    map[string]bool  // words
	apps      []string
	longest   int // words of the longest phrase
}

// wordRow is one language of the table.
type wordRow struct {
	Language string   `json:"language"`
	Stop     []string `json:"stop"`
	All      []string `json:"all"`
	Perhaps  []string `json:"perhaps"`
	Polite   []string `json:"polite"`
	Apps     []string `json:"apps"`
}

func readWords(name string, file []byte) (*vocabulary, error) {
	var rows []wordRow
	if err := strictyaml.Decode(name, file, &rows); err != nil {
		return nil, err
	}
	v := &vocabulary{phrases: map[string]Heard{}, polite: map[string]bool{}}
	for _, r := range rows {
		v.languages = append(v.languages, r.Language)
		for _, w := range r.Polite {
			for word := range strings.FieldsSeq(plain(w)) {
				v.polite[word] = true
			}
		}
		for _, a := range r.Apps {
			v.apps = append(v.apps, plain(a))
		}
	}
	// What a phrase says without courtesy comes after what all phrases say as
	// they are: "stop" is no "stop all" because "all" is courtesy somewhere.
	for _, key := range []func(phrase string) string{plain, func(phrase string) string { return v.bare(plain(phrase)) }} {
		for _, r := range rows {
			if err := v.enter(r, key); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// enter enters the phrases of a language under their keys.
func (v *vocabulary) enter(r wordRow, key func(phrase string) string) error {
	for _, of := range []struct {
		wish Wish
		list []string
	}{{Stop, r.Stop}, {StopAll, r.All}, {Perhaps, r.Perhaps}} {
		for _, phrase := range of.list {
			if plain(phrase) == "" {
				return fmt.Errorf("language %s: %q says nothing", r.Language, phrase)
			}
			v.add(key(phrase), Heard{Wish: of.wish, Language: r.Language, Words: phrase})
		}
	}
	return nil
}

// add enters a phrase. What two languages share belongs to the first, and what
// is clear in one is not made doubtful by another.
func (v *vocabulary) add(key string, h Heard) {
	if key == "" {
		return
	}
	v.longest = max(v.longest, strings.Count(key, " ")+1)
	if before, known := v.phrases[key]; !known || before.Wish == Perhaps && h.Wish != Perhaps {
		v.phrases[key] = h
	}
}

// find looks a whole text up, as it is and without courtesy.
func (v *vocabulary) find(text string) (Heard, bool) {
	if h, ok := v.phrases[text]; ok {
		return h, true
	}
	h, ok := v.phrases[v.bare(text)]
	return h, ok
}

// bare leaves out the words of courtesy.
func (v *vocabulary) bare(text string) string {
	var out []string
	for word := range strings.FieldsSeq(text) {
		if !v.polite[word] {
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

// mentioned looks for clear words somewhere in a text.
func (v *vocabulary) mentioned(text string) Heard {
	words := strings.Fields(text)
	for from := range words {
		for n := min(v.longest, len(words)-from); n > 0; n-- {
			h, ok := v.phrases[strings.Join(words[from:from+n], " ")]
			if ok && h.Wish != Perhaps {
				h.Wish = Perhaps
				return h
			}
		}
	}
	return Heard{}
}

// lines are the lines of a text that hold words, made plain.
func (v *vocabulary) lines(text string) []string {
	if len(text) > maxHeard {
		text = text[:maxHeard]
	}
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = plain(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// plain makes texts comparable: one form and width of letters, lower case, no
// accents, nothing invisible, single blanks instead of all that is no letter
// and no digit.
func plain(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(text, " ")) {
		switch {
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Mn, r), r == '\u3164', r == '\u115F', r == '\u1160':
			continue // invisible, or an accent of the letter before
		case unicode.IsLetter(r), unicode.IsDigit(r):
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteString(fold(unicode.ToLower(r)))
		case r == '\'' || r == '’' || r == '‘':
			// "don't" is one word, and "m'écrire" is found with or without it
			gap = gap || b.Len() > 0 && !strings.HasSuffix(b.String(), "n")
		default:
			gap = true
		}
	}
	return b.String()
}

// fold writes letters that have no accent to take off like those beside them.
func fold(r rune) string {
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ø':
		return "o"
	case 'ł':
		return "l"
	case 'đ', 'ð':
		return "d"
	case 'ı':
		return "i"
	case 'ς':
		return "σ"
	}
	return string(r)
}
