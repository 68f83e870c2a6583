package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/app"
	"rapport/templates"
	"rapport/templates/library"
)

func newTemplatesCommand(c *cli) *cobra.Command {
	return group("templates", "what is written to people: put, list, show, check, preview, library", `A template is a folder: template.yaml, and for each language the parts of a
message in Liquid. What is put becomes a revision, and a run that has begun
keeps the one it began with.`,
		newTemplatesPut(c), newTemplatesList(c), newTemplatesShow(c), newTemplatesCheck(c), newTemplatesPreview(c), newTemplatesLibrary(c))
}

// folder reads a template folder from disk.
func (c *cli) folder(dir string) (templates.Source, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return templates.Source{}, badFile(dir, err)
	}
	if !info.IsDir() {
		return templates.Source{}, rapport.Invalidf("", "%s is a file; a template is a folder with template.yaml and one folder a locale", dir)
	}
	src, err := templates.Load(os.DirFS(dir), c.drivers)
	if err != nil {
		return src, fmt.Errorf("%s: %w", dir, err)
	}
	return src, nil
}

// isFolder says whether a person means a folder rather than a name.
func isFolder(ref string) bool {
	info, err := os.Stat(ref)
	return err == nil && info.IsDir()
}

// putResult is what templates put says as JSON.
type putResult struct {
	Name     string   `json:"name"`
	ID       string   `json:"id"`
	Driver   string   `json:"driver"`
	Revision int      `json:"revision"`
	Changed  bool     `json:"changed"`
	Warnings []string `json:"warnings"`
}

func newTemplatesPut(c *cli) *cobra.Command {
	return command("put FOLDER...", "store templates from folders; a changed one becomes a new revision",
		"rapport templates put templates/newsletter templates/welcome",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			list := []putResult{}
			for _, dir := range args {
				src, err := c.folder(dir)
				if err != nil {
					return err
				}
				r, err := h.Templates.Put(ctx, src)
				if err != nil {
					return err
				}
				one := putResult{Name: r.Template.Name, ID: r.Template.UID, Driver: r.Template.Driver, Revision: r.Revision, Changed: r.Changed, Warnings: []string{}}
				for _, w := range r.Warnings {
					one.Warnings = append(one.Warnings, w.Error())
				}
				list = append(list, one)
			}
			return c.show(list, func(w io.Writer) {
				for _, r := range list {
					word := "saved"
					if !r.Changed {
						word = "unchanged"
					}
					_, _ = fmt.Fprintf(w, "%s %s, revision %d\n", word, r.Name, r.Revision)
					for _, one := range r.Warnings {
						_, _ = fmt.Fprintf(w, "  warning: %s\n", clean(one, false))
					}
				}
			})
		}))
}

// templateLine is a template as lists show it.
type templateLine struct {
	Name     string     `json:"name"`
	ID       string     `json:"id,omitempty"`
	Driver   string     `json:"driver"`
	Title    string     `json:"title"`
	Topic    string     `json:"topic"`
	Revision int        `json:"revision,omitempty"`
	Updated  *time.Time `json:"updated_at,omitempty"`
}

func newTemplatesList(c *cli) *cobra.Command {
	return command("list", "list templates", "rapport templates list",
		c.inside(func(ctx context.Context, h *app.House, _ []string) error {
			var list []templates.Template
			for after := ""; ; {
				more, err := h.Templates.List(ctx, after, page)
				if err != nil {
					return err
				}
				list = append(list, more...)
				if len(more) < page {
					break
				}
				after = more[len(more)-1].Name
			}
			lines := []templateLine{}
			for _, t := range list {
				lines = append(lines, templateLine{t.Name, t.UID, t.Driver, t.Title, t.Topic, t.Number, &t.UpdatedAt})
			}
			return c.show(lines, func(w io.Writer) {
				tab := newTable("NAME", "DRIVER", "REVISION", "TOPIC", "CHANGED", "TITLE")
				for _, t := range list {
					tab.row(t.Name, t.Driver, number(t.Number), dash(t.Topic), c.at(t.UpdatedAt), dash(t.Title))
				}
				tab.write(w)
			})
		}))
}

