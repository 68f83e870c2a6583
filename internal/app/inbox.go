package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport"
	"rapport/config"
	"rapport/consent"
	"rapport/contacts"
	"rapport/inbox"
	"rapport/inbox/imap"
	"rapport/internal/lifecycle"
	"rapport/outbox"
	"rapport/responses"
	"rapport/web"
)

// withdraw writes a person's "no" into the ledger. Every door that a "no" comes
// in by ends here or at the same method of consent: the pages, one-click, mail,
// buttons, complaints, the command line.
func (h *House) withdraw(ctx context.Context, w responses.Withdrawal) error {
	driver, err := h.Drivers.Driver(w.Driver)
	if err != nil {
		return err
	}
	method := consent.Method(w.Method)
	if method == "" {
		method = consent.ByLink
	}
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: string(method) + ":" + w.Source})
	end := func(topic string) error {
		_, err := h.Consent.Withdraw(ctx, consent.Entry{
			Contact: w.Contact, Driver: w.Driver, Kind: driver.Address.Kind, Topic: topic,
			Source: w.Source, Method: method, IP: w.IP, Agent: w.Agent, Wording: w.Wording, Reference: w.Reference,
		})
		return err
	}
	if !w.All {
		return end(w.Topic)
	}
	topics, err := h.Consent.Topics(ctx)
	if err != nil {
		return err
	}
	sheet, err := h.Consent.Show(ctx, w.Contact)
	if err != nil {
		return err
	}
	named := w.Topic
	for _, t := range topics {
		if !t.Unasked() {
			if t.Name == named {
				named = "" // what belongs to a case of the person is no advertising
			}
			continue
		}
		for _, c := range sheet.Standing {
			if c.Driver != w.Driver || c.Topic != t.Name || c.Answer != consent.Yes && c.Answer != consent.Wait {
				continue
			}
			if err := end(t.Name); err != nil {
				return err
			}
			if t.Name == named {
				named = ""
			}
		}
	}
	if named == "" {
		return nil
	}
	return end(named)
}

// mailto is what the mailto address of a channel's letters begins with; a
// token follows. Empty: no mailbox is read for the channel.
func (h *House) mailto(channel string) string {
	m, ok := h.Config.MailboxOf(channel)
	if !ok {
		return ""
	}
	return "mailto:" + m.Address + "?subject=" + url.PathEscape("unsubscribe ")
}

// mailboxes are the readers of the configured mailboxes.
func (h *House) mailboxes(sink responses.Sink, meters prometheus.Registerer) []lifecycle.Part {
	if len(h.Config.Mailboxes) == 0 {
		return nil
	}
	desk := h.Inbox(sink)
	var parts []lifecycle.Part
	for _, m := range h.Config.Mailboxes {
		var r *imap.Reader
		parts = append(parts, lifecycle.Part{
			Name: "mailbox " + m.Name,
			Start: func(ctx context.Context) (err error) {
				if r, err = h.reader(m, desk); err != nil {
					return err
				}
				h.post.add(r)
				return r.Start(ctx)
			},
			Stop: func(ctx context.Context) error {
				if r == nil {
					return nil
				}
				h.post.drop(r)
				return r.Stop(ctx)
			},
		})
	}
	if meters != nil {
		meters.MustRegister(mailMeter{
			desk: desk, readers: &h.post, desc: prometheus.NewDesc(
				"rapport_inbox_mails_total", "Mails that were read, by what they turned out to be.", []string{"outcome"}, nil),
			up: prometheus.NewDesc("rapport_inbox_up", "Whether the mailbox could be read at the latest try.", []string{"mailbox"}, nil),
		})
	}
	return parts
}

// Inbox is the desk that mails are handed to.
func (h *House) Inbox(sink responses.Sink) *inbox.Desk {
	return inbox.NewDesk(inbox.Options{
		Store: h.Store, Tokens: h.tokens, Suppress: h.Consent, Drivers: h.Drivers,
		Leaver:      responses.NewUnsubscriber(h.withdraw, sink, h.now, h.Log),
		Fingerprint: contacts.NewFingerprint(h.Keys.Pepper),
		Complained:  h.complained, Proved: h.proved, Now: h.now, Log: h.Log,
	})
}

// reader makes the reader of a mailbox.
func (h *House) reader(m config.Mailbox, desk imap.Taker) (*imap.Reader, error) {
	login, err := m.Login()
	if err != nil {
		return nil, rapport.Invalidf("mailboxes", "%s: the url %v", m.Name, err)
	}
	s := imap.Settings{
		Name: m.Name, Host: login.Host, Addr: login.Addr, User: login.User, Password: login.Password,
		Folder: m.Folder, Done: m.Done, Every: time.Duration(m.Every),
	}
	switch {
	case login.StartTLS:
		s.Security = imap.StartTLS
	case login.Plain:
		s.Security = imap.None
	}
	if m.CAFile != "" {
		pem, err := os.ReadFile(m.CAFile)
		if err != nil {
			return nil, rapport.Invalidf("mailboxes", "%s: ca_file cannot be read: %v", m.Name, err)
		}
		if s.Roots = x509.NewCertPool(); !s.Roots.AppendCertsFromPEM(pem) {
			return nil, rapport.Invalidf("mailboxes", "%s: ca_file holds no certificate", m.Name)
		}
	}
	return imap.New(s, imap.Options{Taker: desk, Cursors: h.Store, Now: h.now, Log: h.Log}), nil
}

