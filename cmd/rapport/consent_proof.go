package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/app"
)

// noticeOf reads NAME[@VERSION]:LOCALE.
func noticeOf(text string) (n consent.NoticeRef, err error) {
	if text == "" {
		return n, nil
	}
	name, locale, ok := strings.Cut(text, ":")
	name, version, versioned := strings.Cut(name, "@")
	n = consent.NoticeRef{Name: name, Locale: locale}
	if versioned {
		n.Version, err = strconv.Atoi(version)
		ok = ok && err == nil && n.Version > 0
	}
	if !ok || name == "" || locale == "" {
		return n, rapport.Invalidf("--notice", "%q is not NAME[@VERSION]:LOCALE, like sign-up@3:de", text)
	}
	return n, nil
}

func newConsentProof(c *cli) *cobra.Command {
	var out, format, locale string
	cmd := command("proof CONTACT", "write the proof of one person's consent: each declaration with its exact wording, times, origin and place in the chain",
		"rapport consent proof anna@example.com --locale de -o anna.html\nrapport consent proof anna@example.com --format receipt",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			if !slices.Contains([]string{"html", "json", "receipt"}, format) {
				return rapport.Invalidf("--format", "%q is not a format; known: html, json, receipt", format)
			}
			x, err := h.Contacts.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if _, err := h.Consent.Seal(ctx); err != nil { // where no process runs that seals by itself
				return err
			}
			sheet, err := h.Consent.Prove(ctx, subjectOf(x), rapport.ActorOf(ctx).Name)
			if err != nil {
				return err
			}
			sheet.Controller = app.ConsentTerms(h.Config).Controller
			if locale == "" {
				locale = h.Config.Locale
			}
			topics, err := h.Consent.Topics(ctx)
			if err != nil {
				return err
			}
			if err := h.Access.Note(ctx, access.Act{Action: "consent.proof", Contact: x.ID, Detail: map[string]any{"format": format, "entries": len(sheet.Declarations)}}); err != nil {
				return err
			}
			return c.writeProof(out, format, sheet, consent.SheetOptions{Locale: locale, Zone: c.zone, Topics: topics})
		}))
	cmd.Flags().StringVar(&format, "format", "html", "html (one page for people and for print), json (all of it), or receipt (consent receipts)")
	cmd.Flags().StringVar(&locale, "locale", "", "`LANGUAGE` of the page, en or de (default: the setting locale)")
	cmd.Flags().StringVarP(&out, "out", "o", "-", "`FILE` to write")
	return cmd
}

// subjectOf is a contact as a proof names it.
func subjectOf(x contacts.Contact) consent.Subject {
	who := consent.Subject{Number: x.ID, ID: x.UID, Addresses: []string{}}
	var known map[string]any
	if json.Unmarshal(x.Attributes, &known) == nil {
		var names []string
		for _, key := range []string{"first_name", "last_name"} {
			if name, ok := known[key].(string); ok {
				names = append(names, name)
			}
		}
		if name, ok := known["name"].(string); ok && len(names) == 0 {
			names = []string{name}
		}
		who.Name = strings.Join(names, " ")
	}
	for _, a := range x.Addresses {
		who.Addresses = append(who.Addresses, a.Kind+": "+a.Value)
	}
	return who
}

func (c *cli) writeProof(out, format string, sheet consent.ProofSheet, o consent.SheetOptions) (err error) {
	w, done, err := c.create(out)
	if err != nil {
		return err
	}
	switch format {
	case "html":
		err = sheet.HTML(w, o)
	case "receipt":
		err = writeJSON(w, sheet.Receipts())
	default:
		err = writeJSON(w, sheet)
	}
	if err = errors.Join(err, done()); err == nil {
		c.hint("%s written", count(len(sheet.Declarations), "declaration", "declarations"))
	}
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
