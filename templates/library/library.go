package library

import (
	"embed"
	"io/fs"

	"rapport/channels"
	"rapport/templates"
)

//go:embed birthday customer-notice event-invitation follow-up newsletter offer points-statement satisfaction team-note welcome
var files embed.FS

// public is the shelf with the templates that people take copies of.
func public() shelf { return shelf{files, ".", "template in the library"} }

// Names lists the templates of the library in alphabetical order.
func Names() ([]string, error) { return public().names() }

// Folder returns the folder of a template, to copy or to load. An unknown
// name is a NotFound error that lists the known ones.
func Folder(name string) (fs.FS, error) { return public().folder(name) }

// Load reads a template of the library as if it came from disk.
func Load(name string, registry *channels.Registry) (templates.Source, error) {
	return public().load(name, registry)
}
