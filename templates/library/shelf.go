package library

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"rapport"
	"rapport/channels"
	"rapport/templates"
)

// shelf is a folder of folders, each of them a template.
type shelf struct {
	files embed.FS
	root  string
	what  string // what one of them is called in messages
}

// names lists them in alphabetical order.
func (s shelf) names() ([]string, error) {
	entries, err := fs.ReadDir(s.files, s.root)
	if err != nil {
		return nil, fmt.Errorf("list each %s: %w", s.what, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// folder is that of one of them. An unknown name is a NotFound error that lists
// the known ones.
func (s shelf) folder(name string) (fs.FS, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, rapport.Unknown(s.what, name, names)
	}
	folder, err := fs.Sub(s.files, path.Join(s.root, name))
	if err != nil {
		return nil, fmt.Errorf("open %s, a %s: %w", name, s.what, err)
	}
	return folder, nil
}

// load reads one as if it came from disk.
func (s shelf) load(name string, registry *channels.Registry) (templates.Source, error) {
	folder, err := s.folder(name)
	if err != nil {
		return templates.Source{}, err
	}
	src, err := templates.Load(folder, registry)
	if err != nil {
		return src, fmt.Errorf("load %s, a %s: %w", name, s.what, err)
	}
	return src, nil
}
