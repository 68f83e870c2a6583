package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/consent"
	"rapport/internal/app"
)

func newConsentCommand(c *cli) *cobra.Command {
	return group("consent", "the ledger of permissions: grant, withdraw, show, proof, verify, export, rebuild", `The ledger keeps every yes and no of every person for a topic and a kind of
channel, with where it came from. Nothing in it is changed, only added to; a
campaign of a marketing topic writes to those whose latest answer is yes.`,
		newConsentGrant(c), newConsentWithdraw(c), newConsentShow(c), newConsentProof(c), newConsentVerify(c), newConsentExport(c), newConsentRebuild(c))
}

// entryFlags are the flags of a ledger entry.
type entryFlags struct {
	consent.Entry
	basis, at, notice, method, expires string

	other bool // pending instead of granted, an objection instead of a withdrawal
}

func (f *entryFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Source, "source", "", "a `TEXT`: where and how the person said so")
	flags.StringVar(&f.at, "at", "", "the `TIME` the person said so (default: now)")
	flags.StringVar(&f.Address, "address", "", "the `ADDRESS` it was said for (default: the primary one)")
	flags.StringVar(&f.Wording, "wording", "", "`NAME` of the text the person saw")
	flags.StringVar(&f.notice, "notice", "", "the stored wording the person saw, as `NAME[@VERSION]:LOCALE` (default: its newest version)")
	flags.StringVar(&f.method, "method", string(consent.ByOperator), "how it reached us: "+strings.Join(consent.Methods(), ", "))
	flags.StringVar(&f.Reference, "reference", "", "a `TEXT` that finds the proof elsewhere, like the number of a paper form")
	flags.StringVar(&f.Form, "form", "", "`NAME` of the form")
	flags.StringVar(&f.URL, "url", "", "`URL` of the page the form stood on")
	flags.StringVar(&f.Channel, "channel", "", "`NAME` of the channel it was said for, if for one only")
	flags.StringVar(&f.IP, "ip", "", "`ADDRESS` of the network it came from")
}

// entry puts the entry of a contact and a DRIVER:TOPIC together.
func (f entryFlags) entry(ctx context.Context, c *cli, h *app.House, args []string) (consent.Entry, error) {
	e := f.Entry
	var ok bool
	if e.Driver, e.Topic, ok = strings.Cut(args[1], ":"); !ok {
		return e, rapport.Invalidf("", "%q is not DRIVER:TOPIC", args[1])
	}
	x, err := h.Contacts.Get(ctx, args[0])
	if err != nil {
		return e, err
	}
	e.Contact, e.Basis, e.Method = x.ID, consent.Basis(f.basis), consent.Method(f.method)
	if e.Notice, err = noticeOf(f.notice); err != nil {
		return e, err
	}
	if e.Expires, err = c.moment(f.expires); err != nil {
		return e, err
	}
	e.At, err = c.moment(f.at)
	return e, err
}

func newConsentGrant(c *cli) *cobra.Command {
	var f entryFlags
	cmd := command("grant CONTACT DRIVER:TOPIC", "record that somebody permits to be written to",
		`rapport consent grant anna@example.com email:newsletter --source "signed form in the shop, 12 May"`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			e, err := f.entry(ctx, c, h, args)
			if err != nil {
				return err
			}
			if f.other {
				e.State = consent.Requested
			}
			out, err := h.Consent.Grant(ctx, e)
			if err != nil {
				return err
			}
			if err := notedEntry(ctx, h, "consent.grant", e, out); err != nil {
				return err
			}
			return c.showOutcome(out)
		}))
	f.register(cmd)
	cmd.Flags().StringVar(&f.basis, "basis", "", "ground in law: "+strings.Join(consent.Bases(), ", ")+" (default consent)")
	cmd.Flags().StringVar(&f.expires, "expires", "", "the `TIME` the yes ends at (default: as the setting consent.expires says)")
	cmd.Flags().BoolVar(&f.Resubscribe, "resubscribe", false, "the person has changed a no into a yes; only with an act of theirs")
	cmd.Flags().BoolVar(&f.other, "pending", false, "the person still has to confirm")
	return cmd
}

func newConsentWithdraw(c *cli) *cobra.Command {
	var f entryFlags
	cmd := command("withdraw CONTACT DRIVER:TOPIC", "record that somebody does not want to be written to; holds at once",
		`rapport consent withdraw anna@example.com email:newsletter --source "telephone call"`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			e, err := f.entry(ctx, c, h, args)
			if err != nil {
				return err
			}
			if f.other {
				e.State = consent.Objected
			}
			out, err := h.Consent.Withdraw(ctx, e)
			if err != nil {
				return err
			}
			if err := notedEntry(ctx, h, "consent.withdraw", e, out); err != nil {
				return err
			}
			return c.showOutcome(out)
		}))
	f.register(cmd)
	cmd.Flags().BoolVar(&f.other, "objection", false, "the person objects (GDPR article 21), whatever the ground in law was")
	return cmd
}

// notedEntry adds to the audit log who wrote what into the ledger; an answer
// that was there already is no act.
func notedEntry(ctx context.Context, h *app.House, action string, e consent.Entry, out consent.Outcome) error {
	if !out.Written {
		return nil
	}
	return noted(ctx, h, action, e.Contact, map[string]any{"entry": out.Entry, "topic": e.Driver + ":" + e.Topic, "answer": out.Answer})
}

func (c *cli) showOutcome(o consent.Outcome) error {
	out := map[string]any{"answer": o.Answer, "written": o.Written, "entry": o.Entry}
	return c.show(out, func(w io.Writer) {
		if o.Written {
			_, _ = fmt.Fprintf(w, "%s, entry %d\n", answer(o.Answer), o.Entry)
			return
		}
		_, _ = fmt.Fprintf(w, "%s, as before\n", answer(o.Answer))
	})
}

