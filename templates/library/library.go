package library

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"

	"rapport"
	"rapport/channels"
	"rapport/templates"
)

//go:embed birthday customer-notice event-invitation follow-up newsletter offer points-statement satisfaction team-note welcome
var files embed.FS

// Names lists the templates of the library in alphabetical order.
func Names() ([]string, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("list template library: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// Folder returns the folder of a template, to copy or to load. An unknown
// name is a NotFound error that lists the known ones.
func Folder(name string) (fs.FS, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, rapport.Unknown("template in the library", name, names)
	}
	folder, err := fs.Sub(files, name)
	if err != nil {
		return nil, fmt.Errorf("open template %s of the library: %w", name, err)
	}
	return folder, nil
}

// Load reads a template of the library as if it came from disk.
func Load(name string, registry *channels.Registry) (templates.Source, error) {
	folder, err := Folder(name)
	if err != nil {
		return templates.Source{}, err
	}
	src, err := templates.Load(folder, registry)
	if err != nil {
		return src, fmt.Errorf("load template %s of the library: %w", name, err)
	}
	return src, nil
}
