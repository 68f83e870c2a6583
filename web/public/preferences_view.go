package public

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rapport/channels"
	"rapport/consent"
	"rapport/contacts"
	"rapport/preferences"
)

// preferencesView is the preference page.
type preferencesView struct {
	Action string
	Lead   string
	Wrong  *wrongView
	Ways   []wayView
	Start  string // what a "yes" on the page means; empty: there is no button for one
	Letter bool   // some "yes" is confirmed by a letter
	All    bool   // something can be stopped at once
	Wish   *wishView
	Paused string

	Tracking     []lineView
	TrackingText string

	Languages []option
	Zone      string
	Regions   []region

	Moves   []moveView
	Data    string // way that carries what is asked for; empty: none does
	EraseAt string
}

type wrongView struct{ Text, Field string }

type wayView struct {
	Driver, Title, Address string
	Topics                 []lineView
}

type lineView struct {
	Title, Answer, Paused string
	On                    bool
	Button                *buttonView
	Wish                  *wishView
}

type buttonView struct{ Way, Topic, Do, Text, About string }

// wishView is the form for a break and a rhythm.
type wishView struct {
	T                                      map[string]string
	ID, Way, Topic, Action, Summary, About string
	Open                                   bool
	Every, Break                           []option
}

type option struct {
	Value, Text, Lang string
	Chosen            bool
}

type moveView struct{ Driver, Title, Typed, Wrong, Fill string }

// viewer puts what stands for a person into words.
type viewer struct {
	p      *Pages
	d      *page
	sheet  preferences.Sheet
	action string
}

func (v viewer) say(key string, pairs ...string) string {
	return say(v.d.T[key], append(pairs, "sender", v.p.o.Name)...)
}

func (v viewer) body(bad wrong) preferencesView {
	b := preferencesView{Action: v.action, Zone: v.sheet.Contact.Zone, Regions: regions(v.sheet.Contact.Zone), EraseAt: v.eraseAt()}
	b.Languages = v.languages()
	several := len(v.sheet.Ways) > 1
	for i, w := range v.sheet.Ways {
		title := ""
		if several {
			title = v.way(w.Driver)
		}
		if i == 0 {
			b.Lead = v.say("preferences_for", "address", mask(w.Address))
		}
		v.topics(&b, w, title)
		if w.Tracking != nil {
			b.Tracking, b.TrackingText = append(b.Tracking, v.tracking(w, title)), v.say("tracking_text")
		}
		if w.Asks {
			v.letters(&b, w, title, bad)
		}
	}
	if b.All {
		b.Wish = v.wish(v.sheet.Break, v.d.T["all_break"], v.d.T["all_title"])
		b.Paused = v.paused(v.sheet.Break.PausedUntil)
	}
	if bad.key != "" {
		b.Wrong = &wrongView{Text: v.d.T[bad.key]}
		if slices.ContainsFunc(b.Moves, func(m moveView) bool { return m.Driver == bad.driver }) {
			b.Wrong.Field = "address-" + bad.driver
		}
	}
	return b
}

// topics adds the lines of one way.
func (v viewer) topics(b *preferencesView, w preferences.Way, title string) {
	view := wayView{Driver: w.Driver, Title: title, Address: mask(w.Address)}
	for _, l := range w.Topics {
		view.Topics = append(view.Topics, v.line(w.Driver, l))
		b.All = b.All || l.Stop && l.Topic.Kind == consent.Marketing
		if l.Start {
			b.Start, b.Letter = v.say("start_note"), b.Letter || l.Letter
		}
	}
	b.Ways = append(b.Ways, view)
}

// letters adds what is asked for by letter on one way.
func (v viewer) letters(b *preferencesView, w preferences.Way, title string, bad wrong) {
	m := moveView{Driver: w.Driver, Title: title}
	if w.Address.Kind == channels.Email.Kind {
		m.Fill = w.Address.Kind
	}
	if bad.driver == w.Driver {
		m.Typed, m.Wrong = bad.typed, v.d.T[bad.key]
	}
	b.Moves = append(b.Moves, m)
	if b.Data == "" {
		b.Data = w.Driver
	}
}