func newTemplatesShow(c *cli) *cobra.Command {
	var to string
	cmd := command("show NAME", "show what a template says, or write it back to a folder",
		"rapport templates show newsletter\nrapport templates show newsletter --to templates/newsletter",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			src, err := h.Templates.Source(ctx, args[0])
			if err != nil {
				return err
			}
			files, err := src.Files()
			if err != nil {
				return fmt.Errorf("write the template as files: %w", err)
			}
			names := slices.Sorted(maps.Keys(files))
			if to != "" {
				return c.writeFolder(to, names, func(name string) ([]byte, error) { return files[name], nil })
			}
			texts := map[string]string{}
			for name, data := range files {
				texts[name] = string(data)
			}
			return c.show(map[string]any{"name": src.Template.Name, "driver": src.Template.Driver, "files": texts}, func(w io.Writer) {
				for _, name := range names {
					_, _ = fmt.Fprintf(w, "-- %s --\n%s\n", name, clean(texts[name], true))
				}
			})
		}))
	cmd.Flags().StringVar(&to, "to", "", "write its files to `FOLDER`")
	return cmd
}

// writeFolder writes files below a folder that is new or empty.
func (c *cli) writeFolder(dir string, names []string, read func(name string) ([]byte, error)) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return rapport.Conflictf("the folder %s is not empty; name a new one", dir)
	}
	for _, name := range names {
		data, err := read(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return badFile(dir, err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return badFile(file, err)
		}
	}
	return c.show(map[string]any{"folder": dir, "files": names}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s written to %s\n", count(len(names), "file", "files"), dir)
	})
}

func newTemplatesCheck(c *cli) *cobra.Command {
	var marketing bool
	cmd := command("check FOLDER|NAME...", "say everything that is wrong or doubtful in templates",
		"rapport templates check templates/newsletter --marketing",
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			list, bad := []templateFinding{}, false
			for _, ref := range args {
				src, err := c.templateSource(ctx, h, ref)
				if err != nil {
					return err
				}
				problems, err := h.Templates.Check(ctx, src, marketing)
				if err != nil {
					return err
				}
				for _, p := range problems {
					bad = bad || !p.Warning
					list = append(list, templateFinding{src.Template.Name, p.Warning, p.Locale, p.Part, p.Line, p.Msg, p.Error()})
				}
			}
			if err := c.show(list, func(w io.Writer) { printFindings(w, args, list) }); err != nil || !bad {
				return err
			}
			return saidError{rapport.Invalid}
		}))
	cmd.Flags().BoolVar(&marketing, "marketing", false, "the letter is advertising and needs a way to unsubscribe")
	return cmd
}

// templateFinding is what templates check says as JSON.
type templateFinding struct {
	Template string `json:"template"`
	Warning  bool   `json:"warning"`
	Locale   string `json:"locale,omitempty"`
	Part     string `json:"part,omitempty"`
	Line     int    `json:"line,omitempty"`
	Msg      string `json:"message"`
	whole    string
}

func printFindings(w io.Writer, args []string, list []templateFinding) {
	if len(list) == 0 {
		_, _ = fmt.Fprintf(w, "%s in order\n", count(len(args), "template is", "templates are"))
	}
	for _, f := range list {
		word := "error"
		if f.Warning {
			word = "warning"
		}
		_, _ = fmt.Fprintf(w, "%s: %s: %s\n", f.Template, word, clean(f.whole, true))
	}
}

// templateSource reads a template from a folder, or the stored one of a name.
func (c *cli) templateSource(ctx context.Context, h *app.House, ref string) (templates.Source, error) {
	if isFolder(ref) {
		return c.folder(ref)
	}
	return h.Templates.Source(ctx, ref)
}

func newTemplatesLibrary(c *cli) *cobra.Command {
	var to string
	cmd := command("library [NAME]", "list the starter templates, or write one to a folder",
		"rapport templates library\nrapport templates library newsletter --to templates/newsletter",
		func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.libraryList()
			}
			fsys, err := library.Folder(args[0])
			if err != nil {
				return err
			}
			if to == "" {
				to = args[0]
			}
			var names []string
			err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					names = append(names, name)
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("list the files of %s: %w", args[0], err)
			}
			return c.writeFolder(to, names, func(name string) ([]byte, error) { return fs.ReadFile(fsys, name) })
		})
	cmd.Flags().StringVar(&to, "to", "", "write to `FOLDER` (default: one of its name)")
	return cmd
}

func (c *cli) libraryList() error {
	names, err := library.Names()
	if err != nil {
		return err
	}
	lines := []templateLine{}
	for _, name := range names {
		src, err := library.Load(name, c.drivers)
		if err != nil {
			return err
		}
		lines = append(lines, templateLine{Name: name, Driver: src.Template.Driver, Title: src.Template.Title, Topic: src.Template.Topic})
	}
	return c.show(lines, func(w io.Writer) {
		t := newTable("NAME", "DRIVER", "TITLE")
		for _, l := range lines {
			t.row(l.Name, l.Driver, l.Title)
		}
		t.write(w)
	})
}
