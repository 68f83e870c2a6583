package public

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/internal/throttle"
	"rapport/preferences"
	"rapport/requests"
	"rapport/responses"
)

// Centre is what the preference page does; *preferences.Service does it.
type Centre interface {
	Sheet(ctx context.Context, s responses.Subject) (preferences.Sheet, error)
	Stop(ctx context.Context, a preferences.Act, driver, topic string) error
	Start(ctx context.Context, a preferences.Act, driver, topic string) (preferences.Started, error)
	Object(ctx context.Context, a preferences.Act) error
	Wish(ctx context.Context, a preferences.Act, driver, topic string, breakDays, every int) error
	Describe(ctx context.Context, a preferences.Act, locale, zone string) error
	Ask(ctx context.Context, a preferences.Act, kind requests.Kind, driver, address string) error
}

// The fields of the page's forms and of its own addresses.
const (
	doField    = "do"
	wayField   = "way"
	topicField = "topic"
	doneField  = "done"
	stepField  = "step"
	stepErase  = "erase"
)

// preferences shows what stands for the person of the token.
func (p *Pages) preferences(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Tokens.Read(responses.ForPreferences, r.PathValue("token"))
	if err != nil {
		p.notFound(w, r)
		return
	}
	p.showPreferences(w, r, s, http.StatusOK, wrong{})
}

// wrong is what cannot be done as it was asked for.
type wrong struct {
	key    string // of the texts
	driver string // whose field it is about; empty: none
	typed  string
}

func (p *Pages) showPreferences(w http.ResponseWriter, r *http.Request, s responses.Subject, status int, bad wrong) {
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	sheet, err := p.o.Centre.Sheet(ctx, s)
	switch {
	case rapport.KindOf(err) == rapport.NotFound: // erased
		p.show(w, r, http.StatusOK, "message", "preferences_title", func(d *page) { d.Notice = d.T["preferences_gone"] })
		return
	case err != nil:
		p.away(w, r, err)
		return
	}
	query := r.URL.Query()
	if query.Get(stepField) == stepErase && status == http.StatusOK {
		p.showErase(w, r, sheet)
		return
	}
	p.showIn(sheet.Contact.Locale, w, r, status, "preferences", "preferences_title", func(d *page) {
		v := viewer{p: p, d: d, sheet: sheet, action: p.action(r)}
		d.Body = v.body(bad)
		if bad.key != "" {
			d.Said = d.T["wrong_title"]
		} else if said := v.said(query); said != "" {
			d.Notice, d.Said = said, said
		}
	})
}

// action is where the forms of the page lead: to itself, in the language that
// was chosen for it, if any.
func (p *Pages) action(r *http.Request) string {
	if lang := p.chosen(r); lang != "" {
		return "?" + url.Values{langField: {lang}}.Encode()
	}
	return "?"
}

// eraseView is the page that says what it means to be erased.
type eraseView struct {
	Means       []string
	Action, Way string
}

func (p *Pages) showErase(w http.ResponseWriter, r *http.Request, sheet preferences.Sheet) {
	i := slices.IndexFunc(sheet.Ways, func(w preferences.Way) bool { return w.Asks })
	if i < 0 {
		p.notFound(w, r)
		return
	}
	p.showIn(sheet.Contact.Locale, w, r, http.StatusOK, "erase", "erase_title", func(d *page) {
		v := eraseView{Action: p.action(r), Way: sheet.Ways[i].Driver}
		for _, key := range []string{"erase_1", "erase_2", "erase_3", "erase_4"} {
			v.Means = append(v.Means, say(d.T[key], "sender", p.o.Name))
		}
		for i := range d.Languages {
			d.Languages[i].Address += "&" + stepField + "=" + stepErase
		}
		d.Body = v
	})
}