func (v viewer) eraseAt() string {
	if v.action == "?" {
		return "?" + stepField + "=" + stepErase
	}
	return v.action + "&" + stepField + "=" + stepErase
}

func (v viewer) way(driver string) string {
	if words := v.d.T["channel_"+driver]; words != "" {
		return words
	}
	return driver
}

func (v viewer) line(driver string, l preferences.Line) lineView {
	title := v.title(l.Topic)
	out := lineView{Title: title, Answer: v.answer(l), On: l.Answer == consent.Yes}
	b := buttonView{Way: driver, Topic: l.Topic.Name, About: title}
	switch {
	case l.Stop:
		b.Do, b.Text = doStop, v.d.T["stop"]
	case l.Start:
		b.Do, b.Text = doStart, v.d.T["start"]
		if l.State != "" {
			b.Text = v.d.T["start_again"]
		}
	}
	if b.Do != "" {
		out.Button = &b
	}
	if l.Answer == consent.Yes && l.Topic.Kind == consent.Marketing {
		out.Wish = v.wish(l.Wish, v.d.T["less"], title)
		out.Wish.Way, out.Wish.Topic, out.Wish.ID = driver, l.Topic.Name, driver+"-"+l.Topic.Name
		out.Paused = v.paused(l.Paused)
	}
	return out
}

func (v viewer) answer(l preferences.Line) string {
	switch {
	case l.Answer == consent.Yes && l.Topic.Kind != consent.Marketing:
		return v.d.T["answer_service"]
	case l.Answer == consent.None:
		return v.d.T["answer_none"]
	}
	return v.say("answer_"+string(l.Answer), "date", v.date(l.Since))
}

func (v viewer) tracking(w preferences.Way, title string) lineView {
	l := *w.Tracking
	out := lineView{Title: title, Answer: v.d.T["tracking_no"], On: l.Answer == consent.Yes}
	b := buttonView{Way: w.Driver, Topic: l.Topic.Name, Do: doStart, Text: v.d.T["tracking_start"]}
	switch l.Answer {
	case consent.Yes:
		out.Answer, b.Do, b.Text = v.say("tracking_yes", "date", v.date(l.Since)), doStop, v.d.T["tracking_stop"]
	case consent.Wait:
		out.Answer, b.Do, b.Text = v.d.T["answer_pending"], doStop, v.d.T["tracking_stop"]
	case consent.None:
		if l.Stop { // on a ground that is stated
			out.Answer, out.On, b.Do, b.Text = v.d.T["tracking_stated"], true, doStop, v.d.T["tracking_stop"]
		}
	case consent.No:
	}
	if b.Do == doStop || l.Start {
		out.Button = &b
	}
	return out
}

func (v viewer) paused(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return v.say("paused_until", "date", v.date(until))
}

const day = 24 * time.Hour

func (v viewer) wish(p consent.Preference, summary, about string) *wishView {
	w := &wishView{T: v.d.T, ID: "all", Action: v.action, Summary: summary, About: about, Open: !p.PausedUntil.IsZero() || p.Every > 0}
	keep := strconv.Itoa(preferences.Keep)
	chosen := false
	for _, days := range preferences.Rhythms() {
		n := strconv.Itoa(days)
		o := option{Value: n, Text: v.d.T["every_"+n], Chosen: p.Every == time.Duration(days)*day}
		w.Every, chosen = append(w.Every, o), chosen || o.Chosen
	}
	if !chosen {
		days := strconv.FormatFloat(p.Every.Hours()/24, 'f', -1, 64)
		w.Every = append(w.Every, option{Value: keep, Text: v.say("every_keep", "days", days), Chosen: true})
	}
	if !p.PausedUntil.IsZero() {
		w.Break = append(w.Break, option{Value: keep, Text: v.say("break_keep", "date", v.date(p.PausedUntil)), Chosen: true})
	}
	for _, days := range preferences.Breaks() {
		n := strconv.Itoa(days)
		w.Break = append(w.Break, option{Value: n, Text: v.d.T["break_"+n], Chosen: days == 0 && p.PausedUntil.IsZero()})
	}
	return w
}