// CheckMailbox connects to a mailbox of the configuration and opens its folder.
func (h *House) CheckMailbox(ctx context.Context, m config.Mailbox) error {
	r, err := h.reader(m, h.Inbox(nil))
	if err != nil {
		return err
	}
	return r.Check(ctx)
}

// read tells operators of every mailbox this process reads whether it can.
func (h *House) read() []web.Check {
	var checks []web.Check
	for _, r := range h.post.all() {
		checks = append(checks, web.Check{Name: "mailbox " + r.Name(), Ask: func(context.Context) error {
			switch s := r.State(); {
			case s.Err != nil:
				return rapport.Unavailablef(s.Err, "it cannot be read for now and is tried again; rapport doctor and the log say why")
			case s.Looked.IsZero():
				return rapport.Unavailablef(nil, "it has not been read to its end yet")
			}
			return nil
		}})
	}
	return checks
}

// mailMeter tells metrics what the mailboxes brought.
type mailMeter struct {
	desk     *inbox.Desk
	readers  *readers
	desc, up *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (m mailMeter) Describe(out chan<- *prometheus.Desc) { out <- m.desc; out <- m.up }

// Collect implements prometheus.Collector.
func (m mailMeter) Collect(out chan<- prometheus.Metric) {
	for _, o := range inbox.Outcomes() {
		out <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(m.desk.Count(o)), string(o))
	}
	for _, r := range m.readers.all() {
		up := 1.0
		if s := r.State(); s.Err != nil || s.Looked.IsZero() {
			up = 0
		}
		out <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, up, r.Name())
	}
}

// readers are those that have been started.
type readers struct {
	mu   sync.Mutex
	list []*imap.Reader
}

func (s *readers) add(r *imap.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, r)
}

func (s *readers) drop(r *imap.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(x *imap.Reader) bool { return x == r })
}

func (s *readers) all() []*imap.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// Rates of complaints (the large receivers ask for less than the first and
// never the second), and how many there have to be before a rate says anything.
const (
	alarmRate  = 0.001
	pauseRate  = 0.003
	alarmLeast = 2
	pauseLeast = 3
)

// complained weighs the complaints about a run: from a thousandth on people are
// told, from three on the run is paused.
func (h *House) complained(ctx context.Context, id int64) error {
	back, err := h.Store.Responses(ctx, id)
	if err != nil {
		return err
	}
	n := int64(0)
	for _, r := range back {
		if r.Kind == string(responses.Complained) {
			n += r.People
		}
	}
	a, err := h.Store.AccountOf(ctx, id)
	if err != nil {
		return err
	}
	sent := float64(max(a.States[outbox.Sent]+a.States[outbox.Uncertain], 1))
	reached := func(n int64, rate float64, least int64) bool { return n >= least && float64(n)/sent >= rate }
	text := fmt.Sprintf("%d of %d people called %s spam (%.2f %%)", n, int64(sent), a.Campaign, 100*float64(n)/sent)
	if reached(n, alarmRate, alarmLeast) && !reached(n-1, alarmRate, alarmLeast) {
		h.Log.WarnContext(ctx, "many people call a run spam", slog.String("run", a.Run), slog.Int64("complaints", n), slog.Float64("percent", math.Round(1e4*float64(n)/sent)/100))
		h.notify(ctx, "complaints", "complaints about "+a.Campaign, text+". Receivers want less than 0.1 % and block senders from 0.3 % on.")
	}
	if reached(n, pauseRate, pauseLeast) {
		return h.Campaigns.PauseRun(ctx, id, text)
	}
	return nil
}

// proved settles a doubt by what came back.
func (h *House) proved(ctx context.Context, run, contact int64, arrived bool) error {
	to := outbox.Failed
	if arrived {
		to = outbox.Sent
	}
	return h.Campaigns.Resolve(ctx, rapport.DeliveryID(run, contact), to)
}

// forgetMails is the daily chore of the mailboxes.
func (h *House) forgetMails() DailyChore {
	const keep = 400 * 24 * time.Hour
	return DailyChore{
		Name: "forget-mails", What: "forgets the digests of mails that were dealt with more than 400 days ago",
		Do: func(ctx context.Context) (map[string]int, error) {
			n, err := h.Store.ForgetMails(ctx, h.now().Add(-keep))
			return map[string]int{"forgotten": int(n)}, err
		},
	}
}
