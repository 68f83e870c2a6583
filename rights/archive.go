package rights

import (
	"archive/zip"
	"compress/flate"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"rapport/access"
	"rapport/consent"
	"rapport/contacts"
	"rapport/events"
)

// Copied says what went into an archive.
type Copied struct {
	Deliveries int  `json:"deliveries"`
	Tries      int  `json:"tries"`
	Responses  int  `json:"responses"`
	Events     int  `json:"events"`
	NotPlanned int  `json:"not_planned"`
	Looks      int  `json:"looks"`
	Letters    int  `json:"letters"`
	Cut        bool `json:"cut"` // there was more than an archive holds
}

// Archive writes everything that is kept about a person as one ZIP archive (GDPR
// articles 15 and 20): a page to read and print, the same as JSON, and the
// letters written again where that is possible. It is written while it is read
// and kept nowhere. That it was made is noted before.
func (s *Service) Archive(ctx context.Context, c contacts.Contact, w io.Writer) (Copied, error) {
	var done Copied
	if err := s.handed(ctx, c); err != nil {
		return done, err
	}
	p, err := s.gather(ctx, c)
	if err != nil {
		return done, err
	}
	letters, err := s.letters(ctx, c.ID)
	if err != nil {
		return done, err
	}
	a := &archive{zip: zip.NewWriter(w), s: s, ctx: ctx, who: c, at: p.MadeAt, letters: letters}
	a.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, part := range []func(person) error{a.page, a.documents, a.deliveries, a.tries, a.responses, a.events, a.skips, a.looks, a.again} {
		if err := part(p); err != nil {
			return a.done, fmt.Errorf("write an archive: %w", err)
		}
	}
	if err := a.zip.Close(); err != nil {
		return a.done, fmt.Errorf("finish an archive: %w", err)
	}
	return a.done, nil
}

// archive is one on its way out.
type archive struct {
	zip     *zip.Writer
	s       *Service
	ctx     context.Context //nolint:containedctx // it lives for one call, and every part needs it
	who     contacts.Contact
	at      time.Time
	letters map[int64]bool // deliveries whose letter is written again
	done    Copied
}

// letters chooses the newest messages that have left.
func (s *Service) letters(ctx context.Context, contact int64) (map[int64]bool, error) {
	if s.o.Letter == nil {
		return nil, nil
	}
	var all []int64
	err := pages(func(after int64) ([]Delivery, error) {
		return s.o.Store.DeliveriesTo(ctx, contact, after, copyPage)
	}, func(d Delivery) int64 { return d.Number }, func(d Delivery) error {
		if d.State == "sent" || d.State == "uncertain" {
			if all = append(all, d.Number); len(all) > 2*maxLetters {
				all = slices.Clone(all[len(all)-maxLetters:])
			}
		}
		return nil
	})
	out := map[int64]bool{}
	for _, n := range all[max(0, len(all)-maxLetters):] {
		out[n] = true
	}
	return out, err
}

// pages goes through a list that comes in pages, up to what an archive holds.
func pages[T any](next func(after int64) ([]T, error), number func(T) int64, each func(T) error) error {
	after, n := int64(0), 0
	for {
		list, err := next(after)
		if err != nil {
			return err
		}
		for _, one := range list {
			if n++; n > maxCopyRows {
				return nil
			}
			if err := each(one); err != nil {
				return err
			}
			after = number(one)
		}
		if len(list) < copyPage {
			return nil
		}
	}
}

func (a *archive) file(name string) (io.Writer, error) {
	return a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: a.at})
}

// page writes index.html, with the long lists read as they are written.
func (a *archive) page(p person) error {
	w, err := a.file("index.html")
	if err != nil {
		return err
	}
	return writePage(w, p, lists{
		deliveries: func(row func(Delivery) error) error { return a.eachDelivery(row) },
		responses:  func(row func(Response) error) error { return a.eachResponse(row) },
		events:     a.eachEvent,
		skips:      a.eachSkip,
		looks:      a.eachLook,
	})
}

// wish is what a person asked for beside yes and no, for readers of any kind.
type wish struct {
	Driver      string    `json:"driver"` // "": all
	Topic       string    `json:"topic"`  // "": all
	PausedUntil time.Time `json:"paused_until,omitzero"`
	EveryHours  float64   `json:"at_most_one_in_hours,omitempty"`
}

func wishes(list []consent.Preference) []wish {
	out := make([]wish, 0, len(list))
	for _, p := range list {
		out = append(out, wish{p.Driver, p.Topic, p.PausedUntil, p.Every.Hours()})
	}
	return out
}

