package calendars

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"rapport"
)

//go:embed data/*.yaml
var data embed.FS

// Book is all calendars an installation knows, by name. It is not changed once
// it is made, and so safe for concurrent use.
type Book struct {
	byName  map[string]*Calendar
	builtIn map[string]bool
}

// builtin reads the files that come with the program, once a process.
var builtin = sync.OnceValues(func() ([]*Calendar, error) {
	files, err := fs.Glob(data, "data/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*Calendar
	for _, f := range files {
		text, err := fs.ReadFile(data, f)
		if err != nil {
			return nil, err
		}
		list, err := Parse(f, text)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
})

// NewBook makes a book of the calendars that come with the program and of some
// more, which go before those of the same name. An include that leads nowhere,
// in a circle or from a calendar in force to one that is off is an Invalid error.
func NewBook(own ...*Calendar) (*Book, error) {
	list, err := builtin()
	if err != nil {
		return nil, fmt.Errorf("read the calendars of the program: %w", err)
	}
	b := &Book{byName: map[string]*Calendar{}, builtIn: map[string]bool{}}
	for _, c := range list {
		b.byName[c.Name] = fresh(c)
		b.builtIn[c.Name] = true
	}
	for _, c := range own {
		b.byName[c.Name] = fresh(c)
		b.builtIn[c.Name] = false
	}
	for _, name := range b.Names() {
		if err := b.link(b.byName[name], nil); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// fresh is a copy whose includes are this book's.
func fresh(c *Calendar) *Calendar {
	return &Calendar{Source: c.Source, rest: c.rest, days: c.days, years: map[int]map[time.Time]Holiday{}}
}

func (b *Book) link(c *Calendar, path []string) error {
	if slices.Contains(path, c.Name) {
		return rapport.Invalidf("calendars."+c.Name, "it includes itself, by way of %v", path)
	}
	if len(c.parts) == len(c.Include) {
		return nil
	}
	c.parts = nil
	for _, name := range c.Include {
		part, ok := b.byName[name]
		if !ok {
			return rapport.Invalidf("calendars."+c.Name, "it includes %q, which nobody knows; known: %v", name, b.Names())
		}
		if part.Unverified && !c.Unverified {
			return rapport.Invalidf("calendars."+c.Name, "it includes %s, which has not been checked against its source and is off", name)
		}
		if err := b.link(part, append(path, c.Name)); err != nil {
			return err
		}
		c.parts = append(c.parts, part)
	}
	return nil
}

// Names lists the calendars by name.
func (b *Book) Names() []string { return slices.Sorted(maps.Keys(b.byName)) }

// BuiltIn says whether a calendar came with the program.
func (b *Book) BuiltIn(name string) bool { return b.builtIn[name] }

// Calendar finds a calendar that is in force; an unknown one is NotFound and
// one that nobody has checked Invalid.
func (b *Book) Calendar(name string) (*Calendar, error) {
	c, ok := b.byName[name]
	if !ok {
		return nil, rapport.Unknown("calendar", name, b.Names())
	}
	if c.Unverified {
		return nil, rapport.Invalidf("calendar", "calendar %s has not been checked against its source, so it is off; check it, and put in a file of your own with the same name", name)
	}
	return c, nil
}

// Look finds a calendar whether it is in force or not.
func (b *Book) Look(name string) (*Calendar, error) {
	c, ok := b.byName[name]
	if !ok {
		return nil, rapport.Unknown("calendar", name, b.Names())
	}
	return c, nil
}
