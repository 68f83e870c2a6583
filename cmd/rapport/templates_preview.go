package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/access"
	"rapport/campaigns"
	"rapport/channels"
	"rapport/contacts"
	"rapport/internal/app"
	"rapport/templates"
)

// previewFlags are the flags of templates preview.
type previewFlags struct {
	as, sample, locale, data, html string
}

func newTemplatesPreview(c *cli) *cobra.Command {
	var f previewFlags
	cmd := command("preview FOLDER|NAME", "show a template as one person gets it, without sending anything",
		`rapport templates preview newsletter --as anna@example.com
rapport templates preview templates/newsletter --sample Anna --locale de --html /tmp/letter.html`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			src, err := c.templateSource(ctx, h, args[0])
			if err != nil {
				return err
			}
			view, err := c.previewView(ctx, h, src, f)
			if err != nil {
				return err
			}
			out, err := h.Templates.PreviewSource(ctx, src, view)
			if err != nil {
				return err
			}
			if f.html != "" {
				return c.previewPage(src.Template.Driver, out, f.html)
			}
			return c.show(map[string]any{"template": src.Template.Name, "locale": out.Locale, "content": out.Content, "files": fileNames(out.Files)},
				func(w io.Writer) { printPreview(w, out) })
		}))
	cmd.Flags().StringVar(&f.as, "as", "", "the `CONTACT` to show it as")
	cmd.Flags().StringVar(&f.sample, "sample", "", "the sample person of the template to show it as (default: the first)")
	cmd.Flags().StringVar(&f.locale, "locale", "", "in this language instead of the person's")
	cmd.Flags().StringVar(&f.data, "data", "", "what data.<key> says, as `JSON`")
	cmd.Flags().StringVar(&f.html, "html", "", "write the HTML to `FILE` to look at it in a browser")
	return cmd
}

// previewView is what the template sees: a contact, a sample person, or nobody.
func (c *cli) previewView(ctx context.Context, h *app.House, src templates.Source, f previewFlags) (templates.View, error) {
	view := templates.View{Now: c.now(), Locale: h.Config.Locale, Contact: map[string]any{}}
	samples := src.Content.Samples
	if f.data != "" {
		if err := json.Unmarshal([]byte(f.data), &view.Data); err != nil {
			return view, rapport.Invalidf("--data", "is not a JSON object: %v", err)
		}
	}
	data := view.Data
	switch {
	case f.as != "":
		x, err := h.Contacts.Get(ctx, f.as)
		if err != nil {
			return view, err
		}
		if err := h.Access.Note(ctx, access.Act{Action: "templates.preview", Object: src.Template.Name, Contact: x.ID}); err != nil {
			return view, err
		}
		if view, err = c.contactView(ctx, h, x, json.RawMessage(f.data)); err != nil {
			return view, err
		}
	case f.sample != "":
		i := slices.IndexFunc(samples, func(s templates.Sample) bool { return s.Name == f.sample })
		if i < 0 {
			var known []string
			for _, s := range samples {
				known = append(known, s.Name)
			}
			return view, rapport.Unknown("sample", f.sample, known)
		}
		view = samples[i].View(c.now())
	case len(samples) > 0:
		view = samples[0].View(c.now())
	}
	if f.locale != "" {
		view.Locale = f.locale
	}
	if data != nil && f.as == "" {
		view.Data = data
	}
	return view, nil
}

func fileNames(files []channels.File) []string {
	names := []string{}
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

func printPreview(w io.Writer, out templates.Rendered) {
	_, _ = fmt.Fprintf(w, "locale: %s\n", out.Locale)
	for _, part := range slices.Sorted(maps.Keys(out.Content)) {
		_, _ = fmt.Fprintf(w, "-- %s --\n%s\n", part, clean(out.Content[part], true))
	}
	for _, f := range out.Files {
		_, _ = fmt.Fprintf(w, "-- file %s (%s, %d bytes) --\n", clean(f.Name, false), f.Type, len(f.Data))
	}
}

// previewPage writes the part that is HTML to a file.
func (c *cli) previewPage(driver string, out templates.Rendered, file string) error {
	d, err := c.drivers.Driver(driver)
	if err != nil {
		return err
	}
	for _, p := range d.Parts {
		if p.Syntax != channels.HTML || out.Content[p.Name] == "" {
			continue
		}
		if err := os.WriteFile(file, []byte(out.Content[p.Name]), 0o600); err != nil {
			return badFile(file, err)
		}
		full, err := filepath.Abs(file)
		if err != nil {
			full = file
		}
		return c.show(map[string]string{"file": full}, func(w io.Writer) { _, _ = fmt.Fprintf(w, "written: file://%s\n", filepath.ToSlash(full)) })
	}
	return rapport.Invalidf("--html", "a template for %s has no HTML part", driver)
}

// contactView is what a template sees of a contact, by the same code as sending.
func (c *cli) contactView(ctx context.Context, h *app.House, x contacts.Contact, data json.RawMessage) (templates.View, error) {
	types, err := h.Contacts.Attributes(ctx)
	if err != nil {
		return templates.View{}, err
	}
	home, err := time.LoadLocation(h.Config.Zone)
	if err != nil {
		return templates.View{}, rapport.Invalidf("zone", "%q is not an IANA time zone", h.Config.Zone)
	}
	view, err := campaigns.View(campaigns.PersonOf(x), types, data, "preview", campaigns.ZonesFrom(home), c.now())
	if view.Locale == "" {
		view.Locale = h.Config.Locale
	}
	return view, err
}
