package contacts

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"rapport"
	"rapport/internal/csvtext"
)

// maxRecord bounds one row of a file, so that a quote that is never closed
// does not swallow the rest of it.
const maxRecord = 2 << 20

// records reads the rows of a file one by one.
type records struct {
	csv    *csv.Reader
	budget *budget
	width  int
}

// record is one row as it stands in the file. Bad is a sentence when it is no
// proper row.
type record struct {
	line  int
	cells []string
	bad   string
}

func newRecords(r io.Reader, form Form) *records {
	b := &budget{r: r}
	in := csv.NewReader(b)
	in.Comma = rune(form.Delimiter[0])
	in.FieldsPerRecord = -1
	return &records{csv: in, budget: b}
}

// budget stops a reader that asks for too much at a time.
type budget struct {
	r    io.Reader
	left int
}

var errTooLong = errors.New("too long")

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// header reads the first row; a line "sep=;" before it is passed over.
func (r *records) header() ([]string, error) {
	for {
		rec, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, rapport.Invalidf("", "the file is empty: its first line must name the columns")
		case err != nil:
			return nil, err
		case rec.bad != "":
			return nil, rapport.Invalidf("header", "line %d: %s", rec.line, rec.bad)
		}
		if len(rec.cells) <= 2 && strings.HasPrefix(strings.ToLower(rec.cells[0]), "sep=") {
			continue
		}
		r.width = len(rec.cells)
		return rec.cells, nil
	}
}

// next returns the next row; io.EOF after the last. Any other error ends the
// reading for good.
func (r *records) next() (record, error) {
	r.budget.left = maxRecord
	before := r.csv.InputOffset()
	cells, err := r.csv.Read()
	bad, isBad := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, errTooLong):
		return record{}, rapport.Invalidf("", "a row that begins near byte %d does not end within %d MB: look for a quotation mark that is never closed", before, maxRecord>>20)
	case isBad:
		return record{line: bad.StartLine, bad: quotes(bad)}, nil
	case err != nil:
		return record{}, err //nolint:wrapcheck // io.EOF must stay itself
	}
	line, _ := r.csv.FieldPos(0)
	rec := record{line: line, cells: cells}
	if r.width > 0 && len(cells) != r.width {
		rec.bad = fmt.Sprintf("the row has %d cells and the header %d", len(cells), r.width)
		return rec, nil
	}
	for i, c := range cells {
		if why := unreadable(c); why != "" {
			rec.bad = fmt.Sprintf("cell %d %s", i+1, why)
			return rec, nil
		}
	}
	return rec, nil
}

func quotes(e *csv.ParseError) string {
	if errors.Is(e.Err, csv.ErrBareQuote) {
		return fmt.Sprintf("a quotation mark stands inside a cell without quotes (line %d, column %d)", e.Line, e.Column)
	}
	if e.Line > e.StartLine {
		return fmt.Sprintf("a quoted cell does not end properly: lines %d to %d were read as one row and none of them is in (column %d)", e.StartLine, e.Line, e.Column)
	}
	return fmt.Sprintf("a quoted cell does not end properly (line %d, column %d)", e.Line, e.Column)
}

// unreadable says what makes a cell unfit, if anything does.
func unreadable(cell string) string {
	if len(cell) > MaxCell {
		return fmt.Sprintf("is longer than %d KB", MaxCell>>10)
	}
	for i := range len(cell) {
		switch c := cell[i]; {
		case c == 0:
			return "holds a zero byte"
		case c >= utf8.RuneSelf:
			if !utf8.ValidString(cell) || strings.ContainsRune(cell, utf8.RuneError) {
				return "holds bytes that are no text in this encoding; name the right one with --encoding"
			}
			return zeroByte(cell[i:])
		}
	}
	return ""
}

func zeroByte(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		return "holds a zero byte"
	}
	return ""
}

