package app

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"rapport"
	"rapport/config"
	"rapport/contacts"
	"rapport/outbox"
	"rapport/requests"
	"rapport/rights"
	"rapport/web/public"
)

// furnishRights builds the room of rights, what confirmed requests for a copy
// and for erasure do, and the daily retention.
func (h *House) furnishRights() {
	h.Rights = rights.New(rights.Options{
		Store: h.Store, Contacts: h.Contacts, Consent: h.Consent, Access: h.Access, Drivers: h.Drivers,
		Fingerprint: contacts.NewFingerprint(h.Keys.Pepper), Letter: h.letterPlain, Recipients: h.recipients,
		Tracking: h.trackingTold(),
		Keep:     keep(h.Config.Retention), Controller: cmp.Or(h.Config.Consent.Controller, h.name()), Locale: h.Config.Locale, Engine: h.Store.Engine(), Now: h.now, Random: h.random, Log: h.Log,
	})
	h.Requests.Handle(requests.SeeData, confirmed(func(context.Context, requests.Request) error {
		return nil // from now on the archive can be fetched
	}))
	h.Requests.Handle(requests.Erase, confirmed(h.eraseAsked))
	h.Daily(DailyChore{
		Name: "retention", What: "removes what is older than the settings under retention keep it, and notes how much",
		Do: func(ctx context.Context) (map[string]int, error) {
			done, err := h.Rights.Retain(ctx)
			return rights.Went(done), err
		},
	})
}

// confirmed is a handler of requests that needs nothing of the press.
type confirmed func(ctx context.Context, r requests.Request) error

// Confirmed implements requests.Handler.
func (f confirmed) Confirmed(ctx context.Context, r requests.Request, _ requests.Confirmation) error {
	return f(ctx, r)
}

// eraseAsked erases whoever asked for it. Somebody who is gone already is no
// error: doing it twice is like doing it once.
func (h *House) eraseAsked(ctx context.Context, r requests.Request) error {
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "request:erase"})
	_, err := h.Rights.Erase(ctx, cmp.Or(r.Person, r.Contact))
	if rapport.KindOf(err) == rapport.NotFound {
		return nil
	}
	return err
}

// archiveFor writes the copy of the data of whoever asked for it.
func (h *House) archiveFor(ctx context.Context, r requests.Request, w io.Writer) error {
	who, err := h.Store.Contact(ctx, contacts.Key{ID: cmp.Or(r.Person, r.Contact)})
	if err != nil {
		return err
	}
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "request:see_data"})
	if r.Locale != "" {
		who.Locale = cmp.Or(who.Locale, r.Locale)
	}
	_, err = h.Rights.Archive(ctx, who, w)
	return err
}

// letterPlain writes a message of the past once more, with no link that counts.
func (h *House) letterPlain(ctx context.Context, runID, contact int64) (map[string]string, error) {
	run, err := h.Store.Run(ctx, runID)
	if err != nil {
		return nil, err
	}
	run.Tracking = string(outbox.TrackOff)
	d, err := h.Store.Delivered(ctx, runID, contact)
	if err != nil {
		return nil, err
	}
	compose, err := h.open(ctx, run)
	if err != nil {
		return nil, err
	}
	m, err := compose(ctx, d)
	return m.Content, err
}

// recipients names the channels and the hosts behind them.
func (h *House) recipients() []rights.Recipient {
	var out []rights.Recipient
	for _, c := range h.Config.Channels {
		out = append(out, rights.Recipient{Channel: c.Name, Driver: c.Driver, Provider: strings.Join(hosts(c), ", ")})
	}
	return out
}

// hosts finds the hosts in the settings of a channel, whatever its driver calls
// them.
func hosts(c config.Channel) []string {
	var settings any
	if json.Unmarshal(c.Raw, &settings) != nil {
		return nil
	}
	var out []string
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				look(inner)
			}
		case []any:
			for _, inner := range v {
				look(inner)
			}
		case string:
			if u, err := url.Parse(v); err == nil && u.Scheme != "" && u.Hostname() != "" && !slices.Contains(out, u.Hostname()) {
				out = append(out, u.Hostname())
			}
		}
	}
	look(settings)
	slices.Sort(out)
	return out
}

// keep is how long what is kept, as the room of rights has it.
func keep(r config.Retention) rights.Keep {
	k := rights.Keep{}
	for rule, age := range map[rights.Rule]config.Age{
		rights.Attempts: r.Attempts, rights.Agents: r.Agents, rights.Responses: r.Responses, rights.NotPlanned: r.NotPlanned,
		rights.Deliveries: r.Deliveries, rights.Events: r.Events, rights.Imports: r.Imports, rights.Audit: r.Audit, rights.Idle: r.Idle,
	} {
		k[rule] = rights.Age{Months: age.Months, Days: age.Days}
	}
	return k
}

// archives is how people fetch the copy they have asked for.
func (h *House) archives() public.Archives {
	age := h.Config.Retention.Archives
	if age.IsZero() {
		return public.Archives{}
	}
	return public.Archives{Write: h.archiveFor, For: time.Duration(age.Months*31+age.Days) * 24 * time.Hour}
}
