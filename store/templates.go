package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport"
	"rapport/templates"
)

const templateColumns = `t.id, t.uid, t.name, t.driver, t.title, t.topic, t.created_at, t.updated_at, t.head, r.number`

const qTemplate query = `
SELECT ` + templateColumns + ` FROM templates t JOIN revisions r ON r.id = t.head WHERE t.name = $1 OR t.uid = $1`

const qTemplates query = `
SELECT ` + templateColumns + ` FROM templates t JOIN revisions r ON r.id = t.head WHERE t.name > $1 ORDER BY t.name LIMIT $2`

const qTemplateNames query = `SELECT name FROM templates ORDER BY name LIMIT 100`

const qNewTemplate query = `
INSERT INTO templates (uid, name, driver, title, topic, locale, head, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, topic = excluded.topic, locale = excluded.locale
RETURNING id`

const qTemplateForPut query = `
SELECT t.driver, t.head, COALESCE(r.number, 0), COALESCE(r.digest, '')
FROM templates t LEFT JOIN revisions r ON r.id = t.head WHERE t.id = $1`

const qNewRevision query = `
INSERT INTO revisions (template_id, number, content, links, digest, actor, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`

const qSetHead query = `UPDATE templates SET head = $2, updated_at = $3 WHERE id = $1`

const qRevision query = `
SELECT id, template_id, number, content, links, digest, actor, created_at FROM revisions WHERE id = $1`

const qRevisions query = `
SELECT id, template_id, number, '{}', links, digest, actor, created_at FROM revisions
WHERE template_id = $1 AND ($2 = 0 OR number < $2) ORDER BY number DESC LIMIT $3`

// PutTemplate stores t, and r as its newest revision unless its content is
// already the newest.
func (s *Store) PutTemplate(ctx context.Context, t templates.Template, r templates.Revision) (templates.Template, templates.Revision, bool, error) {
	content, err := json.Marshal(r.Content)
	if err != nil {
		return t, r, false, fmt.Errorf("write template %s as JSON: %w", t.Name, err)
	}
	var changed bool
	var revision int64
	err = s.update(ctx, durable, func(x tx) error {
		changed = false
		id, err := x.insert(ctx, qNewTemplate, t.UID, t.Name, t.Driver, t.Title, t.Topic, r.Content.Locale, micros(t.UpdatedAt))
		if err != nil {
			return err
		}
		var driver, digest string
		var head, number int64
		if _, _, err := one(ctx, x, qTemplateForPut, func(scan func(...any) error) (struct{}, error) {
			return struct{}{}, scan(&driver, &head, &number, &digest)
		}, id); err != nil {
			return err
		}
		if driver != t.Driver {
			return rapport.Conflictf("template %q is for driver %s and stays so: choose another name for %s", t.Name, driver, t.Driver)
		}
		if revision = head; digest == r.Hash {
			return nil
		}
		changed = true
		revision, err = x.insert(ctx, qNewRevision, id, number+1, string(content), asJSON(r.Links), r.Hash, r.Actor, micros(r.CreatedAt))
		if err != nil {
			return err
		}
		_, err = x.exec(ctx, qSetHead, id, revision, micros(r.CreatedAt))
		return err
	})
	if err != nil {
		return t, r, false, fmt.Errorf("put template %s: %w", t.Name, err)
	}
	if t, err = s.Template(ctx, t.Name); err != nil {
		return t, r, changed, err
	}
	r, err = s.Revision(ctx, revision)
	return t, r, changed, err
}

// Template finds a template by its name or its UID.
func (s *Store) Template(ctx context.Context, ref string) (templates.Template, error) {
	t, ok, err := one(ctx, s.reader(), qTemplate, scanTemplate, ref)
	if err != nil {
		return t, fmt.Errorf("read template %s: %w", ref, s.classify(err))
	}
	if ok {
		return t, nil
	}
	names, err := collect(ctx, s.reader(), qTemplateNames, scalar[string])
	if err != nil {
		return t, fmt.Errorf("list templates: %w", s.classify(err))
	}
	return t, rapport.Unknown("template", ref, names)
}

// Templates lists templates by name.
func (s *Store) Templates(ctx context.Context, after string, limit int) ([]templates.Template, error) {
	list, err := collect(ctx, s.reader(), qTemplates, scanTemplate, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", s.classify(err))
	}
	return list, nil
}

func scanTemplate(scan func(...any) error) (t templates.Template, err error) {
	var created, updated int64
	err = scan(&t.ID, &t.UID, &t.Name, &t.Driver, &t.Title, &t.Topic, &created, &updated, &t.Revision, &t.Number)
	t.CreatedAt, t.UpdatedAt = when(created), when(updated)
	return t, err
}

// Revision finds a revision by its ID, with content and links.
func (s *Store) Revision(ctx context.Context, id int64) (templates.Revision, error) {
	r, ok, err := one(ctx, s.reader(), qRevision, scanRevision, id)
	if err != nil {
		return r, fmt.Errorf("read revision %d: %w", id, s.classify(err))
	}
	if !ok {
		return r, rapport.NotFoundf("there is no template revision %d", id)
	}
	return r, nil
}

// Revisions lists revisions of a template, newest first, without content.
func (s *Store) Revisions(ctx context.Context, template int64, before, limit int) ([]templates.Revision, error) {
	list, err := collect(ctx, s.reader(), qRevisions, scanRevision, template, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list revisions of template %d: %w", template, s.classify(err))
	}
	return list, nil
}

func scanRevision(scan func(...any) error) (r templates.Revision, err error) {
	var content, links string
	var created int64
	if err = scan(&r.ID, &r.Template, &r.Number, &content, &links, &r.Hash, &r.Actor, &created); err != nil {
		return r, err
	}
	r.CreatedAt = when(created)
	if err = json.Unmarshal([]byte(content), &r.Content); err != nil {
		return r, fmt.Errorf("read the content of revision %d: %w", r.ID, err)
	}
	if err = json.Unmarshal([]byte(links), &r.Links); err != nil {
		return r, fmt.Errorf("read the links of revision %d: %w", r.ID, err)
	}
	return r, nil
}