// rowMaker turns records into rows.
type rowMaker struct {
	layout      layout
	grants      []permit
	state       string            // of the grants
	about       []permit          // what events are about
	kindOf      map[string]string // by driver
	topics      []string
	file        string          // digest, for references
	objects     map[string]Type // attributes within objects
	source      string
	basis       string
	clear       bool
	fingerprint Fingerprint
	implied     []impliedKind
	uid         func() (string, error)
	salt        func() ([]byte, error)
	now         time.Time
	locales     map[string]string
	zones       map[string]string
	mu          sync.Mutex
	news        map[string]Type // learned from this file
}

type permit struct {
	Grant
	kind string
}

type impliedKind struct {
	kind      string
	normalize func(string) (string, error)
}

// row turns a record into a row. The first error is a fault of the record, the
// second one of ours.
func (m *rowMaker) row(rec record) (r Row, bad, err error) {
	r.Line = rec.line
	var say consentCells
	states := make([]string, 0, 4)
	for i := range m.layout.columns {
		c := &m.layout.columns[i]
		cell := unprotect(rec.cells[i])
		if c.role != roleAttribute || c.typ != Text {
			cell = strings.TrimSpace(cell)
		}
		if c.role == roleConsent {
			states = append(states, strings.ToLower(cell))
		}
		if bad := m.cell(&r, c, cell, &say); bad != nil && !c.lenient {
			return r, fmt.Errorf("column %s: %w", c.name, bad), nil
		}
	}
	if r.UID, err = m.uid(); err != nil {
		return r, nil, err
	}
	m.imply(&r)
	if say.cells != nil {
		bad, err = m.historyRow(&r, say.cells)
		return r, bad, err
	}
	if bad, err = m.permissions(&r, states, say); bad != nil || err != nil || say.events == nil {
		return r, bad, err
	}
	return r, nil, m.events(&r, say.events)
}

// consentCells is what a row says about all its consents.
type consentCells struct {
	at         time.Time
	source, ip string
	events     map[Event]*told   // what happened before, where columns tell it
	cells      map[string]string // of a row of history
}

func (m *rowMaker) cell(r *Row, c *column, cell string, say *consentCells) error {
	switch c.role {
	case roleExternal:
		if len(cell) > 255 {
			return errors.New("an external ID has at most 255 bytes")
		}
		r.ExternalID = cell
	case roleLocale:
		return m.known(cell, columnLocale, m.locales, canonicalLocale, &r.Locale, &r.Clear)
	case roleZone:
		return m.known(cell, columnZone, m.zones, canonicalZone, &r.Zone, &r.Clear)
	case roleAddress:
		return m.address(r, c, cell)
	case roleConsentAt:
		at, err := moment(cell, m.now)
		say.at = at
		return err
	case roleConsentSource:
		say.source = cell
	case roleConsentIP:
		say.ip = cell
	case roleAttribute:
		return m.attribute(r, c, cell)
	case roleObject:
		return m.object(r, cell)
	case roleEvent, roleStatus:
		return m.tell(c, cell, say)
	case roleHistory:
		if say.cells == nil {
			say.cells = map[string]string{}
		}
		say.cells[c.name] = cell
	case roleConsent, roleIgnored:
	}
	return nil
}

func (m *rowMaker) address(r *Row, c *column, cell string) error {
	if cell == "" {
		return nil
	}
	value, err := c.address.Normalize(cell)
	if err != nil {
		return err //nolint:wrapcheck // it is a sentence already
	}
	r.Addresses = append(r.Addresses, Address{Kind: c.address.Kind, Value: value, Display: cell, Hash: m.fingerprint(c.address.Kind, value)})
	return nil
}

func (m *rowMaker) attribute(r *Row, c *column, cell string) error {
	if cell == "" || c.typ == "" {
		if m.clear && c.typ != "" {
			r.Attributes = append(r.Attributes, Attribute{Name: c.name})
		}
		return nil
	}
	value, err := convert(cell, c.typ)
	if err != nil {
		return err
	}
	r.Attributes = append(r.Attributes, Attribute{Name: c.name, Value: value})
	return nil
}

