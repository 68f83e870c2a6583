package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/consent"
	"rapport/internal/app"
)

func newWordingsCommand(c *cli) *cobra.Command {
	return group("wordings", "the exact texts that people are shown when they are asked: put, list, show", `A wording is what stands beside the box that somebody ticks, word for word and
in each language. A changed text becomes a new version; nothing that was shown
is ever changed or removed, so that each entry of the ledger can be proven with
the text it was given to.`,
		newWordingsPut(c), newWordingsList(c), newWordingsShow(c))
}

// putWording is what became of one wording.
type putWording struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	New     bool   `json:"new"`
}

func newWordingsPut(c *cli) *cobra.Command {
	return command("put FILE", "store the wordings of a file; texts that have changed become a new version", "rapport wordings put wordings.yaml",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			data, err := c.read(args[0])
			if err != nil {
				return err
			}
			list, err := consent.ReadWordings(args[0], bytes.NewReader(data))
			if err != nil {
				return err
			}
			done := []putWording{}
			for _, w := range list {
				version, isNew, err := h.Consent.PutWording(ctx, w)
				if err != nil {
					return err
				}
				done = append(done, putWording{w.Name, version, isNew})
				if !isNew {
					continue
				}
				if err := h.Access.Note(ctx, access.Act{Action: "wordings.put", Object: w.Name, Detail: map[string]any{"version": version, "languages": len(w.Texts)}}); err != nil {
					return err
				}
			}
			return c.show(done, func(w io.Writer) {
				for _, d := range done {
					word := "as before"
					if d.New {
						word = "new"
					}
					_, _ = fmt.Fprintf(w, "%s version %d (%s)\n", d.Name, d.Version, word)
				}
			})
		}))
}

func newWordingsList(c *cli) *cobra.Command {
	return command("list", "list all versions of all wordings", "rapport wordings list",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			list, err := h.Consent.Wordings(ctx)
			if err != nil {
				return err
			}
			return c.show(append([]consent.Wording{}, list...), func(w io.Writer) {
				t := newTable("NAME", "VERSION", "LANGUAGES", "SINCE", "BY")
				for _, x := range list {
					t.row(x.Name, number(x.Version), strings.Join(slices.Sorted(maps.Keys(x.Texts)), " "), c.at(x.At), dash(x.Actor))
				}
				t.write(w)
			})
		}))
}

func newWordingsShow(c *cli) *cobra.Command {
	var locale string
	cmd := command("show NAME[@VERSION]", "show the texts of a wording with their hashes (default: its newest version)",
		"rapport wordings show sign-up\nrapport wordings show sign-up@3 --locale de",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			name, version, err := splitVersion(args[0])
			if err != nil {
				return err
			}
			list, err := h.Consent.Wordings(ctx)
			if err != nil {
				return err
			}
			var texts []consent.WordingText
			for _, x := range list {
				if x.Name == name && (x.Version == version || version == 0) {
					texts = texts[:0] // of the newest, which comes last
					for _, l := range slices.Sorted(maps.Keys(x.Texts)) {
						if locale == "" || l == locale {
							texts = append(texts, consent.WordingText{NoticeRef: consent.NoticeRef{Name: name, Version: x.Version, Locale: l, Hash: consent.TextHash(x.Texts[l])}, Text: x.Texts[l], Actor: x.Actor, At: x.At})
						}
					}
				}
			}
			if len(texts) == 0 {
				_, err := h.Consent.Wording(ctx, name, version, locale)
				return err
			}
			return c.show(texts, func(w io.Writer) {
				for _, x := range texts {
					_, _ = fmt.Fprintf(w, "%s version %d %s, %s\nSHA-256 %s\n\n%s\n\n", x.Name, x.Version, x.Locale, c.at(x.At), x.Hash, clean(x.Text, true))
				}
			})
		}))
	cmd.Flags().StringVar(&locale, "locale", "", "only that `LANGUAGE`")
	return cmd
}

// splitVersion reads NAME[@VERSION].
func splitVersion(text string) (name string, version int, err error) {
	name, digits, versioned := strings.Cut(text, "@")
	if versioned {
		if version, err = strconv.Atoi(digits); err != nil || version < 1 {
			return "", 0, rapport.Invalidf("", "%q is not NAME[@VERSION], like sign-up@3", text)
		}
	}
	return name, version, nil
}
