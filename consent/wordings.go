package consent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rapport"
	"rapport/internal/strictyaml"
)

// Wording is what people were shown when they were asked, word for word, in
// every language it was shown in. A version that exists is never changed.
type Wording struct {
	Name    string            `json:"name"`
	Version int               `json:"version"`
	Texts   map[string]string `json:"texts"` // by language
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor"`
}

// WordingText is one text of a version, as a row keeps it.
type WordingText struct {
	NoticeRef
	Text  string    `json:"text"`
	Actor string    `json:"actor"`
	At    time.Time `json:"at"`
	// Seal ties the row to the one before it.
	Seal string `json:"seal"`
}

// TextHash is the SHA-256 of the exact octets of a text, in hex.
func TextHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// SealWording is the seal of a row that follows the one with the seal before;
// the first follows the empty one.
func SealWording(before string, w WordingText) string {
	var b []byte
	for _, part := range []string{before, w.Name, strconv.Itoa(w.Version), w.Locale, w.Hash, w.Actor} {
		b = strconv.AppendQuote(append(b, ' '), part)
	}
	b = strconv.AppendInt(append(b, ' '), micros(w.At), 10)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// WordingStore keeps wordings.
type WordingStore interface {
	// PutWording appends a version with these texts, unless the newest one of
	// that name has exactly these texts, and returns the version that holds
	// and whether it is new.
	PutWording(ctx context.Context, w Wording) (version int, isNew bool, err error)
	// Wordings returns all texts in the order they were added, and the seal of
	// the last one as it is noted beside the rows, as of one moment.
	Wordings(ctx context.Context) (list []WordingText, head string, err error)
	// WordingsNamed returns the texts of one name, oldest version first and by
	// language.
	WordingsNamed(ctx context.Context, name string) ([]WordingText, error)
}

// maxWording bounds a text: what nobody reads proves nothing.
const maxWording = 64 << 10

var isLocale = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// PutWording stores texts that people will be shown. Where the newest version
// of that name has exactly these texts nothing is written; otherwise they
// become the next version. It returns the version that holds.
func (s *Service) PutWording(ctx context.Context, w Wording) (version int, isNew bool, err error) {
	if err := rapport.CheckName("name", w.Name); err != nil {
		return 0, false, err
	}
	if len(w.Texts) == 0 {
		return 0, false, rapport.Invalidf("texts", "wording %s has no text; write one for each language, like de: …", w.Name)
	}
	for locale, text := range w.Texts {
		switch {
		case !isLocale.MatchString(locale):
			return 0, false, rapport.Invalidf("texts", "%q is not a language; write one like de or de-AT", locale)
		case strings.TrimSpace(text) == "":
			return 0, false, rapport.Invalidf("texts."+locale, "the text is empty")
		case len(text) > maxWording:
			return 0, false, rapport.Invalidf("texts."+locale, "the text has %d octets; at most %d are kept", len(text), maxWording)
		case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
			return 0, false, rapport.Invalidf("texts."+locale, "the text is not valid UTF-8")
		}
	}
	if w.Actor == "" {
		w.Actor = rapport.ActorOf(ctx).Name
	}
	w.At = s.now().UTC().Truncate(time.Microsecond)
	if version, isNew, err = s.wordings.PutWording(ctx, w); err != nil {
		return 0, false, fmt.Errorf("put wording %s: %w", w.Name, err)
	}
	return version, isNew, nil
}

// ReadWordings reads a YAML file of wordings: texts by language under the name
// of each. What it does not know is an error.
func ReadWordings(file string, r io.Reader) ([]Wording, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var texts map[string]map[string]string
	if err := strictyaml.Decode(file, raw, &texts); err != nil {
		return nil, err
	}
	list := make([]Wording, 0, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		list = append(list, Wording{Name: name, Texts: texts[name]})
	}
	return list, nil
}

// Wording finds one text. Version 0 is the newest one; an unknown name,
// version or language is a NotFound error.
func (s *Service) Wording(ctx context.Context, name string, version int, locale string) (WordingText, error) {
	list, err := s.wordings.WordingsNamed(ctx, name)
	if err != nil {
		return WordingText{}, fmt.Errorf("read wording %s: %w", name, err)
	}
	if len(list) == 0 {
		return WordingText{}, rapport.NotFoundf("there is no wording %q; rapport wordings list shows them", name)
	}
	if version == 0 {
		version = list[len(list)-1].Version
	}
	var locales []string
	for _, w := range list {
		if w.Version != version {
			continue
		}
		if w.Locale == locale {
			return w, nil
		}
		locales = append(locales, w.Locale)
	}
	if locales == nil {
		return WordingText{}, rapport.NotFoundf("wording %s has no version %d; the newest is %d", name, version, list[len(list)-1].Version)
	}
	return WordingText{}, rapport.Unknown("language of wording "+name, locale, locales)
}

// LatestWording finds the newest text of a name for a language: in the
// language itself, else in its base (de for de-AT), else in English, else in
// the first there is.
func (s *Service) LatestWording(ctx context.Context, name, locale string) (WordingText, error) {
	list, err := s.wordings.WordingsNamed(ctx, name)
	if err != nil {
		return WordingText{}, fmt.Errorf("read wording %s: %w", name, err)
	}
	if len(list) == 0 {
		return WordingText{}, rapport.NotFoundf("there is no wording %q; rapport wordings list shows them", name)
	}
	newest := list[len(list)-1].Version
	list = slices.DeleteFunc(list, func(w WordingText) bool { return w.Version != newest })
	base, _, _ := strings.Cut(locale, "-")
	for _, want := range []string{locale, base, "en"} {
		if i := slices.IndexFunc(list, func(w WordingText) bool { return w.Locale == want }); i >= 0 {
			return list[i], nil
		}
	}
	return list[0], nil
}

// Wordings lists all versions with their texts, oldest first within a name.
func (s *Service) Wordings(ctx context.Context) ([]Wording, error) {
	list, _, err := s.wordings.Wordings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read wordings: %w", err)
	}
	var out []Wording
	at := map[NoticeRef]int{}
	for _, w := range list {
		key := NoticeRef{Name: w.Name, Version: w.Version}
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, Wording{Name: w.Name, Version: w.Version, Texts: map[string]string{}, At: w.At, Actor: w.Actor})
		}
		out[i].Texts[w.Locale] = w.Text
	}
	slices.SortStableFunc(out, func(a, b Wording) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// verifyWordings recomputes the chain of wordings and returns the hash of each
// text.
func (s *Service) verifyWordings(ctx context.Context, rep *Report) (map[NoticeRef]bool, error) {
	list, head, err := s.wordings.Wordings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read wordings: %w", err)
	}
	known := make(map[NoticeRef]bool, len(list))
	before := ""
	for _, w := range list {
		bad := ""
		switch {
		case TextHash(w.Text) != w.Hash:
			bad = "the text is not the one that was stored"
		case SealWording(before, w) != w.Seal:
			bad = "this text or its hash was changed, or one before it was changed, added or removed"
		}
		if bad != "" {
			rep.Bad = &Bad{Table: inWordings, Row: fmt.Sprintf("%s version %d %s", w.Name, w.Version, w.Locale), Reason: bad}
			return nil, nil
		}
		known[w.NoticeRef] = true
		before = w.Seal
		rep.Wordings++
	}
	if before != head {
		rep.Bad = &Bad{Table: inWordings, Row: "the last", Reason: "the chain of wordings was cut: texts that were stored are missing, or the note of the last one was changed"}
		return nil, nil
	}
	return known, nil
}