// documents writes the short parts as JSON, a file each.
func (a *archive) documents(p person) error {
	kept := make(map[Rule]string, len(p.Keep))
	for _, k := range p.Keep {
		kept[k.Rule] = k.Keep
	}
	about := map[string]any{
		"controller": p.Controller, "made_at": p.MadeAt, "recipients": some(p.Recipients), "tracking": p.Tracking, "kept_for": kept,
		"sources": sources(p), "format": "JSON, UTF-8; times are RFC 3339 in UTC",
	}
	files := map[string]any{
		"about.json": about, "profile.json": p.Profile, "suppressions.json": some(p.Suppressions),
		"preferences.json": some(wishes(p.Preferences)), "requests.json": some(p.Requests),
		"consents.json": map[string]any{"standing": some(p.Sheet.Standing), "history": some(p.Sheet.History), "wordings": some(p.Wordings)},
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := a.file(name)
		if err != nil {
			return err
		}
		if err := encode(w, "  ", files[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// some writes an empty list as one, and not as nothing.
func some[T any](list []T) []T { return append([]T{}, list...) }

// sources says where data came from, as the ledger names it.
func sources(p person) []string {
	var out []string
	for _, h := range p.Sheet.History {
		if h.Evidence != nil && h.Evidence.Source != "" && !slices.Contains(out, h.Evidence.Source) {
			out = append(out, h.Evidence.Source)
		}
	}
	return some(out)
}

func encode(w io.Writer, indent string, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", indent)
	return enc.Encode(v)
}

func (a *archive) eachDelivery(row func(Delivery) error) error {
	return pages(func(after int64) ([]Delivery, error) {
		return a.s.o.Store.DeliveriesTo(a.ctx, a.who.ID, after, copyPage)
	}, func(d Delivery) int64 { return d.Number }, func(d Delivery) error {
		if a.letters[d.Number] {
			d.Letter = letterFile(d)
		}
		return row(d)
	})
}

func (a *archive) eachResponse(row func(Response) error) error {
	return pages(func(after int64) ([]Response, error) {
		return a.s.o.Store.ResponsesFrom(a.ctx, a.who.ID, after, copyPage)
	}, func(r Response) int64 { return r.Number }, row)
}

func (a *archive) eachEvent(row func(events.Event) error) error {
	return pages(func(after int64) ([]events.Event, error) {
		return a.s.o.Store.EventsOf(a.ctx, a.who.ID, after, copyPage)
	}, func(e events.Event) int64 { return e.Number }, row)
}

func (a *archive) eachSkip(row func(Skip) error) error {
	return pages(func(after int64) ([]Skip, error) {
		return a.s.o.Store.SkipsOf(a.ctx, a.who.ID, after, copyPage)
	}, func(x Skip) int64 { return x.RunNo }, row)
}

// eachLook goes through the audit log, newest first, up to the line that says
// that this archive was made.
func (a *archive) eachLook(row func(Look) error) error {
	return pages(func(before int64) ([]Look, error) {
		lines, err := a.s.o.Access.List(a.ctx, access.Filter{Contact: a.who.ID, Before: before, Limit: copyPage})
		list := make([]Look, 0, len(lines))
		for _, l := range lines {
			if string(l.Detail) == "{}" {
				l.Detail = nil
			}
			list = append(list, Look{l.ID, l.At, l.Actor, l.Action, l.Object, l.Detail})
		}
		return list, err
	}, func(l Look) int64 { return l.Number }, row)
}

func letterFile(d Delivery) string { return "letters/" + d.ID + ".html" }

// rows writes a list as JSON while it is read.
func (a *archive) rows(name string, list func(row func(v any) error) error) (n int, err error) {
	w, err := a.file(name)
	if err != nil {
		return 0, err
	}
	if _, err := io.WriteString(w, "[\n"); err != nil {
		return 0, err
	}
	err = list(func(v any) error {
		if n > 0 {
			if _, err := io.WriteString(w, ",\n"); err != nil {
				return err
			}
		}
		n++
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("%s: %w", name, err)
	}
	if a.done.Cut = a.done.Cut || n >= maxCopyRows; n >= maxCopyRows {
		a.s.o.Log.WarnContext(a.ctx, "an archive holds only a part", slog.String("file", name), slog.Int64("rows", int64(n)))
	}
	_, err = io.WriteString(w, "\n]\n")
	return n, err
}

func (a *archive) deliveries(person) (err error) {
	a.done.Deliveries, err = a.rows("deliveries.json", func(row func(any) error) error {
		return a.eachDelivery(func(d Delivery) error { return row(d) })
	})
	return err
}

func (a *archive) tries(person) (err error) {
	a.done.Tries, err = a.rows("tries.json", func(row func(any) error) error {
		after, n := int64(0), 0
		for {
			list, last, err := a.s.o.Store.TriesTo(a.ctx, a.who.ID, after, copyPage)
			if err != nil {
				return err
			}
			for _, t := range list {
				if n++; n > maxCopyRows {
					return nil
				}
				if err := row(t); err != nil {
					return err
				}
			}
			if after = last; len(list) < copyPage {
				return nil
			}
		}
	})
	return err
}

func (a *archive) responses(person) (err error) {
	a.done.Responses, err = a.rows("responses.json", func(row func(any) error) error {
		return a.eachResponse(func(r Response) error { return row(r) })
	})
	return err
}

func (a *archive) events(person) (err error) {
	a.done.Events, err = a.rows("events.json", func(row func(any) error) error {
		return a.eachEvent(func(e events.Event) error { return row(e) })
	})
	return err
}

func (a *archive) skips(person) (err error) {
	a.done.NotPlanned, err = a.rows("not_planned.json", func(row func(any) error) error {
		return a.eachSkip(func(x Skip) error { return row(x) })
	})
	return err
}

func (a *archive) looks(person) (err error) {
	a.done.Looks, err = a.rows("looks.json", func(row func(any) error) error {
		return a.eachLook(func(l Look) error { return row(l) })
	})
	return err
}

// again writes the letters of the past once more, with what is known of the
// person now. One that cannot be written says so in its place.
func (a *archive) again(p person) error {
	size := 0
	return a.eachDelivery(func(d Delivery) error {
		if d.Letter == "" {
			return nil
		}
		parts, err := a.s.o.Letter(a.ctx, d.RunNo, a.who.ID)
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		if err != nil || size > maxCopySize {
			parts = nil
		}
		w, ferr := a.file(d.Letter)
		if ferr != nil {
			return ferr
		}
		for _, text := range parts {
			size += min(len(text), maxLetter)
		}
		if parts != nil {
			a.done.Letters++
		}
		return writeLetter(w, p.Locale, d, parts)
	})
}

// clip cuts a text that is too long for an archive.
func clip(text string) string {
	if len(text) <= maxLetter {
		return text
	}
	return strings.ToValidUTF8(text[:maxLetter], "") + "…"
}
