package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"rapport"
	"rapport/config"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/preferences"
	"rapport/requests"
	"rapport/responses"
	"rapport/templates/library"
	"rapport/web/public"
)

// people is what the preference page knows of persons.
type people struct {
	*contacts.Service
	byNumber func(ctx context.Context, by contacts.Key) (contacts.Contact, error)
}

// Contact implements preferences.People.
func (p people) Contact(ctx context.Context, by contacts.Key) (contacts.Contact, error) {
	return p.byNumber(ctx, by)
}

// centre is what people decide on the preference page.
func (h *House) centre(sink responses.Sink) (*preferences.Service, error) {
	asks, err := h.asks()
	if err != nil {
		return nil, err
	}
	return preferences.New(preferences.Options{
		Ledger: h.Consent, People: people{h.Contacts, h.Store.Contact}, Requests: h.Requests, Audit: h.Access, Sink: sink,
		Drivers: h.Drivers, Reaches: h.reaches(), Asks: asks, Tracking: h.trackingLine(),
		Letter: func(ctx context.Context, run, contact int64) (string, error) {
			d, err := h.Store.Delivered(ctx, run, contact)
			return d.Address, err
		},
		Object: func(ctx context.Context, contact int64, source string) error {
			_, err := h.Rights.Object(ctx, contact, source)
			return err
		},
		Notice: h.notice, Now: h.now,
	}), nil
}

// asks lists the drivers that carry the letters of requests: the one that the
// letters of the house are written for, if a channel has it.
func (h *House) asks() ([]string, error) {
	letter, err := library.Letter(requests.LetterSubscribe, h.Drivers)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(h.reaches(), letter.Template.Driver) {
		return nil, nil
	}
	return []string{letter.Template.Driver}, nil
}

// reaches lists the drivers of the configured channels.
func (h *House) reaches() []string {
	var out []string
	for _, c := range h.Config.Channels {
		if !slices.Contains(out, c.Driver) {
			out = append(out, c.Driver)
		}
	}
	return out
}

// trackingLine says whether the page asks about personal statistics.
func (h *House) trackingLine() preferences.Tracking {
	switch t := h.Tracking(); {
	case t.For("") != outbox.TrackPerson:
		return preferences.NotTracked
	case t.Asks():
		return preferences.TrackedByConsent
	}
	return preferences.TrackedUnlessNo
}

// notice names the stored text that a page shows in a language.
func (h *House) notice(ctx context.Context, wording, locale string) (consent.NoticeRef, error) {
	w, err := h.Consent.LatestWording(ctx, wording, locale)
	return w.NoticeRef, err
}

// putPageWordings stores what the preference page says beside its buttons.
func (h *House) putPageWordings(ctx context.Context, pages *public.Pages) error {
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "system"})
	for name, texts := range pages.Wordings() {
		if _, _, err := h.Consent.PutWording(ctx, consent.Wording{Name: name, Texts: texts}); err != nil {
			return fmt.Errorf("store what the preference page says: %w", err)
		}
	}
	return nil
}

// CheckPages refuses what the public pages could not show: a logo that is none,
// texts that are misspelt.
func CheckPages(c config.Config) error {
	if _, err := theme(c.Pages); err != nil {
		return err
	}
	return public.CheckTexts(textsFolder(c), c.Locale)
}

// textsFolder is the folder of further languages, as the configuration names
// it or where it lies by itself; nil: there is none.
func textsFolder(c config.Config) fs.FS {
	folder := c.Pages.Texts
	if folder == "" {
		folder = filepath.Join(c.Data, "texts")
		if _, err := os.Stat(folder); err != nil {
			return nil
		}
	}
	return os.DirFS(folder)
}

// theme is how the configuration wants the pages to look.
func theme(p config.Pages) (public.Theme, error) {
	t := public.Theme{Colour: p.Colour, Background: p.Background, Imprint: p.Imprint, Privacy: p.Privacy}
	var one, two error
	t.Logo, one = picture("pages.logo", p.Logo)
	t.LogoDark, two = picture("pages.logo_dark", p.LogoDark)
	return t, errors.Join(one, two)
}

func picture(field, file string) (*public.Picture, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no picture is no mistake
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &rapport.Error{Kind: rapport.Invalid, Field: field, Msg: "the file " + file + " cannot be read", Err: err}
	}
	return public.ReadPicture(field, data)
}
