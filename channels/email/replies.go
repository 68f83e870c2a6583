package email

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rapport/channels"
	"rapport/internal/strictyaml"
)

// repliesFile is what is known about the answers of mail servers. Its head
// says how it is read.
//
//go:embed replies.yaml
var repliesFile []byte

// known is what the file says, read when the first server refuses something.
// A test proves that it can be read.
//
//nolint:gochecknoglobals // an embedded file, parsed once and never changed
var known = sync.OnceValue(func() *knowledge {
	k, err := readReplies("replies.yaml", repliesFile)
	if err != nil {
		panic(fmt.Sprintf("the built-in table of replies: %v", err))
	}
	return k
})

// knowledge is the table: what servers say, what it means, and who says so.
type knowledge struct {
	Sources  map[string]origin `json:"sources"`
	Meanings []meaning         `json:"meanings"`
	Replies  []rule            `json:"replies"`
}

// origin is a public page or standard.
type origin struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// meaning is what a kind of reply does to the delivery, the address and the
// channel, with the sentences that tell a person.
type meaning struct {
	Name    string            `json:"name"`
	Verdict verdictWord       `json:"verdict"`
	Reason  string            `json:"reason"`
	Scope   scopeWord         `json:"scope"`
	Strike  bool              `json:"strike"`
	Wait    channels.Duration `json:"wait"`
	Means   string            `json:"means"`
	Does    string            `json:"does"`
	Todo    string            `json:"todo"`
}

// rule is one row: a reply that all it names fits has its meaning.
type rule struct {
	ID       string   `json:"id"`
	From     string   `json:"from"` // who answers like this; empty: anybody
	At       string   `json:"at"`
	Code     string   `json:"code"`
	Enhanced string   `json:"enhanced"`
	Text     []string `json:"text"`
	Means    string   `json:"means"`
	Source   string   `json:"source"`
	Section  string   `json:"section"`
	Verified bool     `json:"verified"`
	Example  string   `json:"example"`

	phases  uint16 // a bit for each phase
	codes   []span
	details []detail
	meaning *meaning
}

// span is a range of numbers, both ends in it.
type span struct{ from, to int }

func (s span) holds(n int) bool { return s.from <= n && n <= s.to }

// detail is an enhanced code without its class; the zero value is none at all.
type detail struct {
	subject int // -1: the reply has no enhanced code
	numbers span
}

// verdictWord and scopeWord are how the file writes them.
type (
	verdictWord channels.Verdict
	scopeWord   channels.Scope
)

// UnmarshalText reads the name of a verdict.
func (v *verdictWord) UnmarshalText(text []byte) error {
	for _, known := range channels.Verdicts() {
		if known.String() == string(text) {
			*v = verdictWord(known)
			return nil
		}
	}
	return fmt.Errorf("%q is not a verdict", text)
}

// UnmarshalText reads how much a throttle is about.
func (s *scopeWord) UnmarshalText(text []byte) error {
	switch string(text) {
	case "channel":
		*s = scopeWord(channels.WholeChannel)
	case "server":
		*s = scopeWord(channels.OneServer)
	case "domain":
		*s = scopeWord(channels.OneDomain)
	default:
		return fmt.Errorf("%q is not a scope: channel, server or domain", text)
	}
	return nil
}

// phaseWords are the phases by name, and the groups of them.
func phaseWords() map[string]uint16 {
	words := map[string]uint16{}
	names := []string{"connect", "hello", "tls", "auth", "mail", "rcpt", "data", "body", "dot"}
	for i, name := range names {
		words[name] = 1 << i
		words["any"] |= 1 << i
	}
	words["letter"] = words["data"] | words["body"] | words["dot"]
	words["address"] = words["rcpt"] | words["letter"]
	return words
}

// readReplies reads the table and makes its rows ready to be asked.
func readReplies(name string, file []byte) (*knowledge, error) {
	k := &knowledge{}
	if err := strictyaml.Decode(name, file, k); err != nil {
		return nil, err
	}
	meanings := map[string]*meaning{}
	for i := range k.Meanings {
		m := &k.Meanings[i]
		if m.Name == "" || meanings[m.Name] != nil {
			return nil, fmt.Errorf("meaning %d: %q has no name of its own", i, m.Name)
		}
		meanings[m.Name] = m
	}
	words := phaseWords()
	for i := range k.Replies {
		r := &k.Replies[i]
		r.meaning = meanings[r.Means]
		if err := r.prepare(words); err != nil {
			return nil, fmt.Errorf("reply %q: %w", r.ID, err)
		}
		if _, ok := k.Sources[r.Source]; !ok && (r.Verified || r.Source != "") {
			return nil, fmt.Errorf("reply %q: there is no source %q", r.ID, r.Source)
		}
	}
	return k, nil
}

