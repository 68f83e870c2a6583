package app

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/config"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/requests"
	"rapport/responses"
	"rapport/templates/library"
	"rapport/web/public"
)

// confirmations is the built-in topic of the letters that somebody asked for
// at a public page.
func confirmations() consent.Topic {
	return consent.Topic{Name: requests.Topic, Kind: consent.Transactional, Priority: consent.High, Title: map[string]string{
		"en": "Confirmations", "de": "Bestätigungen",
	}}
}

// invitations is the built-in topic of the letters that nobody asked for and
// that ask people of a file to confirm what waits for their word.
func invitations() consent.Topic {
	return consent.Topic{Name: consent.TopicInvitations, Kind: consent.Transactional, Title: map[string]string{
		"en": "Invitations", "de": "Einladungen",
	}}
}

// furnishRequests builds the room of requests and what confirmed ones do.
func (h *House) furnishRequests() {
	letters := &letterbox{h: h}
	h.Requests = requests.New(requests.Options{
		Store: h.Store, Sender: letters, Drivers: h.Drivers, Tokens: h.tokens, Fresh: h.Contacts.Fresh,
		Link:        func(token string) string { return h.links.Page(responses.PathRequest + token) },
		Fingerprint: contacts.NewFingerprint(h.Keys.Pepper), Keep: h.Config.Networks().Keep,
		Expires: time.Duration(h.Config.Requests.Expires), Now: h.now, Random: h.random, Log: h.Log,
	})
	handlers := &requests.Handlers{Consent: h.Consent, Contacts: h.Contacts, Store: h.Store, Sender: letters, Drivers: h.Drivers, Random: h.random, Log: h.Log}
	handlers.Register(h.Requests)
	h.Daily(DailyChore{
		Name: "expire-requests", What: "ends sign-ups and other requests that nobody confirmed in time, and deletes whoever was made for them",
		Do: func(ctx context.Context) (map[string]int, error) {
			p, err := h.Requests.Prune(ctx)
			return map[string]int{"requests": p.Requests, "unconfirmed": p.Expired, "contacts": p.Contacts}, err
		},
	})
}

// letterbox hands the letters of requests to the ordinary outbox.
type letterbox struct {
	h    *House
	mu   sync.Mutex
	have map[string]bool // templates that are as this program has them
}

// Send implements requests.Sender.
func (l *letterbox) Send(ctx context.Context, x requests.Letter) (string, error) {
	channel, err := l.channel(x)
	if err != nil {
		return "", err
	}
	template, err := l.template(ctx, x.Template, x.Driver)
	if err != nil {
		return "", err
	}
	who, err := l.h.Store.Contact(ctx, contacts.Key{ID: x.Contact})
	if err != nil {
		return "", err
	}
	data := map[string]any{"name": l.h.name()}
	maps.Copy(data, x.Data)
	m, err := l.h.Campaigns.Send(ctx, campaigns.Single{
		Reference: x.Reference, Template: template, Channel: channel, Topic: x.Topic, Contact: who.UID,
		Data: data, Basis: x.Basis, Source: x.Source, Asked: true, Tracking: "off",
	})
	return m.Delivery, err
}

func (l *letterbox) channel(x requests.Letter) (string, error) {
	if x.Channel != "" {
		return x.Channel, nil
	}
	for _, c := range l.h.Config.Channels {
		if c.Driver == x.Driver {
			return c.Name, nil
		}
	}
	return "", rapport.Invalidf("channel", "no channel speaks %s, so nobody can be asked to confirm an address of it", x.Driver)
}

// houseActor wrote the revisions that this program brings along.
const houseActor = "rapport"

// template returns the stored template of a letter, which is the operators' own
// or else the one of the house. A channel that speaks something else than the
// letter of the house has its own, named NAME-DRIVER.
func (l *letterbox) template(ctx context.Context, name, driver string) (string, error) {
	src, err := library.Letter(name, l.h.Drivers)
	if err != nil {
		return "", err
	}
	if src.Template.Driver != driver {
		return name + "-" + driver, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.have[name] {
		return name, nil
	}
	_, rev, err := l.h.Templates.Get(ctx, name)
	switch {
	case rapport.KindOf(err) == rapport.NotFound && err != nil:
	case err != nil:
		return "", err
	case rev.Actor != houseActor:
		return name, nil // asked again each time: they may put a newer one
	}
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: houseActor})
	if _, err := l.h.Templates.Put(ctx, src); err != nil {
		return "", fmt.Errorf("store the letter %s of the house: %w", name, err)
	}
	if l.have == nil {
		l.have = map[string]bool{}
	}
	l.have[name] = true
	return name, nil
}

