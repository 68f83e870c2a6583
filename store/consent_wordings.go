package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"rapport"
	"rapport/consent"
)

const qWordingColumns = `SELECT name, version, locale, text, hash, actor, at, seal FROM wordings`

const qWordings query = qWordingColumns + ` ORDER BY id`

const qWordingsNamed query = qWordingColumns + ` WHERE name = $1 ORDER BY version, locale`

const qWordingHead query = `SELECT value FROM meta WHERE key = 'wordings'`

// Whoever adds a text takes the note of the last one, and so waits for whoever
// is just adding another.
const qWordingAlone query = `UPDATE meta SET value = value WHERE key = 'wordings'`

const qWordingMove query = `UPDATE meta SET value = $1 WHERE key = 'wordings'`

const qAddWording query = `
INSERT INTO wordings (name, version, locale, text, hash, actor, at, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

const qNoticeHashes query = `SELECT name, version, locale, hash FROM wordings WHERE name = $1`

func scanWording(scan func(...any) error) (w consent.WordingText, err error) {
	var at int64
	err = scan(&w.Name, &w.Version, &w.Locale, &w.Text, &w.Hash, &w.Actor, &at, &w.Seal)
	w.At = when(at)
	return w, err
}

// PutWording implements consent.WordingStore.
func (s *Store) PutWording(ctx context.Context, w consent.Wording) (version int, isNew bool, err error) {
	err = s.update(ctx, durable, func(t tx) error {
		version, isNew = 0, false
		if _, err := t.exec(ctx, qWordingAlone); err != nil {
			return fmt.Errorf("wait for whoever is adding a wording: %w", err)
		}
		list, err := collect(ctx, t, qWordingsNamed, scanWording, w.Name)
		if err != nil {
			return fmt.Errorf("read wording %s: %w", w.Name, err)
		}
		newest := map[string]string{}
		for _, row := range list {
			if row.Version > version {
				version = row.Version
				clear(newest)
			}
			newest[row.Locale] = row.Text
		}
		if maps.Equal(newest, w.Texts) {
			return nil
		}
		version++
		isNew = true
		w.Version = version
		return t.addWording(ctx, w)
	})
	return version, isNew, err
}

func (t tx) addWording(ctx context.Context, w consent.Wording) error {
	seal, _, err := one(ctx, t, qWordingHead, scalar[string])
	if err != nil {
		return fmt.Errorf("read the note beside the wordings: %w", err)
	}
	for _, locale := range slices.Sorted(maps.Keys(w.Texts)) {
		text := w.Texts[locale]
		row := consent.WordingText{
			NoticeRef: consent.NoticeRef{Name: w.Name, Version: w.Version, Locale: locale, Hash: consent.TextHash(text)},
			Text:      text, Actor: w.Actor, At: w.At,
		}
		seal = consent.SealWording(seal, row)
		if _, err := t.exec(ctx, qAddWording, row.Name, row.Version, row.Locale, row.Text, row.Hash, row.Actor, micros(row.At), seal); err != nil {
			return fmt.Errorf("add wording %s: %w", w.Name, err)
		}
	}
	_, err = t.exec(ctx, qWordingMove, seal)
	return err
}

// Wordings implements consent.WordingStore.
func (s *Store) Wordings(ctx context.Context) (list []consent.WordingText, head string, err error) {
	err = s.view(ctx, func(r runner) error {
		if list, err = collect(ctx, r, qWordings, scanWording); err != nil {
			return err
		}
		head, _, err = one(ctx, r, qWordingHead, scalar[string])
		return err
	})
	return list, head, s.classify(err)
}

// WordingsNamed implements consent.WordingStore.
func (s *Store) WordingsNamed(ctx context.Context, name string) ([]consent.WordingText, error) {
	list, err := collect(ctx, s.reader(), qWordingsNamed, scanWording, name)
	return list, s.classify(err)
}

// notices are the stored texts that some entries refer to, by name.
type notices map[string][]consent.NoticeRef

// noticesOf reads them; entries that name none cost nothing.
func noticesOf(ctx context.Context, r runner, entries []consent.Entry) (notices, error) {
	var n notices
	for _, e := range entries {
		if _, known := n[e.Notice.Name]; known || e.Notice.Name == "" {
			continue
		}
		list, err := collect(ctx, r, qNoticeHashes, func(scan func(...any) error) (x consent.NoticeRef, err error) {
			err = scan(&x.Name, &x.Version, &x.Locale, &x.Hash)
			return x, err
		}, e.Notice.Name)
		if err != nil {
			return nil, fmt.Errorf("read wording %s: %w", e.Notice.Name, err)
		}
		if n == nil {
			n = notices{}
		}
		n[e.Notice.Name] = list
	}
	return n, nil
}

// find completes a reference: version 0 is the newest, an empty hash that of
// the stored text. One that names no stored text, or another hash than that of
// the text, is Invalid.
func (n notices) find(x consent.NoticeRef) (consent.NoticeRef, error) {
	if x.Name == "" {
		return x, nil
	}
	if x.Version == 0 {
		for _, y := range n[x.Name] {
			x.Version = max(x.Version, y.Version)
		}
	}
	for _, y := range n[x.Name] {
		if y.Version != x.Version || y.Locale != x.Locale {
			continue
		}
		if x.Hash != "" && x.Hash != y.Hash {
			return x, rapport.Invalidf("notice.hash", "wording %s version %d %s has another hash: the person saw another text than the one that is stored", x.Name, x.Version, x.Locale)
		}
		return y, nil
	}
	return x, rapport.Invalidf("notice", "there is no text of wording %q, version %d, in language %q; rapport wordings list shows them", x.Name, x.Version, x.Locale)
}
