package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/slack"
	"rapport/internal/fake/smtpd"
	"rapport/internal/fake/webhook"
)

// What the servers keep to show, whatever the number of messages.
const (
	keepMails    = 2000
	keepMailSize = 96 << 20
	keepPosts    = 2000
	keepEntries  = 10_000
)

// Credentials of the servers, which only listen on this machine.
const (
	chatToken  = "xoxb-demo-only-on-this-machine"     //nolint:gosec // not a secret: the demo's own server
	hookSecret = "demo-secret-only-for-this-machine!" //nolint:gosec // not a secret: the demo's own server
)

// world is what Rapport meets in the demo: three servers with their pages.
type world struct {
	mail *smtpd.Server
	chat *slack.Server
	hook *webhook.Server
	page *pages // of the mail catcher, and the stand-in for the shop
}

// startWorld starts the servers. The mail page shows pictures that come from
// the addresses in images.
func startWorld(ctx context.Context, images ...string) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	j, err := journal.New(journal.Options{Keep: keepEntries})
	if err != nil {
		return w, fmt.Errorf("make the journal of the mail catcher: %w", err)
	}
	w.mail, err = smtpd.Start(ctx, smtpd.Options{
		Name: "mail.example.com", Script: mailMoods(), Journal: j,
		MaxMessages: keepMails, MaxBytes: keepMailSize, ImageSources: images,
	})
	if err != nil {
		return w, fmt.Errorf("start the mail catcher: %w", err)
	}
	if w.chat, err = slack.Start(slack.Options{Token: chatToken, Keep: keepPosts, Script: chatMoods}); err != nil {
		return w, fmt.Errorf("start the chat workspace: %w", err)
	}
	if w.hook, err = webhook.Start(webhook.Options{Secret: hookSecret, Keep: keepPosts, Script: hookMoods}); err != nil {
		return w, fmt.Errorf("start the webhook receiver: %w", err)
	}
	w.page, err = startPages(ctx, w.mail.Pages())
	return w, err
}

func (w *world) close() error {
	var errs []error
	if w.page != nil {
		errs = append(errs, w.page.close())
	}
	if w.hook != nil {
		errs = append(errs, w.hook.Close())
	}
	if w.chat != nil {
		errs = append(errs, w.chat.Close())
	}
	if w.mail != nil {
		errs = append(errs, w.mail.Close(), w.mail.Journal().Close())
	}
	return errors.Join(errs...)
}

// mailMoods refuses, delays and loses the letters to marked mailboxes.
func mailMoods() smtpd.Script {
	at := func(mark string) string { return "*" + mark + "@*" }
	return smtpd.ByRecipient(map[string]smtpd.Script{
		at(markLater):   smtpd.OnAttempts(1, 1, smtpd.Reply(451, "4.7.1", "Greylisted, please try again in 1 second").At(smtpd.Rcpt)),
		at(markUnknown): smtpd.Reply(550, "5.1.1", "No such mailbox here").At(smtpd.Rcpt),
		at(markLost):    smtpd.AcceptThenClose().At(smtpd.Dot),
		at(markCut):     smtpd.CloseBefore().At(smtpd.Dot),
	})
}

// chatMoods knows some people not, is too busy for some at first, and loses
// some answers.
func chatMoods(v slack.Visit) slack.Action {
	local, _, _ := strings.Cut(v.To, "@")
	posting := v.Key != ""
	switch {
	case strings.HasSuffix(local, markUnknown):
		return slack.Action{Error: "users_not_found"}
	case posting && v.Attempt == 1 && strings.HasSuffix(local, markSlow):
		return slack.Action{RetryAfter: "1"}
	case posting && strings.HasSuffix(local, markLost):
		return slack.Action{LoseReply: true}
	}
	return slack.Action{}
}

// hookMoods fails for some at first, does not like others, and loses some
// answers.
func hookMoods(v webhook.Visit) webhook.Action {
	switch {
	case strings.HasSuffix(v.To, markLater) && v.Attempt == 1:
		return webhook.Action{Status: http.StatusInternalServerError}
	case strings.HasSuffix(v.To, markInvalid):
		return webhook.Action{Status: http.StatusBadRequest}
	case strings.HasSuffix(v.To, markLost):
		return webhook.Action{LoseReply: true}
	}
	return webhook.Action{}
}

// pages serves the mail catcher's pages and the stand-in for the shop.
type pages struct {
	server *http.Server
	url    string
	done   chan struct{}
}

func startPages(ctx context.Context, mail http.Handler) (*pages, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the mail page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", mail)
	mux.HandleFunc("GET "+shopPath, shop)
	p := &pages{server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, url: "http://" + l.Addr().String(), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(l) // ends with close, whose error says no more
	}()
	return p, nil
}

func (p *pages) close() error {
	err := p.server.Close()
	<-p.done
	return err
}

// journals are the servers' own records, in the order of the campaigns.
func (w *world) journals() []*journal.Journal {
	return []*journal.Journal{w.mail.Journal(), w.chat.Journal(), w.hook.Journal()}
}
