package bench

import (
	"embed"
	"fmt"
	"io/fs"

	"rapport/channels"
	"rapport/templates"
)

// letterFiles is the standard letter: 11 KB of HTML with ten values, a loop of
// five items, a condition, 20 plain links and 5 personal ones, and a text part,
// about 14.5 KB on the wire.
//
//go:embed letter
var letterFiles embed.FS

func loadLetter(drivers *channels.Registry) (templates.Source, error) {
	folder, err := fs.Sub(letterFiles, "letter")
	if err != nil {
		return templates.Source{}, fmt.Errorf("open the letter: %w", err)
	}
	src, err := templates.Load(folder, drivers)
	if err != nil {
		return src, fmt.Errorf("load the letter: %w", err)
	}
	return src, nil
}

// items are what the letter's loop goes over.
func items() map[string]any {
	item := func(name string, price int) map[string]any { return map[string]any{"name": name, "price": price} }
	return map[string]any{"items": []any{item("Tea", 12), item("Cup", 8), item("Pot", 39), item("Tin", 5), item("Spoon", 3)}}
}
