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

//go:embed letters
var letters embed.FS

// Letters lists the letters of the house itself: what a person gets who asks
// for something at a public page. They hold no word of advertising, and nothing
// that a stranger has typed.
func Letters() ([]string, error) {
	entries, err := fs.ReadDir(letters, "letters")
	if err != nil {
		return nil, fmt.Errorf("list the letters of the house: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// Letter reads a letter of the house. An unknown name is a NotFound error that
// lists the known ones.
func Letter(name string, registry *channels.Registry) (templates.Source, error) {
	names, err := Letters()
	if err != nil {
		return templates.Source{}, err
	}
	if !slices.Contains(names, name) {
		return templates.Source{}, rapport.Unknown("letter of the house", name, names)
	}
	folder, err := fs.Sub(letters, "letters/"+name)
	if err != nil {
		return templates.Source{}, fmt.Errorf("open the letter %s: %w", name, err)
	}
	src, err := templates.Load(folder, registry)
	if err != nil {
		return src, fmt.Errorf("load the letter %s: %w", name, err)
	}
	return src, nil
}
