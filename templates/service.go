package templates

import (
	"context"
	"fmt"
	"io"
	"time"

	"rapport"
	"rapport/channels"
)

// Service is what the doors call to work with templates.
type Service struct {
	store    Store
	registry *channels.Registry
	schema   func(context.Context) (Schema, error)
	now      func() time.Time
	random   io.Reader
}

// NewService makes a service. schema says what is known of contacts at the
// moment; nil: nothing, so no attribute is unknown. random makes public IDs.
func NewService(store Store, registry *channels.Registry, schema func(context.Context) (Schema, error), now func() time.Time, random io.Reader) *Service {
	if schema == nil {
		schema = func(context.Context) (Schema, error) { return Schema{}, nil }
	}
	return &Service{store: store, registry: registry, schema: schema, now: now, random: random}
}

// PutResult says what became of a put.
type PutResult struct {
	Template Template `json:"template"`
	Revision int      `json:"revision"` // number
	Changed  bool     `json:"changed"`  // false: the content was there already
	Warnings Problems `json:"-"`
}

// Put stores a template or a new revision of it. Content with errors is
// refused with all of them; unchanged content makes no revision.
func (s *Service) Put(ctx context.Context, src Source) (PutResult, error) {
	driver, err := s.registry.Driver(src.Template.Driver)
	if err != nil {
		return PutResult{}, err
	}
	if err := checkContent(src.Template, src.Content); err != nil {
		return PutResult{}, err
	}
	problems, err := s.lint(ctx, src.Content, driver, false, false)
	if err != nil {
		return PutResult{}, err
	}
	if err := problems.Err(src.Template.Name); err != nil {
		return PutResult{}, err
	}
	table := &linkTable{}
	build(src.Content, driver, table)
	hash, err := src.Content.Hash()
	if err != nil {
		return PutResult{}, err
	}
	t := src.Template
	if t.UID, err = rapport.NewUID(s.random); err != nil {
		return PutResult{}, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	t.CreatedAt, t.UpdatedAt = now, now
	rev := Revision{Content: src.Content, Links: table.list, Hash: hash, CreatedAt: now, Actor: rapport.ActorOf(ctx).Name}
	stored, rev, changed, err := s.store.PutTemplate(ctx, t, rev)
	if err != nil {
		return PutResult{}, fmt.Errorf("put template %s: %w", t.Name, err)
	}
	return PutResult{stored, rev.Number, changed, problems.Warnings()}, nil
}

func (s *Service) lint(ctx context.Context, content Content, driver channels.Driver, strict, marketing bool) (Problems, error) {
	schema, err := s.schema(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what is known of contacts: %w", err)
	}
	schema.Strict, schema.Marketing = strict, marketing
	if schema.Addresses == nil {
		for _, a := range s.registry.AddressKinds() {
			schema.Addresses = append(schema.Addresses, a.Kind)
		}
	}
	problems := Lint(content, driver, schema)
	if len(problems.Errors()) == 0 {
		problems = append(problems, s.trySamples(ctx, content, driver)...).sorted()
	}
	return problems, nil
}

// trySamples renders every locale for every sample person.
func (s *Service) trySamples(ctx context.Context, content Content, driver channels.Driver) Problems {
	letter, err := Compile(Revision{Content: content}, driver)
	if err != nil {
		return Problems{asProblem(err)}
	}
	var out Problems
	for _, sample := range content.Samples {
		for _, locale := range locales(content) {
			view := sample.View(s.now())
			view.Locale = locale
			if _, err := letter.Render(ctx, view); err != nil {
				out = append(out, &Problem{Msg: fmt.Sprintf("with the sample %q: %v", sample.Name, err)})
			}
		}
	}
	return out
}

// View is what a template sees of a sample person.
func (s Sample) View(now time.Time) View {
	zone := time.UTC
	if name, ok := s.Contact["time_zone"].(string); ok {
		if z, err := time.LoadLocation(name); err == nil {
			zone = z
		}
	}
	return View{Locale: s.Locale, Zone: zone, Now: now, Contact: s.Contact, Data: s.Data, Campaign: "sample"}
}

// Check says everything that is wrong or doubtful in a content, strictly.
// marketing: the letter needs a way to unsubscribe.
func (s *Service) Check(ctx context.Context, src Source, marketing bool) (Problems, error) {
	driver, err := s.registry.Driver(src.Template.Driver)
	if err != nil {
		return nil, err
	}
	if err := checkContent(src.Template, src.Content); err != nil {
		return nil, err
	}
	return s.lint(ctx, src.Content, driver, true, marketing)
}

// Get returns a template and its newest revision.
func (s *Service) Get(ctx context.Context, ref string) (Template, Revision, error) {
	t, err := s.store.Template(ctx, ref)
	if err != nil {
		return t, Revision{}, fmt.Errorf("get template: %w", err)
	}
	rev, err := s.store.Revision(ctx, t.Revision)
	if err != nil {
		return t, rev, fmt.Errorf("get template %s: %w", t.Name, err)
	}
	return t, rev, nil
}

// Source returns a stored template as it was put.
func (s *Service) Source(ctx context.Context, ref string) (Source, error) {
	t, rev, err := s.Get(ctx, ref)
	return Source{t, rev.Content}, err
}

const maxPage = 1_000

// List returns a page of templates by name, those after the given name.
func (s *Service) List(ctx context.Context, after string, limit int) ([]Template, error) {
	list, err := s.store.Templates(ctx, after, page(limit))
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	return list, nil
}

// Revisions returns a page of a template's revisions without their content,
// newest first, those before the given number (0: all).
func (s *Service) Revisions(ctx context.Context, ref string, before, limit int) ([]Revision, error) {
	t, err := s.store.Template(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	list, err := s.store.Revisions(ctx, t.ID, before, page(limit))
	if err != nil {
		return nil, fmt.Errorf("list revisions of %s: %w", t.Name, err)
	}
	return list, nil
}

func page(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, maxPage)
}

// Letter compiles the newest revision of a template. Callers that send keep
// it by Letter.Revision.
func (s *Service) Letter(ctx context.Context, ref string) (*Letter, error) {
	t, rev, err := s.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.compile(t.Driver, rev)
}

// LetterOf compiles a stored revision of a template for that driver.
func (s *Service) LetterOf(ctx context.Context, driver string, revision int64) (*Letter, error) {
	rev, err := s.store.Revision(ctx, revision)
	if err != nil {
		return nil, fmt.Errorf("get revision: %w", err)
	}
	return s.compile(driver, rev)
}

func (s *Service) compile(name string, rev Revision) (*Letter, error) {
	driver, err := s.registry.Driver(name)
	if err != nil {
		return nil, err
	}
	letter, err := Compile(rev, driver)
	if err != nil {
		return nil, fmt.Errorf("compile revision %d: %w", rev.Number, err)
	}
	return letter, nil
}

// Preview renders the newest revision for a view, without tracking: the same
// code as sending.
func (s *Service) Preview(ctx context.Context, ref string, view View) (Rendered, error) {
	letter, err := s.Letter(ctx, ref)
	if err != nil {
		return Rendered{}, err
	}
	view.Track = false
	return letter.Render(ctx, view)
}

// PreviewSource renders a content that is not stored.
func (s *Service) PreviewSource(ctx context.Context, src Source, view View) (Rendered, error) {
	letter, err := s.compile(src.Template.Driver, Revision{Content: src.Content})
	if err != nil {
		return Rendered{}, err
	}
	view.Track = false
	return letter.Render(ctx, view)
}