// Left implements requests.Sender.
func (l *letterbox) Left(ctx context.Context, r requests.Request) (string, time.Time, error) {
	if r.Delivery == "" || r.Delivery == requests.Refused {
		return "", time.Time{}, nil
	}
	run, contact, err := rapport.ParseDeliveryID(r.Delivery)
	if err != nil {
		return "", time.Time{}, err
	}
	d, err := l.h.Store.DeliveryOf(ctx, run, contact)
	switch {
	case err == nil && (d.State == outbox.Sent || d.State == outbox.Uncertain):
	case err == nil || rapport.KindOf(err) == rapport.NotFound:
		return "", time.Time{}, nil
	default:
		return "", time.Time{}, err
	}
	return l.h.messageID(d.Channel, d.ID), d.UpdatedAt, nil
}

// messageID is what a delivery is called in the mailbox: by mail it is made of
// the delivery's ID and the domain of the sender; elsewhere the ID itself.
func (h *House) messageID(channel, delivery string) string {
	c, ok := h.Config.Find(channel)
	var settings struct {
		From string `json:"from"`
	}
	if !ok || json.Unmarshal(c.Raw, &settings) != nil {
		return delivery
	}
	from := strings.TrimRight(settings.From, "> ")
	_, domain, ok := strings.Cut(from[strings.LastIndexByte(from, '<')+1:], "@")
	if !ok {
		return delivery
	}
	return "<" + delivery + "@" + domain + ">"
}

// doors is what the public pages know of forms and requests. Each form's exact
// words are stored as a wording first, so that every consent can name them.
func (h *House) doors(ctx context.Context) (public.Doors, error) {
	d := public.Doors{Requests: h.Requests, Even: public.EvenAnswers, Number: h.number, Topics: h.Consent.Topics, Renewal: h.renewal, Archives: h.archives()}
	topics, err := h.Consent.Topics(ctx)
	if err != nil {
		return d, err
	}
	for i, f := range h.Config.Forms {
		form, err := h.form(ctx, f, topics)
		if err != nil {
			return d, fmt.Errorf("forms[%d] (%s): %w", i, f.Name, err)
		}
		d.Forms = append(d.Forms, form)
	}
	return d, nil
}

// number is a random number that is not negative.
func (h *House) number() int64 {
	var b [8]byte
	if _, err := io.ReadFull(h.random, b[:]); err != nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b[:]) >> 2)
}

// WordingOf is the name of the wording of a form.
func WordingOf(form string) string { return "form-" + form }

func (h *House) form(ctx context.Context, f config.Form, topics []consent.Topic) (public.Form, error) {
	c, _ := h.Config.Find(f.Channel)
	driver, err := h.Drivers.Driver(c.Driver)
	if err != nil {
		return public.Form{}, err
	}
	out := public.Form{
		Name: f.Name, Channel: f.Channel, Driver: driver.Name, Kind: driver.Address.Kind, Title: f.Title, Intro: f.Intro, Wording: f.Wording,
		Tracking: f.Tracking, Notices: map[string]consent.NoticeRef{}, EmbedOn: f.EmbedOn, Work: f.ProofOfWork, Repeated: f.Already == "letter",
		Fallback: language(h.Config.Locale),
	}
	for _, x := range f.Fields {
		if err := contacts.CheckAttributeName(x.Name); err != nil {
			return out, rapport.Invalidf("fields", "%v", err)
		}
		out.Fields = append(out.Fields, public.FormField{Name: x.Name, Label: x.Label, Required: x.Required})
	}
	for _, name := range f.Topics {
		t, err := consent.Find(topics, name)
		if err != nil {
			return out, err
		}
		if t.Kind != consent.Marketing || name == consent.TopicTracking {
			return out, rapport.Invalidf("topics", "%s is none that people agree to by a box of the list", name)
		}
		out.Topics = append(out.Topics, public.FormTopic{Name: name, Title: t.Title})
	}
	texts := map[string]string{}
	for locale := range f.Wording {
		texts[locale] = out.Shown(locale)
	}
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "configuration"})
	version, _, err := h.Consent.PutWording(ctx, consent.Wording{Name: WordingOf(f.Name), Texts: texts})
	if err != nil {
		return out, err
	}
	for locale, text := range texts {
		out.Notices[locale] = consent.NoticeRef{Name: WordingOf(f.Name), Version: version, Locale: locale, Hash: consent.TextHash(text)}
	}
	return out, nil
}