func answer(a consent.Answer) string {
	if a == consent.None {
		return "no answer"
	}
	return string(a)
}

func newConsentShow(c *cli) *cobra.Command {
	var at string
	var recorded bool
	cmd := command("show CONTACT", "show what somebody has permitted, and the entries that say so",
		"rapport consent show anna@example.com\nrapport consent show anna@example.com --at 2026-01-31",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			x, err := h.Contacts.Get(ctx, args[0])
			if err != nil {
				return err
			}
			if err := noted(ctx, h, "consent.show", x.ID, nil); err != nil {
				return err
			}
			sheet, err := h.Consent.Show(ctx, x.ID)
			if err != nil {
				return err
			}
			if at != "" {
				moment, err := c.moment(at)
				if err != nil {
					return err
				}
				state := h.Consent.StateAt
				if recorded {
					state = h.Consent.StateKnownAt
				}
				if sheet.Standing, err = state(ctx, x.ID, moment); err != nil {
					return err
				}
			}
			sheet.Standing = append([]consent.Current{}, sheet.Standing...)
			sheet.History = append([]consent.Proof{}, sheet.History...)
			return c.show(sheet, func(w io.Writer) { c.printSheet(w, sheet) })
		}))
	cmd.Flags().StringVar(&at, "at", "", "what stood at that `TIME`, by what people did until then")
	cmd.Flags().BoolVar(&recorded, "as-recorded", false, "with --at: by what had been recorded until then, as deliveries saw it")
	return cmd
}

func (c *cli) printSheet(w io.Writer, sheet consent.Sheet) {
	t := newTable("DRIVER", "TOPIC", "ANSWER", "BASIS", "SINCE", "UNTIL", "ADDRESS", "ENTRY")
	for _, s := range sheet.Standing {
		t.row(s.Driver, s.Topic, answer(s.Answer), dash(string(s.Basis)), c.at(s.At), c.at(s.Expires), dash(s.Address), number(s.Entry))
	}
	t.write(w)
	if len(sheet.History) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w)
	t = newTable("ENTRY", "AT", "DRIVER", "TOPIC", "STATE", "SOURCE", "BY")
	for _, p := range sheet.History {
		source, actor := "(erased)", ""
		if p.Evidence != nil {
			source, actor = p.Evidence.Source, p.Evidence.Actor
		}
		t.row(number(p.Entry), c.at(p.At), p.Driver, p.Topic, string(p.State), dash(source), dash(actor))
	}
	t.write(w)
}

func newConsentVerify(c *cli) *cobra.Command {
	var noted string
	cmd := command("verify", "recompute the ledger, its evidence and wordings and every current answer, and name the first row that is not right",
		"rapport consent verify\nrapport consent verify --noted 5f1c…",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			m := c.meter("verify")
			r, err := h.Consent.VerifyNoted(ctx, noted, func(n int) { m.set(int64(n), 0, count(n, "entry", "entries")) })
			m.end()
			if err != nil {
				return err
			}
			if err := c.show(r, func(w io.Writer) { printVerified(w, r) }); err != nil || r.Bad == nil {
				return err
			}
			return saidError{rapport.Internal}
		}))
	cmd.Flags().StringVar(&noted, "noted", "", "a head that was noted earlier: a ledger that was written anew since then does not hold this `HASH`")
	return cmd
}

func printVerified(w io.Writer, r consent.Report) {
	_, _ = fmt.Fprintf(w, "%s, %s, %d not sealed yet, evidence of %d erased, %s, %s compared\n",
		count(r.Entries, "entry", "entries"), count(r.Seals, "seal", "seals"), r.Unsealed, r.Erased,
		count(r.Wordings, "stored wording", "stored wordings"), count(r.Answers, "answer", "answers"))
	if r.Bad == nil {
		_, _ = fmt.Fprintf(w, "The ledger is as it was written. Head: %s\n", dash(r.Head))
		return
	}
	row := r.Bad.Row
	if row == "" {
		row = fmt.Sprintf("entry %d (after %d)", r.Bad.Entry, r.Bad.After)
	}
	_, _ = fmt.Fprintf(w, "NOT AS WRITTEN: %s, %s: %s\n", r.Bad.Table, row, r.Bad.Reason)
}

func newConsentExport(c *cli) *cobra.Command {
	var out, format string
	cmd := command("export", "write the whole ledger with its evidence", "rapport consent export --format csv --out ledger.csv",
		c.inside(func(ctx context.Context, h *app.House, _ []string) (err error) {
			if format != "csv" && format != "ndjson" {
				return rapport.Invalidf("--format", "%q is not a format; known: ndjson, csv", format)
			}
			if err := noted(ctx, h, "consent.export", 0, map[string]any{"format": format}); err != nil {
				return err
			}
			w, done, err := c.create(out)
			if err != nil {
				return err
			}
			n, err := h.Consent.Export(ctx, w, format)
			if err = errors.Join(err, done()); err == nil {
				c.hint("%s written", count(n, "entry", "entries"))
			}
			return err
		}))
	cmd.Flags().StringVar(&format, "format", "ndjson", "ndjson (one object a line) or csv")
	cmd.Flags().StringVarP(&out, "out", "o", "-", "`FILE` to write")
	return cmd
}

func newConsentRebuild(c *cli) *cobra.Command {
	return command("rebuild", "make the current answers what the ledger says", "rapport consent rebuild",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			n, err := h.Consent.Rebuild(ctx)
			if err != nil {
				return err
			}
			return c.show(map[string]int{"changed": n}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "answers of %s were not what the ledger says, and are now\n", count(n, "person", "people"))
			})
		}))
}
