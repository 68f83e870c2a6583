package contacts

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rapport"
	"rapport/internal/csvtext"
)

// Source is a file to import. Open is called twice: once to learn how the file
// is written, once to read it.
type Source struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// Grant names a permission.
type Grant struct {
	Driver string `json:"driver"`
	Topic  string `json:"topic"`
}

// ParseGrant reads "driver:topic".
func ParseGrant(text string) (Grant, error) {
	driver, topic, ok := strings.Cut(text, ":")
	if !ok || driver == "" || topic == "" {
		return Grant{}, rapport.Invalidf("grant", "%q is not DRIVER:TOPIC", text)
	}
	return Grant{driver, topic}, nil
}

// ImportOptions says how to read a file. What belongs to its meaning makes it
// another import when it changes.
type ImportOptions struct {
	Form        Form              // what is empty is guessed
	Map         map[string]string // header → column; "-" leaves a column out
	Types       map[string]Type   // attributes to declare
	Grants      []Grant           // for every row that has the address
	Pending     bool              // Grants wait for the confirmation of each person
	Basis       string            // of all consents in the file; empty: consent
	Source      string            // where all consents come from, if the file does not say
	Resubscribe bool              // a newer consent_at overturns a withdrawal
	ClearEmpty  bool              // an empty cell clears an attribute, locale or time zone
	Preset      string            // the tool whose export it is, see Presets
	About       []Grant           // what the events of the file are about
	History     bool              // a line is an event and not a person, see ImportHistory

	DryRun   bool
	Errors   io.Writer      // gets bad rows, duplicates and skipped consents as CSV; may be nil
	Progress func(Progress) // called a few times a second at most by one goroutine; may be nil
}

// Progress is how far an import is.
type Progress struct {
	Bytes, Size int64
	Rows        int64
}

// batchRows is how many rows are read ahead together; the first of them are
// what the types of columns are learned from. batchBytes bounds them too.
const (
	batchRows  = 1000
	batchBytes = 8 << 20
)

// Import reads a CSV file into contacts; see the package comment. The report
// is true also beside an error: everything up to Rows is in.
func (s *Service) Import(ctx context.Context, src Source, o ImportOptions) (Report, error) {
	im := &importer{service: s, options: o, seen: NewSeen(), notes: newNotes(o.Errors), actor: rapport.ActorOf(ctx).Name}
	err := im.run(ctx, src)
	return im.report, errors.Join(err, im.notes.close())
}

// ImportHistory reads a CSV file of which each line is something that happened
// before: who, what (see Events), when, about what, and what proves it. Of the
// answers of a person the newest decides, in whatever order they come; lines
// that the ledger has are passed over, so the same file may come again. People
// who are not known are made. Bounces and complaints suppress.
func (s *Service) ImportHistory(ctx context.Context, src Source, o ImportOptions) (Report, error) {
	o.History = true
	return s.Import(ctx, src, o)
}

// importer is one import.
type importer struct {
	service *Service
	options ImportOptions
	actor   string
	report  Report
	seen    *Seen
	made    identities // of a dry run
	notes   *notes
	maker   *rowMaker
	point   Checkpoint
	bytes   atomic.Int64
	size    int64
	digest  string // of the file, as references name it
}

// digestDigits is how much of a file's digest names it in references.
const digestDigits = 16

// item is a record on its way: a row, or what is wrong with it.
type item struct {
	row Row
	bad string
}