func language(locale string) string {
	l, _, _ := strings.Cut(locale, "-")
	return l
}

// renewal is what somebody says once more who comes from a letter that asks
// them to: the topic it was sent for, and whatever else stands on its way and
// has an end.
func (h *House) renewal(ctx context.Context, s responses.Subject) (requests.Request, error) {
	gone := rapport.NotFoundf("there is nothing to renew")
	who, err := h.Store.Contact(ctx, contacts.Key{ID: s.Contact})
	if err != nil {
		return requests.Request{}, err
	}
	sheet, err := h.Consent.Show(ctx, s.Contact)
	if err != nil {
		return requests.Request{}, err
	}
	r := requests.Request{Kind: requests.Renew, Contact: s.Contact, Person: s.Contact, Driver: s.Driver, Locale: who.Locale, Method: consent.ByLink}
	for _, c := range sheet.Standing {
		if c.Driver == s.Driver && c.Answer == consent.Yes && (c.Topic == s.Topic || !c.Expires.IsZero() && c.Basis == consent.ByConsent) && c.Basis != consent.ByContract {
			r.Topics = append(r.Topics, c.Topic)
			r.Address = c.Address
		}
	}
	driver, err := h.Drivers.Driver(s.Driver)
	if err != nil {
		return r, gone
	}
	a, has := who.Primary(driver.Address.Kind)
	if !has || !slices.Contains(r.Topics, s.Topic) {
		return r, gone // what has ended or was withdrawn begins anew at a form
	}
	r.Address, r.Given = a.Value, a.Display
	if id := rapport.DeliveryID(s.Run, s.Contact); s.Run > 0 {
		r.Delivery = id
		if r.MessageID, r.MailedAt, err = (&letterbox{h: h}).Left(ctx, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Invite asks people whose answer to the topics of a form waits for their
// confirmation, and who were never asked, to give it: the letter of the form
// goes out to each once. It returns how many were asked.
func (h *House) Invite(ctx context.Context, form string, limit int) (_ int, err error) {
	f, ok := h.Config.FindForm(form)
	if !ok {
		return 0, rapport.Unknown("form", form, h.formNames())
	}
	topics, err := h.Consent.Topics(ctx)
	if err != nil {
		return 0, err
	}
	pub, err := h.form(ctx, f, topics)
	if err != nil {
		return 0, err
	}
	asked, after := 0, int64(0)
	defer func() {
		if asked > 0 {
			err = errors.Join(err, h.Access.Note(ctx, access.Act{Action: "forms.invite", Object: form, Detail: map[string]any{"asked": asked}}))
		}
	}()
	for asked < limit {
		page, err := h.Store.Uninvited(ctx, pub.Driver, pub.Kind, f.Topics, after, min(500, limit-asked))
		if err != nil || len(page) == 0 {
			return asked, err
		}
		for _, u := range page {
			after = u.Contact
			locale := slices.Sorted(maps.Keys(pub.Notices))
			err := h.Requests.Ask(ctx, requests.Ask{
				Kind: requests.Subscribe, Contact: u.Contact, Driver: pub.Driver, Channel: pub.Channel, Address: u.Address, Topics: u.Topics,
				Form: f.Name, Method: consent.ByImport, Notice: pub.Notices[public.Pick(f.Wording, u.Locale, locale[0])], Locale: u.Locale,
			})
			if err != nil {
				return asked, err
			}
			asked++
		}
	}
	return asked, nil
}

func (h *House) formNames() []string {
	var names []string
	for _, f := range h.Config.Forms {
		names = append(names, f.Name)
	}
	return names
}

// Snippet is what somebody pastes into another site: plain HTML that leads to
// the form, or a frame of it.
func (h *House) Snippet(ctx context.Context, form, lang string, frame bool) (string, error) {
	f, ok := h.Config.FindForm(form)
	if !ok {
		return "", rapport.Unknown("form", form, h.formNames())
	}
	if frame && len(f.EmbedOn) == 0 {
		return "", rapport.Invalidf("embed_on", "form %s names no site that may show it in a frame; write forms: embed_on: [https://shop.example.com]", f.Name)
	}
	topics, err := h.Consent.Topics(ctx)
	if err != nil {
		return "", err
	}
	pub, err := h.form(ctx, f, topics)
	if err != nil {
		return "", err
	}
	if lang == "" {
		lang = language(h.Config.Locale)
	}
	return public.Snippet(pub, h.links.Page(responses.PathForm+f.Name), lang, frame)
}
