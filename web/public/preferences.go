package public

import (
	"context"
	"net/http"
	"slices"

	"rapport/consent"
	"rapport/responses"
)

// topicView is one line of the preference centre.
type topicView struct {
	Name   string
	Title  string
	Answer string // in words
	Stop   bool   // can be stopped
}

// preferencesView is the preference centre.
type preferencesView struct {
	Topics []topicView
	More   bool // something can be stopped
}

// preferences shows what the person has said yes and no to on this channel.
func (p *Pages) preferences(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Tokens.Read(responses.ForPreferences, r.PathValue("token"))
	if err != nil {
		p.notFound(w, r)
		return
	}
	p.showPreferences(w, r, s, "")
}

func (p *Pages) showPreferences(w http.ResponseWriter, r *http.Request, s responses.Subject, notice string) {
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	topics, standing, err := p.standing(ctx, s)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "preferences", "preferences_title", func(d *page) {
		d.Notice = d.T[notice]
		var body preferencesView
		for _, c := range standing {
			t, _ := consent.Find(topics, c.Topic) // without one the name stands
			v := topicView{Name: c.Topic, Title: p.title(t, d.Lang, c.Topic), Stop: stoppable(c.Answer)}
			v.Answer = d.T["answer_"+string(c.Answer)]
			body.Topics, body.More = append(body.Topics, v), body.More || v.Stop
		}
		d.Body = body
	})
}

// standing is what the person has answered on the channel of the token.
func (p *Pages) standing(ctx context.Context, s responses.Subject) ([]consent.Topic, []consent.Current, error) {
	topics, err := p.o.Consent.Topics(ctx)
	if err != nil {
		return nil, nil, err
	}
	sheet, err := p.o.Consent.Show(ctx, s.Contact)
	if err != nil {
		return nil, nil, err
	}
	list := slices.DeleteFunc(sheet.Standing, func(c consent.Current) bool { return c.Driver != s.Driver || c.Answer == consent.None })
	return topics, list, nil
}

func stoppable(a consent.Answer) bool { return a == consent.Yes || a == consent.Wait }

// title is what people call the topic in their language.
func (p *Pages) title(t consent.Topic, lang, name string) string {
	for _, l := range []string{lang, p.texts.fallback} {
		if t.Title[l] != "" {
			return t.Title[l]
		}
	}
	for _, l := range p.texts.languages() {
		if t.Title[l] != "" {
			return t.Title[l]
		}
	}
	return name
}

// changePreferences stops the topic that was named, or all that are standing.
// It can only end permissions: giving one takes more proof than a link.
func (p *Pages) changePreferences(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Tokens.Read(responses.ForPreferences, r.PathValue("token"))
	if err != nil {
		p.notFound(w, r)
		return
	}
	form := body(w, r)
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	_, standing, err := p.standing(ctx, s)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	notice := ""
	for _, c := range standing {
		if !stoppable(c.Answer) || form["all"] != confirmValue && form["topic"] != c.Topic {
			continue
		}
		s.Topic = c.Topic
		if err := p.leave(r, s, "preference page"); err != nil {
			p.away(w, r, err)
			return
		}
		notice = "saved"
	}
	p.showPreferences(w, r, s, notice)
}