func (im *importer) run(ctx context.Context, src Source) error {
	im.report = Report{File: src.Name, DryRun: im.options.DryRun, Consents: map[string]int64{}, People: map[string]int64{}, History: map[string]int64{}, Attributes: map[string]Type{}}
	digest, err := im.scout(src)
	if err != nil {
		return err
	}
	file, err := src.Open()
	if err != nil {
		return fmt.Errorf("open %s: %w", src.Name, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := decoded(&counted{file, &im.bytes}, im.report.Form.Encoding)
	if err != nil {
		return err
	}
	if im.report.Form.Lines == oldLines {
		text = csvtext.NewLines(text)
	}
	in := newRecords(text, im.report.Form)
	if err := im.prepare(ctx, in); err != nil {
		return err
	}
	if !im.options.DryRun {
		if im.point, err = im.service.imports.BeginImport(ctx, digest, src.Name); err != nil {
			return fmt.Errorf("begin the import: %w", err)
		}
		im.resume()
	}
	if err := im.flow(ctx, in); err != nil {
		return err
	}
	if im.options.DryRun {
		return nil
	}
	im.point.Report = im.report.Stored()
	if err := im.service.imports.FinishImport(ctx, im.point); err != nil {
		return fmt.Errorf("finish the import: %w", err)
	}
	return nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err //nolint:wrapcheck // a reader hands errors on
}

// scout reads the file once and names the import by what the file holds and
// what is to be made of it.
func (im *importer) scout(src Source) (digest string, err error) {
	file, err := src.Open()
	if err != nil {
		return "", fmt.Errorf("open %s: %w", src.Name, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	form, sum, size, err := Sniff(file, im.options.Form)
	if err != nil {
		return "", err
	}
	im.report.Form, im.size, im.digest = form, size, hex.EncodeToString(sum)[:digestDigits]
	o := im.options
	meaning, err := json.Marshal(struct {
		File                []byte
		Form                Form
		Map                 map[string]string
		Types               map[string]Type
		Grants              []Grant
		Basis, Source       string
		Resubscribe, Clears bool
		Pending             bool    `json:",omitempty"`
		Preset              string  `json:",omitempty"`
		About               []Grant `json:",omitempty"`
		History             bool    `json:",omitempty"`
	}{sum, form, o.Map, o.Types, o.Grants, o.Basis, o.Source, o.Resubscribe, o.ClearEmpty, o.Pending, o.Preset, o.About, o.History})
	if err != nil {
		return "", fmt.Errorf("name the import: %w", err)
	}
	name := sha256.Sum256(meaning)
	return hex.EncodeToString(name[:]), nil
}

// layout reads the header as the options say.
func (im *importer) layout(head []string, rules headerRules) (l layout, err error) {
	if im.options.History {
		return readHistoryHeader(head, rules)
	}
	if im.options.Preset != "" {
		if rules.preset, err = preset(im.options.Preset); err != nil {
			return l, err
		}
	}
	return readHeader(head, rules)
}

// aim tells the maker what the events of the file are about.
func (im *importer) aim(m *rowMaker, rules headerRules) error {
	m.kindOf, m.topics, m.file, m.objects = rules.kindsOfDrivers(), rules.topics, im.digest, maps.Clone(rules.types)
	for _, g := range im.options.About {
		kind, err := rules.permission(g.Driver, g.Topic)
		if err != nil {
			return err
		}
		m.about = append(m.about, permit{g, kind})
	}
	if len(im.options.Grants) > 0 && len(m.layout.unread) > 0 {
		return rapport.Invalidf("grant", "column %s may say who must not be written to, and what its words mean is not verified, so it is not read: take those people out and leave the column out with --map %s=-, or import without --grant",
			quote(m.layout.unread[0]), quote(m.layout.unread[0]))
	}
	if m.layout.events && len(m.about) == 0 {
		return rapport.Invalidf("for", "the file tells who agreed and who withdrew, but not from what: say what it is about with --for DRIVER:TOPIC")
	}
	return nil
}

// prepare reads the header and makes ready to make rows.
func (im *importer) prepare(ctx context.Context, in *records) error {
	rules, err := im.rules(ctx)
	if err != nil {
		return err
	}
	head, err := in.header()
	if err != nil {
		return err
	}
	m, o := im.service.maker(), im.options
	if m.layout, err = im.layout(head, rules); err != nil {
		return err
	}
	if err := im.aim(m, rules); err != nil {
		return err
	}
	m.source, m.basis, m.clear, m.state = o.Source, o.Basis, o.ClearEmpty, "granted"
	if o.Pending {
		m.state = "pending"
	}
	for _, g := range o.Grants {
		kind, err := rules.permission(g.Driver, g.Topic)
		if err != nil {
			return err
		}
		m.grants = append(m.grants, permit{g, kind})
	}
	if o.Basis != "" && !slices.Contains(Bases(), o.Basis) {
		return rapport.Invalidf("basis", "%q is not a ground in law; known: %s", o.Basis, strings.Join(Bases(), ", "))
	}
	sourced := slices.ContainsFunc(m.layout.columns, func(c column) bool { return c.role == roleConsentSource })
	if len(o.Grants) > 0 && o.Source == "" && !sourced {
		return rapport.Invalidf("source", "a permission needs a source: say where people gave it with --source, or in a column consent_source")
	}
	im.maker = m
	im.report.Ignored = m.layout.ignored
	if len(o.Types) > 0 && !o.DryRun {
		if err := im.service.store.DeclareAttributes(ctx, o.Types); err != nil {
			return fmt.Errorf("declare attributes: %w", err)
		}
	}
	return nil
}

func (im *importer) rules(ctx context.Context) (headerRules, error) {
	types, err := im.service.store.AttributeTypes(ctx)
	if err != nil {
		return headerRules{}, fmt.Errorf("read the types of attributes: %w", err)
	}
	for name, t := range im.options.Types {
		if err := CheckAttributeName(name); err != nil {
			return headerRules{}, rapport.Invalidf("types", "%v", err)
		}
		if !slices.Contains(Types(), string(t)) {
			return headerRules{}, rapport.Invalidf("types", "%q is not a type; known: %s", t, strings.Join(Types(), ", "))
		}
		types[name] = t
	}
	names, err := im.service.segments.Names(ctx)
	if err != nil {
		return headerRules{}, fmt.Errorf("read the topics: %w", err)
	}
	return headerRules{rename: im.options.Map, kinds: im.service.kinds(), types: types, topics: names.Topics, drivers: im.service.drivers}, nil
}

// resume takes over what a broken import of the same file had done. Its rows
// are looked up again, so that duplicates of theirs are still known.
func (im *importer) resume() {
	if im.point.DoneRows == 0 {
		return
	}
	now := im.report
	im.report = im.point.Report.clone()
	im.report.File, im.report.Form, im.report.Ignored = now.File, now.Form, now.Ignored
	im.report.Resumed = im.report.Rows
	if im.report.Attributes == nil {
		im.report.Attributes = map[string]Type{}
	}
}

// buffered makes small reads of randomness cheap.
func buffered(random io.Reader) io.Reader { return bufio.NewReaderSize(random, 4096) }

// salts returns a source of salts of 16 octets.
func salts(random io.Reader) func() ([]byte, error) {
	return func() ([]byte, error) {
		b := make([]byte, 16)
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("make a salt: %w", err)
		}
		return b, nil
	}
}

// maker is a rowMaker for what this service knows.
func (s *Service) maker() *rowMaker {
	random := buffered(s.random)
	m := &rowMaker{
		fingerprint: s.fingerprint, now: s.now().UTC().Truncate(time.Microsecond),
		uid: func() (string, error) { return rapport.NewUID(random) }, salt: salts(random),
		locales: map[string]string{}, zones: map[string]string{}, news: map[string]Type{},
	}
	for _, k := range s.kinds() {
		if k.Implied {
			m.implied = append(m.implied, impliedKind{k.Kind, k.Normalize})
		}
	}
	return m
}

// learned notes types that were learned; types tells them. They are asked by
// the writing goroutine while the reading one learns.
func (m *rowMaker) learned(news map[string]Type) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.news, news)
}

func (m *rowMaker) types() map[string]Type {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.news)
}
