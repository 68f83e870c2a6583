package outbox

import (
	"maps"
	"slices"
)

// Reasons lists the closed vocabulary, by name.
func Reasons() []Reason { return slices.Sorted(maps.Keys(known)) }