// languages are those there are texts in, and the person's own.
func (v viewer) languages() []option {
	var out []option
	chosen, found := v.p.texts.match(v.sheet.Contact.Locale)
	for _, key := range v.p.texts.languages() {
		tag := v.p.texts.tags[key]
		o := option{Value: tag, Lang: tag, Text: v.p.texts.byLang[key][nameKey], Chosen: found && key == chosen}
		if o.Chosen {
			o.Value = v.sheet.Contact.Locale // de-AT stays de-AT
		}
		out = append(out, o)
	}
	if !found {
		o := option{Value: v.sheet.Contact.Locale, Text: v.sheet.Contact.Locale, Chosen: true}
		if o.Value == "" {
			o.Text = v.d.T["self_unknown"]
		}
		out = slices.Insert(out, 0, o)
	}
	return out
}

// said is what was done, as the address of the page tells. Nothing of it is
// repeated but what we know ourselves.
func (v viewer) said(query url.Values) string {
	key := doneField + "_" + query.Get(doneField)
	text := v.d.T[key]
	if text == "" || !strings.Contains(text, "{topic}") {
		return text
	}
	for _, w := range v.sheet.Ways {
		for _, l := range w.Topics {
			if l.Topic.Name == query.Get(topicField) {
				return v.say(key, "topic", v.title(l.Topic))
			}
		}
		if w.Tracking != nil && query.Get(topicField) == consent.TopicTracking {
			return v.say(key, "topic", v.d.T["tracking_title"])
		}
	}
	return ""
}

// title is what people call the topic in their language.
func (v viewer) title(t consent.Topic) string {
	order := append([]string{v.d.Lang, language(v.d.Lang), v.p.texts.fallback}, v.p.texts.languages()...)
	for _, l := range order {
		if t.Title[l] != "" {
			return t.Title[l]
		}
	}
	return t.Name
}

// date is a day in the person's own zone, as their language writes it.
func (v viewer) date(t time.Time) string {
	zone, err := time.LoadLocation(v.sheet.Contact.Zone)
	if err != nil {
		zone = time.UTC
	}
	return date(v.d.T, t.In(zone))
}

func date(words map[string]string, t time.Time) string {
	months := strings.Split(words[monthsKey], ",")
	return say(words["date"], "day", strconv.Itoa(t.Day()), "month", strings.TrimSpace(months[int(t.Month())-1]), "year", strconv.Itoa(t.Year()))
}

// mask shows so much of an address that its owner knows it again: the first
// character, and what it is reached at.
func mask(a contacts.Address) string {
	text := a.Value
	if text == "" {
		return ""
	}
	_, size := utf8.DecodeRuneInString(text)
	if i := strings.LastIndexByte(text, '@'); i > 0 {
		return text[:size] + "…" + text[i:]
	}
	const shown = 4
	runes := []rune(text)
	if len(runes) <= 2*shown {
		return text[:size] + "…"
	}
	return "…" + string(runes[len(runes)-shown:])
}

// Wordings are what the page says beside its buttons, by the name of the
// wording and by language, exactly as people read it.
func (p *Pages) Wordings() map[string]map[string]string {
	out := map[string]map[string]string{}
	for name, key := range map[string]string{preferences.Wording: "start_note", preferences.TrackingWording: "tracking_text"} {
		out[name] = map[string]string{}
		for lang, words := range p.texts.byLang {
			out[name][p.texts.tags[lang]] = say(words[key], "sender", p.o.Name)
		}
	}
	return out
}