// changePreferences does what a button of the page says and leads back to it,
// so that loading the page again repeats nothing.
func (p *Pages) changePreferences(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Tokens.Read(responses.ForPreferences, r.PathValue("token"))
	if err != nil {
		p.notFound(w, r)
		return
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" {
		p.showPreferences(w, r, s, http.StatusForbidden, wrong{key: "wrong_origin"})
		return
	}
	form := body(w, r)
	if !ends(form[doField]) && !p.changes.Allow(s) {
		p.showPreferences(w, r, s, http.StatusTooManyRequests, wrong{key: "wrong_later"})
		return
	}
	even := p.even()
	// Whoever closed the page meanwhile is heard too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), leavePatience)
	defer cancel()
	a, err := p.act(ctx, r, s)
	if err != nil {
		p.showPreferences(w, r, s, http.StatusOK, wrong{}) // which says what is the matter
		return
	}
	done, err := p.change(ctx, a, form)
	switch {
	case err == nil && done != "":
		if asks(form[doField]) {
			even(r.Context())
		}
		p.backTo(w, r, done, form)
	case err == nil:
		p.showPreferences(w, r, s, http.StatusOK, wrong{})
	case rapport.KindOf(err) == rapport.Invalid:
		bad := wrong{key: "wrong_choice"}
		if form[doField] == doMove {
			bad = wrong{key: "wrong_address", driver: form[wayField], typed: form["address"]}
		}
		p.showPreferences(w, r, s, http.StatusUnprocessableEntity, bad)
	case rapport.KindOf(err) == rapport.Denied:
		p.showPreferences(w, r, s, http.StatusConflict, wrong{key: "wrong_choice"})
	default:
		p.failed(w, r, err)
	}
}

// act is who presses a button of the page. The error is that of the sheet.
func (p *Pages) act(ctx context.Context, r *http.Request, s responses.Subject) (preferences.Act, error) {
	sheet, err := p.o.Centre.Sheet(ctx, s)
	if err != nil {
		return preferences.Act{}, err
	}
	lang, _ := p.language(r, sheet.Contact.Locale)
	a := preferences.Act{Subject: s, IP: network(r), Agent: cut(r.UserAgent()), URL: p.o.PublicURL + "/p/…", Locale: lang}
	a.Machine, _ = responses.Classify(responses.Clicked, hitOf(r))
	return a, nil
}

// What the buttons say.
const (
	doStop   = "stop"
	doStart  = "start"
	doWish   = "wish"
	doObject = "object"
	doSelf   = "self"
	doMove   = "move"
	doSee    = "see"
	doErase  = "erase"
)

// ends says whether a button ends something. Saying no is never counted: it
// writes no more than what somebody said yes to before, and those presses are.
func ends(button string) bool { return button == doStop || button == doObject }

// changeRate is how many changes one link takes: more than anybody makes in a
// day, and few enough that a link in wrong hands fills neither the ledger nor
// the audit log.
func changeRate() throttle.Rate {
	return throttle.Rate{Burst: 60, Every: 24 * time.Hour / 60, Most: 8192}
}

// asks says whether a button asks for a letter: then how long the answer takes
// must not tell who is known.
func asks(button string) bool { return button == doMove || button == doSee || button == doErase }

// change does one thing and says which text tells of it; "" for what is none
// of our buttons.
func (p *Pages) change(ctx context.Context, a preferences.Act, form map[string]string) (done string, err error) {
	way, topic := form[wayField], form[topicField]
	tracking := topic == consent.TopicTracking
	switch form[doField] {
	case doStop:
		done, err = "stopped", p.o.Centre.Stop(ctx, a, way, topic)
		if tracking {
			done = "untracked"
		}
	case doStart:
		became, failed := p.o.Centre.Start(ctx, a, way, topic)
		done, err = "started", failed
		if became == preferences.Asked {
			done = "asked"
		} else if tracking {
			done = "tracked"
		}
	case doWish:
		rest, one := strconv.Atoi(form["break"])
		every, two := strconv.Atoi(form["every"])
		if errors.Join(one, two) != nil {
			return "", rapport.Invalidf(doWish, "this is none of the choices on the page")
		}
		done, err = "wish", p.o.Centre.Wish(ctx, a, way, topic, rest, every)
	case doObject:
		done, err = "object", p.o.Centre.Object(ctx, a)
	case doSelf:
		done, err = "self", p.o.Centre.Describe(ctx, a, form["locale"], form["zone"])
	case doMove:
		done, err = "move", p.o.Centre.Ask(ctx, a, requests.Move, way, form["address"])
	case doSee:
		done, err = "see", p.o.Centre.Ask(ctx, a, requests.SeeData, way, "")
	case doErase:
		done, err = "erase", p.o.Centre.Ask(ctx, a, requests.Erase, way, "")
	}
	return done, err
}

// backTo leads to the page again, which then says what was done.
func (p *Pages) backTo(w http.ResponseWriter, r *http.Request, done string, form map[string]string) {
	q := url.Values{doneField: {done}}
	if lang := p.chosen(r); lang != "" && done != "self" {
		q.Set(langField, lang)
	}
	if t := form[topicField]; t != "" && rapport.CheckName("", t) == nil {
		q.Set(topicField, t)
	}
	w.Header().Set("Location", "?"+q.Encode())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}