func (r *rule) prepare(words map[string]uint16) error {
	if r.meaning == nil {
		return fmt.Errorf("there is no meaning %q", r.Means)
	}
	for word := range strings.FieldsSeq(r.At) {
		if words[word] == 0 {
			return fmt.Errorf("%q is not a phase", word)
		}
		r.phases |= words[word]
	}
	for word := range strings.FieldsSeq(r.Code) {
		codes, err := readCode(word)
		if err != nil {
			return err
		}
		r.codes = append(r.codes, codes)
	}
	for word := range strings.FieldsSeq(r.Enhanced) {
		d, err := readDetail(word)
		if err != nil {
			return err
		}
		r.details = append(r.details, d)
	}
	switch {
	case r.phases == 0 || len(r.codes) == 0:
		return errors.New("names no phase or no code")
	case slices.ContainsFunc(r.Text, func(t string) bool { return len(t) < 3 || t != plainWords(t) }):
		return errors.New("a text is not plain: lower case, single spaces, no address, three letters at least")
	}
	return nil
}

// readCode reads "550", "4xx" or "5xx".
func readCode(word string) (span, error) {
	switch word {
	case "4xx":
		return span{400, 499}, nil
	case "5xx":
		return span{500, 599}, nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 400 || n > 599 {
		return span{}, fmt.Errorf("%q is not a code of a refusal", word)
	}
	return span{n, n}, nil
}

// readDetail reads "X.1.1", "X.7." for a whole subject, "X.7.606-649" or
// "none".
func readDetail(word string) (detail, error) {
	if word == "none" {
		return detail{subject: -1}, nil
	}
	rest, ok := strings.CutPrefix(word, "X.")
	subject, number, both := strings.Cut(rest, ".")
	d := detail{numbers: span{0, 999}}
	var errs [3]error
	d.subject, errs[0] = strconv.Atoi(subject)
	if number != "" {
		from, to, isRange := strings.Cut(number, "-")
		d.numbers.from, errs[1] = strconv.Atoi(from)
		d.numbers.to = d.numbers.from
		if isRange {
			d.numbers.to, errs[2] = strconv.Atoi(to)
		}
	}
	if !ok || !both || errors.Join(errs[:]...) != nil {
		return detail{}, fmt.Errorf("%q is not an enhanced code like X.1.1", word)
	}
	return d, nil
}

// heard is a reply as the rows are asked about it.
type heard struct {
	at     phase
	code   int
	detail detail // numbers.from is the number
	text   string // plain
}

func hear(at phase, r reply) heard {
	h := heard{at: at, code: r.code, text: plainWords(r.text), detail: detail{subject: -1}}
	if _, rest, ok := strings.Cut(r.enhanced, "."); ok {
		if d, err := readDetail("X." + rest); err == nil {
			h.detail = d
		}
	}
	return h
}

// plainWords is a text as the rows write theirs: lower case, single spaces,
// and without addresses, whose owners choose what stands in them.
func plainWords(text string) string {
	return strings.ToLower(strings.Join(strings.Fields(addressPattern.ReplaceAllString(text, " ")), " "))
}

// find is the first applied row that the reply fits; nil when there is none.
func (k *knowledge) find(h heard) *rule {
	for i := range k.Replies {
		if r := &k.Replies[i]; r.Verified && r.fits(h) {
			return r
		}
	}
	return nil
}

func (r *rule) fits(h heard) bool {
	return r.phases&(1<<h.at) != 0 &&
		slices.ContainsFunc(r.codes, func(s span) bool { return s.holds(h.code) }) &&
		(len(r.details) == 0 || slices.ContainsFunc(r.details, func(d detail) bool { return d.fits(h.detail) })) &&
		(len(r.Text) == 0 || slices.ContainsFunc(r.Text, func(t string) bool { return strings.Contains(h.text, t) }))
}

func (d detail) fits(of detail) bool {
	if d.subject < 0 || of.subject < 0 {
		return d.subject < 0 && of.subject < 0
	}
	return d.subject == of.subject && d.numbers.holds(of.numbers.from)
}

// failure is what the meaning says of a reply with these words. Before a
// recipient was named, nothing can be about its domain.
func (m *meaning) failure(at phase, text string) channels.Failure {
	f := channels.Failure{
		Verdict: channels.Verdict(m.Verdict), Reason: m.Reason, Strike: m.Strike,
		Scope: channels.Scope(m.Scope), After: time.Duration(m.Wait),
	}
	if f.Scope == channels.OneDomain && at < atRcpt {
		f.Scope = channels.OneServer
	}
	if f.Verdict == channels.Temporary || f.Verdict == channels.Throttled {
		f.After = max(f.After, wait(text))
	}
	return f
}
