package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/consent"
	"rapport/internal/app"
)

func newTopicsCommand(c *cli) *cobra.Command {
	return group("topics", "the purposes people are written to for: list, put", `A topic is a purpose people agree to or not: marketing needs their consent,
transactional belongs to a case of theirs, like an order.`, newTopicsList(c), newTopicsPut(c))
}

func newTopicsList(c *cli) *cobra.Command {
	return command("list", "list topics", "rapport topics list",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			list, err := h.Consent.Topics(ctx)
			if err != nil {
				return err
			}
			return c.show(append([]consent.Topic{}, list...), func(w io.Writer) {
				t := newTable("NAME", "KIND", "PRIORITY", "TITLE")
				for _, x := range list {
					t.row(x.Name, x.Kind, x.Priority, dash(titles(x.Title)))
				}
				t.write(w)
			})
		}))
}

// titles writes a title in its languages: "de: Neues, en: News".
func titles(by map[string]string) string {
	var words []string
	for _, lang := range slices.Sorted(maps.Keys(by)) {
		words = append(words, lang+": "+by[lang])
	}
	return strings.Join(words, ", ")
}

func newTopicsPut(c *cli) *cobra.Command {
	in := consent.Topic{}
	var list []string
	cmd := command("put NAME", "create or change a topic", "rapport topics put offers --kind marketing --title en=Offers --title de=Angebote",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			known, err := h.Consent.Topics(ctx)
			if err != nil {
				return err
			}
			t := in
			t.Name = args[0]
			if old, err := consent.Find(known, t.Name); err == nil { // what no flag says stays
				if t.Kind == "" {
					t.Kind = old.Kind
				}
				if t.Priority == "" {
					t.Priority = old.Priority
				}
				t.Title = maps.Clone(old.Title)
			}
			if t.Kind == "" {
				return rapport.Invalidf("--kind", "is missing: marketing (by permission) or transactional (belongs to a case of the person)")
			}
			said, err := pairs("title", list)
			if err != nil {
				return err
			}
			if t.Title == nil {
				t.Title = map[string]string{}
			}
			maps.Copy(t.Title, said)
			if err := h.Consent.PutTopics(ctx, []consent.Topic{t}); err != nil {
				return err
			}
			if t, err = h.Consent.Topic(ctx, t.Name); err != nil {
				return err
			}
			return c.show(t, func(w io.Writer) { _, _ = fmt.Fprintln(w, "saved", t.Name) })
		}))
	cmd.Flags().StringVar(&in.Kind, "kind", "", "marketing or transactional")
	cmd.Flags().StringVar(&in.Priority, "priority", "", "high, normal or low (default normal)")
	cmd.Flags().StringArrayVar(&list, "title", nil, "title as `LANGUAGE=TEXT`; may be repeated")
	return cmd
}
