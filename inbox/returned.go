package inbox

import (
	"context"
	"fmt"
	"strings"

	"rapport"
	"rapport/consent"
	"rapport/outbox"
	"rapport/responses"
)

// bounce deals with a report of non-delivery. Only our signature tells which
// message it is about: without it, it is foreign. What has not failed, or not
// yet, changes nothing.
func (d *Desk) bounce(ctx context.Context, m Mail) (Outcome, error) {
	letter, found, err := d.reported(ctx, m)
	switch {
	case err != nil:
		return "", err
	case !found:
		return d.take(ctx, Foreign, Fact{Digest: m.Digest})
	case len(m.Report.Failed) == 0:
		return d.take(ctx, Notice, Fact{Digest: m.Digest})
	}
	driver, err := d.o.Drivers.Driver(letter.Driver)
	if err != nil || driver.Returned == nil {
		return d.take(ctx, Foreign, Fact{Digest: m.Digest})
	}
	failed := m.Report.Failed[0]
	f := driver.Returned(failed.Status, failed.Diagnostic)
	suppress, strike := outbox.Returned(f)
	fact := Fact{
		Digest: m.Digest, Strike: strike && letter.Address != "", Kind: letter.Kind, At: d.o.Now(),
		Event: &responses.Event{Kind: responses.Bounced, Run: letter.Run, Contact: letter.Contact, Detail: f.Code, At: d.o.Now()},
	}
	if fact.Strike {
		fact.Hash = d.o.Fingerprint(letter.Kind, letter.Address)
	}
	if suppress {
		if err := d.suppress(ctx, letter, consent.HardBounce, f.Code); err != nil {
			return "", err
		}
	}
	taken, err := d.o.Store.TakeMail(ctx, fact)
	if err == nil && taken.Struck {
		if err := d.suppress(ctx, letter, consent.Strike, f.Code); err != nil {
			return "", err
		}
		fact.Strike = false
		taken, err = d.o.Store.TakeMail(ctx, fact)
	}
	if err != nil {
		return "", fmt.Errorf("note a bounce: %w", err)
	}
	if !taken.First {
		return Repeated, nil
	}
	return Bounced, d.proved(ctx, letter, false)
}

// complaint deals with a report that somebody called a message spam: the
// address is suppressed and all advertising by that driver ends. What says
// anything else (not-spam, a virus) changes nothing.
func (d *Desk) complaint(ctx context.Context, m Mail) (Outcome, error) {
	switch m.Report.Feedback {
	case "abuse", "fraud", "opt-out", "opt-out-list":
	default:
		return d.take(ctx, Notice, Fact{Digest: m.Digest})
	}
	letter, found, err := d.reported(ctx, m)
	if err != nil {
		return "", err
	}
	if !found {
		return d.take(ctx, Foreign, Fact{Digest: m.Digest})
	}
	if err := d.suppress(ctx, letter, consent.Complaint, m.Report.Feedback); err != nil {
		return "", err
	}
	err = d.o.Leaver.Leave(ctx, responses.Withdrawal{
		Subject: letter.subject(), Source: "complaint", Method: string(consent.ByMail), Reference: cut(m.MessageID), All: true,
	})
	if err != nil {
		return "", err
	}
	taken, err := d.o.Store.TakeMail(ctx, Fact{
		Digest: m.Digest, At: d.o.Now(),
		Event: &responses.Event{Kind: responses.Complained, Run: letter.Run, Contact: letter.Contact, Detail: m.Report.Feedback, At: d.o.Now()},
	})
	if err != nil {
		return "", fmt.Errorf("note a complaint: %w", err)
	}
	if !taken.First {
		return Repeated, nil
	}
	if taken.New && d.o.Complained != nil {
		if err := d.o.Complained(ctx, letter.Run); err != nil {
			return "", fmt.Errorf("weigh the complaints: %w", err)
		}
	}
	return Complaint, nil
}

func (d *Desk) suppress(ctx context.Context, l Letter, reason, detail string) error {
	if l.Address == "" {
		return nil // erased: the fingerprint is there already
	}
	_, err := d.o.Suppress.Suppress(ctx, l.Kind, l.Address, reason, detail)
	if err != nil && rapport.KindOf(err) != rapport.Invalid {
		return fmt.Errorf("suppress an address: %w", err)
	}
	return nil
}

// reported finds the message that a report is about by our signatures: the
// return path it was sent to, or what the report holds of the message's header.
func (d *Desk) reported(ctx context.Context, m Mail) (Letter, bool, error) {
	r := m.Report
	texts := append(append([]string{}, m.To...), r.Addresses...)
	for _, name := range []string{"return-path", "x-original-from", "errors-to"} {
		texts = append(texts, r.Original.all(name)...)
	}
	for _, text := range texts {
		if s, ok := d.token(responses.ForReturn, text); ok {
			return d.letter(ctx, s.Run, s.Contact)
		}
	}
	for _, text := range r.Original.all("list-unsubscribe") {
		if s, ok := d.token(responses.ForReply, text); ok {
			return d.letter(ctx, s.Run, s.Contact)
		}
		for link := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" <>,", r) }) {
			if s, err := d.o.Tokens.Read(responses.ForUnsubscribe, link[strings.LastIndexByte(link, '/')+1:]); err == nil {
				return d.letter(ctx, s.Run, s.Contact)
			}
		}
	}
	return Letter{}, false, nil
}
