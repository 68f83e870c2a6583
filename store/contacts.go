package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"rapport"
	"rapport/contacts"
)

const qContactColumns = `
SELECT c.id, c.uid, COALESCE(c.external_id, ''), c.locale, c.zone, {{text c.attributes}}, c.created_at, c.updated_at
FROM contacts c`

const qContactByID query = qContactColumns + ` WHERE c.id = $1`

const qContactByUID query = qContactColumns + ` WHERE c.uid = $1`

const qContactByExternal query = qContactColumns + ` WHERE c.external_id = $1`

const qContactByAddress query = qContactColumns + ` JOIN addresses a ON a.contact_id = c.id WHERE a.kind = $1 AND a.value = $2`

const qContacts query = qContactColumns + ` WHERE c.id > $1 ORDER BY c.id LIMIT $2`

const qContactSearch query = qContactColumns + `
WHERE c.id > $1 AND (LOWER(c.external_id) LIKE $3 ESCAPE '!' OR EXISTS (
  SELECT 1 FROM addresses a WHERE a.contact_id = c.id AND LOWER(a.value) LIKE $3 ESCAPE '!'))
ORDER BY c.id LIMIT $2`

const qAddressesOf query = `
SELECT a.contact_id, a.kind, a.value, a.display, a.hash, a.position
FROM {{each $1}} JOIN addresses a ON a.contact_id = CAST(e.value AS BIGINT)
ORDER BY a.contact_id, a.kind, a.position`

const qAttributeTypes query = `SELECT name, type FROM attribute_types ORDER BY name`

const qDeclareAttribute query = `
INSERT INTO attribute_types (name, type, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`

const qPepperKeep query = `INSERT INTO meta (key, value) VALUES ('pepper', $1) ON CONFLICT (key) DO NOTHING`

const qPepper query = `SELECT value FROM meta WHERE key = 'pepper'`

func scanContact(scan func(...any) error) (c contacts.Contact, err error) {
	var created, updated int64
	var attributes string
	err = scan(&c.ID, &c.UID, &c.ExternalID, &c.Locale, &c.Zone, &attributes, &created, &updated)
	c.Attributes = json.RawMessage(attributes)
	c.CreatedAt, c.UpdatedAt = when(created), when(updated)
	return c, err
}

// Contact implements contacts.Store.
func (s *Store) Contact(ctx context.Context, by contacts.Key) (contacts.Contact, error) {
	q, args := qContactByID, []any{by.ID}
	switch {
	case by.ID != 0:
	case by.UID != "":
		q, args = qContactByUID, []any{by.UID}
	case by.ExternalID != "":
		q, args = qContactByExternal, []any{by.ExternalID}
	default:
		q, args = qContactByAddress, []any{by.Kind, by.Value}
	}
	c, ok, err := one(ctx, s.reader(), q, scanContact, args...)
	if err != nil {
		return c, s.classify(fmt.Errorf("find a contact: %w", err))
	}
	if !ok {
		return c, rapport.NotFoundf("there is no such contact")
	}
	list := []contacts.Contact{c}
	err = withAddresses(ctx, s.reader(), list)
	return list[0], s.classify(err)
}

// Contacts implements contacts.Store.
func (s *Store) Contacts(ctx context.Context, p contacts.Page) ([]contacts.Contact, error) {
	q, args := qContacts, []any{p.After, p.Limit}
	if p.Search != "" {
		part := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(p.Search))
		q, args = qContactSearch, append(args, "%"+part+"%")
	}
	list, err := collect(ctx, s.reader(), q, scanContact, args...)
	if err == nil {
		err = withAddresses(ctx, s.reader(), list)
	}
	return list, s.classify(err)
}

// withAddresses fills in the addresses of contacts.
func withAddresses(ctx context.Context, r runner, list []contacts.Contact) error {
	if len(list) == 0 {
		return nil
	}
	var ids rowsJSON
	at := make(map[int64]int, len(list))
	for i := range list {
		ids.number(list[i].ID)
		at[list[i].ID] = i
	}
	_, err := collect(ctx, r, qAddressesOf, func(scan func(...any) error) (struct{}, error) {
		var id int64
		var a contacts.Address
		err := scan(&id, &a.Kind, &a.Value, &a.Display, &a.Hash, &a.Position)
		c := &list[at[id]]
		c.Addresses = append(c.Addresses, a)
		return struct{}{}, err
	}, ids.text())
	if err != nil {
		return fmt.Errorf("read addresses: %w", err)
	}
	return nil
}

// AttributeTypes implements contacts.Store.
func (s *Store) AttributeTypes(ctx context.Context) (map[string]contacts.Type, error) {
	types, err := attributeTypes(ctx, s.reader())
	return types, s.classify(err)
}

func attributeTypes(ctx context.Context, r runner) (map[string]contacts.Type, error) {
	types := map[string]contacts.Type{}
	_, err := collect(ctx, r, qAttributeTypes, func(scan func(...any) error) (struct{}, error) {
		var name string
		var t contacts.Type
		err := scan(&name, &t)
		types[name] = t
		return struct{}{}, err
	})
	return types, err
}

// DeclareAttributes implements contacts.Store.
func (s *Store) DeclareAttributes(ctx context.Context, types map[string]contacts.Type) error {
	return s.update(ctx, durable, func(t tx) error {
		for name, typ := range types {
			if _, err := t.exec(ctx, qDeclareAttribute, name, string(typ), micros(s.now())); err != nil {
				return fmt.Errorf("declare attribute %s: %w", name, err)
			}
		}
		have, err := attributeTypes(ctx, t)
		if err != nil {
			return fmt.Errorf("read the types of attributes: %w", err)
		}
		for name, typ := range types {
			if have[name] != typ {
				return rapport.Conflictf("attribute %s is %s already and cannot become %s: give the new one another name", name, have[name], typ)
			}
		}
		return nil
	})
}

// CheckPepper implements contacts.Store.
func (s *Store) CheckPepper(ctx context.Context, id string) error {
	var kept string
	err := s.update(ctx, durable, func(t tx) error {
		if _, err := t.exec(ctx, qPepperKeep, id); err != nil {
			return err
		}
		var err error
		kept, _, err = one(ctx, t, qPepper, scalar[string])
		return err
	})
	if err != nil {
		return fmt.Errorf("compare the pepper: %w", err)
	}
	if kept != id {
		return rapport.Conflictf("the secret key is not the one this database was made with: suppressed addresses would not be recognised; start with the first key again")
	}
	return nil
}
