package public

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/internal/throttle"
	"rapport/requests"
	"rapport/responses"
)

// Doors is what the forms, and the pages behind the letters that ask for a
// confirmation, are made of.
type Doors struct {
	Forms    []Form
	Requests Requests      // nil: there are neither
	Even     time.Duration // how long the answer to a sign-up takes at least
	Number   func() int64  // random, not negative
	Topics   func(ctx context.Context) ([]consent.Topic, error)
	// Renewal is the request of somebody whose letter asks them to say once
	// more what it is sent for; NotFound when that cannot be said any more.
	Renewal  func(ctx context.Context, s responses.Subject) (requests.Request, error)
	Archives Archives // for those who asked for a copy of their data
}

// EvenAnswers is how long the answer to a sign-up takes at least, whatever was
// found: how much it takes longer tells nothing.
const EvenAnswers = 400 * time.Millisecond

// doors is what the pages keep for them.
type doors struct {
	tickets  *tickets
	networks *throttle.Limit[netip.Prefix]
	js       []byte
	making   chan struct{} // archives
	fetching sync.Map      // by number of the request
}

// requestView is what the page behind a letter shows.
type requestView struct {
	Text, Detail, Button string
	Topics               []string
	Address              string
	Grave                bool // cannot be undone
}

// found is the request behind a token, of a letter that asked for its
// confirmation or of one that asks to say something once more.
func (p *Pages) found(ctx context.Context, token string) (r requests.Request, again bool, err error) {
	if s, err := p.o.Tokens.Read(responses.ForRenewal, token); err == nil {
		r, err := p.o.Doors.Renewal(ctx, s)
		return r, true, err
	}
	r, err = p.o.Doors.Requests.Peek(ctx, token)
	return r, false, err
}

// request shows what somebody asked for, with a button. It changes nothing.
func (p *Pages) request(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	req, _, err := p.found(ctx, r.PathValue("token"))
	switch {
	case err != nil:
		p.noRequest(w, r, req, err)
		return
	case !req.ConfirmedAt.IsZero() && !req.HandledAt.IsZero():
		p.requestDone(w, r, req)
		return
	}
	topics, err := p.o.Doors.Topics(ctx)
	if err != nil {
		p.away(w, r, err)
		return
	}
	kind := string(req.Kind)
	p.showIn(req.Locale, w, r, http.StatusOK, "request", "request_"+kind+"_title", func(d *page) {
		v := requestView{
			Text: say(d.T["request_"+kind+"_text"], "sender", p.o.Name), Detail: d.T["request_"+kind+"_detail"], Button: d.T["request_"+kind+"_button"],
			Address: req.Given, Grave: req.Kind == requests.Erase,
		}
		for _, name := range req.Topics {
			t, _ := consent.Find(topics, name) // without one the name stands
			title := t.Title[pick(t.Title, d.Lang, p.texts.fallback)]
			if title == "" {
				title = name
			}
			v.Topics = append(v.Topics, title)
		}
		d.Body = v
	})
}

// confirmRequest does what was asked for, when the button was pressed: the
// first time, however often it is.
func (p *Pages) confirmRequest(w http.ResponseWriter, r *http.Request) {
	if body(w, r)[confirmKey] != confirmValue {
		p.request(w, r)
		return
	}
	// Whoever closed the page meanwhile is heard too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), leavePatience)
	defer cancel()
	c := requests.Confirmation{IP: network(r), Agent: cut(r.UserAgent())}
	req, again, err := p.found(ctx, r.PathValue("token"))
	if err == nil {
		if again {
			err = p.o.Doors.Requests.Again(ctx, req, c)
		} else {
			req, err = p.o.Doors.Requests.Confirm(ctx, r.PathValue("token"), c)
		}
	}
	if err != nil {
		p.noRequest(w, r, req, err)
		return
	}
	p.requestDone(w, r, req)
}

func (p *Pages) requestDone(w http.ResponseWriter, r *http.Request, req requests.Request) {
	view := "message"
	if req.Kind == requests.SeeData {
		view = "archive"
	}
	p.showIn(req.Locale, w, r, http.StatusOK, view, "request_"+string(req.Kind)+"_done_title", func(d *page) {
		d.Notice = d.T["request_"+string(req.Kind)+"_done_text"]
		if p.fetchable(req) {
			until := p.o.Doors.Archives.until(req)
			d.Notice = say(d.Notice, "date", date(d.T, until), "time", until.Format("15:04 MST"))
			d.Body = download{archivePath + r.PathValue("token")}
		}
	})
}

// noRequest says why nothing can be confirmed, and what to do.
func (p *Pages) noRequest(w http.ResponseWriter, r *http.Request, req requests.Request, err error) {
	switch {
	case errors.Is(err, requests.ErrExpired):
		p.showIn(req.Locale, w, r, http.StatusGone, "message", "request_expired_title", func(d *page) { d.Notice = d.T["request_expired_text"] })
	case rapport.KindOf(err) == rapport.NotFound:
		p.show(w, r, http.StatusNotFound, "message", "request_gone_title", func(d *page) { d.Notice = d.T["request_gone_text"] })
	default:
		p.away(w, r, err)
	}
}
