package library

import (
	"embed"

	"rapport/channels"
	"rapport/templates"
)

//go:embed letters
var letters embed.FS

// house is the shelf with the letters of the house itself.
func house() shelf { return shelf{letters, "letters", "letter of the house"} }

// Letters lists the letters of the house itself: what a person gets who asks
// for something at a public page. They hold no word of advertising, and nothing
// that a stranger has typed.
func Letters() ([]string, error) { return house().names() }

// Letter reads a letter of the house. An unknown name is a NotFound error that
// lists the known ones.
func Letter(name string, registry *channels.Registry) (templates.Source, error) {
	return house().load(name, registry)
}
