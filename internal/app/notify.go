package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"strings"
	"sync"
	"time"

	"rapport/campaigns"
	"rapport/channels"
	"rapport/config"
	"rapport/outbox"
)

// tell writes to operators what they should know: runs that cannot go on or are
// over, channels that are held. Each thing is told once, by whichever process
// comes first; a halt by the process that met it.
func (h *House) tell(ctx context.Context) error {
	if len(h.Config.Notify) == 0 {
		return nil
	}
	if err := h.tellHalts(ctx); err != nil {
		return err
	}
	ended, err := h.Campaigns.Finished(ctx)
	if err != nil {
		return fmt.Errorf("list runs to tell of: %w", err)
	}
	for _, a := range ended {
		h.notify(ctx, "run_finished", fmt.Sprintf("%s is %s", a.Campaign, a.State), sentence(a))
	}
	held, err := h.Campaigns.Held(ctx)
	if err != nil {
		return fmt.Errorf("list holds to tell of: %w", err)
	}
	older := false
	for _, hold := range held {
		if !hold.Until.IsZero() {
			continue // it lifts by itself
		}
		if hold.Reason == outbox.Restored {
			if !older {
				h.notify(ctx, "channel_broken", "sending is held", fmt.Sprintf("Nothing is sent since %s: %s. See rapport restore status, then run: rapport restore confirm",
					hold.Since.In(h.home).Format(time.RFC1123Z), hold.Detail))
			}
			older = true
			continue
		}
		h.notify(ctx, "channel_broken", "channel "+hold.Channel+" is held",
			fmt.Sprintf("Nothing leaves by channel %s since %s (%s: %s). Mend it, then run: rapport channels release %s",
				hold.Channel, hold.Since.In(h.home).Format(time.RFC1123Z), hold.Reason, hold.Detail, hold.Channel))
	}
	return nil
}

// halts are the pauses by this process that operators do not know of.
type halts struct {
	mu   sync.Mutex
	list []campaigns.Halt
}

// mostHalts bounds what is kept while nobody can be told.
const mostHalts = 100

func (s *halts) add(x campaigns.Halt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < mostHalts {
		s.list = append(s.list, x)
	}
}

func (s *halts) take() []campaigns.Halt {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// tellHalts says what was stopped and how it goes on.
func (h *House) tellHalts(ctx context.Context) error {
	var errs []error
	for _, x := range h.halted.take() {
		if x.Run != 0 {
			run, err := h.campaignRun(ctx, x.Run)
			if err != nil {
				h.halted.add(x)
				errs = append(errs, fmt.Errorf("tell of a run that cannot go on: %w", err))
				continue
			}
			x.Campaign = run.Name
			if run.Campaign == 0 {
				h.tellHalt(ctx, "a message ("+run.Name+")", x.Note, "rapport send resume "+run.UID+" (or give it up: rapport send cancel "+run.UID+")")
				continue
			}
		}
		h.tellHalt(ctx, x.Campaign, x.Note, "rapport campaigns resume "+x.Campaign)
	}
	return errors.Join(errs...)
}

// campaignRun reads a run with what people call it.
func (h *House) campaignRun(ctx context.Context, id int64) (campaigns.Run, error) {
	a, err := h.Store.AccountOf(ctx, id)
	if err != nil {
		return campaigns.Run{}, err
	}
	return h.Store.FindRun(ctx, a.Run)
}

func (h *House) tellHalt(ctx context.Context, what, why, command string) {
	h.notify(ctx, "run_held", what+" is paused", fmt.Sprintf("%s cannot go on and is paused: %s. Mend that, then run: %s",
		what, strings.TrimRight(why, ". "), command))
}

// sentence tells an account in words.
func sentence(a outbox.Account) string {
	var parts []string
	for _, s := range outbox.States() {
		if n := a.States[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nobody"}
	}
	return fmt.Sprintf("Campaign %s, run %s: planned %d, of which %s.", a.Campaign, a.Run, a.Planned, strings.Join(parts, ", "))
}

// notify sends one message to every operator who wants to know. One that
// cannot be sent is logged: it must not stop the work it tells of.
func (h *House) notify(ctx context.Context, event, title, text string) {
	for _, n := range h.Config.Notify {
		if !n.Wants(event) {
			continue
		}
		if err := h.notifyOne(ctx, n, title, text); err != nil {
			h.Log.ErrorContext(ctx, "an operator could not be told", slog.String("channel", n.Channel), slog.String("event", event), slog.Any("error", err))
		}
	}
}

// noticeTime bounds one message to an operator.
const noticeTime = 30 * time.Second

func (h *House) notifyOne(ctx context.Context, n config.Notice, title, text string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	ch, driver, err := h.OpenChannel(ctx, n.Channel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ch.Close()) }()
	to, err := driver.Address.Normalize(n.To)
	if err != nil {
		return err
	}
	_, err = ch.Send(ctx, channels.Message{
		Key: "notice-" + strings.ToLower(word()), To: to, Class: channels.Transactional, Content: plainMessage(driver, title, text),
	})
	return err
}

// plainMessage fills the parts a driver needs from a title and a sentence.
func plainMessage(d channels.Driver, title, text string) map[string]string {
	out := map[string]string{}
	for _, p := range d.Parts {
		if !p.Required {
			continue
		}
		switch p.Syntax {
		case channels.Header:
			out[p.Name] = title
		case channels.HTML:
			out[p.Name] = "<!doctype html><html><body><p>" + html.EscapeString(text) + "</p></body></html>"
		case channels.JSON:
			b, err := json.Marshal(map[string]string{"title": title, "text": text})
			if err != nil {
				panic(err) // two texts are always JSON
			}
			out[p.Name] = string(b)
		case channels.Mrkdwn:
			out[p.Name] = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(title + ": " + text)
		case channels.Plain:
			out[p.Name] = title + ": " + text
		}
	}
	return out
}