func (m *rowMaker) known(cell, name string, cache map[string]string, canonical func(string) (string, error), to *string, clear *[]string) error {
	if cell == "" {
		if m.clear {
			*clear = append(*clear, name)
		}
		return nil
	}
	v, ok := cache[cell]
	if !ok {
		var err error
		if v, err = canonical(cell); err != nil {
			return err
		}
		if len(cache) < 10_000 {
			cache[cell] = v
		}
	}
	*to = v
	return nil
}

func canonicalLocale(text string) (string, error) {
	tag, err := language.Parse(strings.ReplaceAll(text, "_", "-"))
	if err != nil {
		return "", fmt.Errorf("%s is not a locale; write it like de or en-GB", quote(text))
	}
	return tag.String(), nil
}

func canonicalZone(text string) (string, error) {
	z, err := time.LoadLocation(text)
	if err != nil || strings.EqualFold(text, "local") {
		return "", fmt.Errorf("%s is not a time zone; write it like Europe/Berlin", quote(text))
	}
	return z.String(), nil
}

// moment reads when a consent was given.
func moment(cell string, now time.Time) (time.Time, error) {
	if cell == "" {
		return time.Time{}, nil
	}
	at, ok := parseTime(cell)
	if d, isDate := parseDate(cell); !ok && isDate {
		at, ok = parseTime(d + "T00:00")
	}
	switch {
	case !ok:
		return at, fmt.Errorf("%s is not a time; write it like 2026-01-31T09:00:00Z", quote(cell))
	case at.After(now.Add(24 * time.Hour)):
		return at, fmt.Errorf("%s lies in the future", quote(cell))
	case at.After(now):
		at = now // a clock or a time zone that is a little ahead
	}
	return at, nil
}

// imply adds the addresses that nobody has to give.
func (m *rowMaker) imply(r *Row) {
	for _, k := range m.implied {
		for _, from := range []string{r.ExternalID, r.UID} {
			if from == "" {
				continue
			}
			if value, err := k.normalize(from); err == nil {
				r.Implied = append(r.Implied, Address{Kind: k.kind, Value: value, Display: value, Hash: m.fingerprint(k.kind, value)})
			}
		}
	}
}

func (m *rowMaker) permissions(r *Row, states []string, say consentCells) (bad, err error) {
	n := 0
	for i := range m.layout.columns {
		c := &m.layout.columns[i]
		if c.role != roleConsent {
			continue
		}
		state := states[n]
		n++
		switch state {
		case "":
			continue
		case "granted", "pending", "withdrawn":
		default:
			return fmt.Errorf("column %s: %s is not an answer; write granted, pending, withdrawn or nothing", c.name, quote(state)), nil
		}
		if err := m.permit(r, permit{c.grant, c.kind}, state, say); err != nil {
			return nil, err
		}
	}
	for _, g := range m.grants {
		if r.says(g.Grant) {
			continue
		}
		if err := m.permit(r, g, m.state, say); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (r *Row) says(g Grant) bool {
	for _, c := range r.Consents {
		if c.Driver == g.Driver && c.Topic == g.Topic {
			return true
		}
	}
	return false
}

func (m *rowMaker) permit(r *Row, p permit, state string, say consentCells) error {
	c := Consent{
		Driver: p.Driver, Kind: p.kind, Topic: p.Topic, State: state, Basis: m.basis, Source: say.source, IP: say.ip, At: say.at,
		Reference: m.reference(r.Line, ""),
	}
	if c.Source == "" {
		c.Source = m.source
	}
	if c.At.IsZero() {
		c.At, c.Undated = m.now, true
	}
	var err error
	c.Salt, err = m.salt()
	r.Consents = append(r.Consents, c)
	return err
}

// Cells that a spreadsheet would read as formulas are exported behind an
// apostrophe; unprotect takes it away again.
func unprotect(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' {
		return csvtext.Unprotect(cell)
	}
	return cell
}

func protect(cell string) string { return csvtext.Protect(cell) }
