package strictyaml

import (
	"encoding/json"
	"strconv"
	"strings"
)

// kind is what a value is.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

// String returns the kind as a sentence names it.
func (k kind) String() string {
	switch k {
	case null:
		return "nothing"
	case boolean:
		return "true or false"
	case number:
		return "a number"
	case text:
		return "text"
	case list:
		return "a list"
	case object:
		return "an object"
	}
	return "nothing"
}

// node is one value with its place. Aliases share nodes, so a node is never
// changed once it is complete.
type node struct {
	kind         kind
	line, column int
	size         int    // values in it, itself included, aliases written out
	text         string // text, or the source of a number
	literal      string // boolean and number as JSON writes them
	entries      []entry
}

// entry is a member of an object, or of a list (whose keys are empty).
type entry struct {
	key          string
	line, column int
	value        *node
}

func (n *node) add(e entry) {
	n.entries = append(n.entries, e)
	n.size = min(n.size+e.value.size, 2*MaxNodes) // saturated: aliases may multiply
}

func (n *node) get(key string) (entry, bool) {
	for _, e := range n.entries {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// child finds a member by a step of a path: a name, or "[3]".
func (n *node) child(step string) (entry, bool) {
	if n.kind == object {
		return n.get(step)
	}
	i, err := strconv.Atoi(strings.Trim(step, "[]"))
	if n.kind != list || err != nil || i < 0 || i >= len(n.entries) {
		return entry{}, false
	}
	return n.entries[i], true
}

// json appends the value to b.
func (n *node) json(b []byte) []byte {
	switch n.kind {
	case null:
		return append(b, "null"...)
	case boolean, number:
		return append(b, n.literal...)
	case text:
		return append(b, quote(n.text)...)
	case list, object:
		open, end := byte('['), byte(']')
		if n.kind == object {
			open, end = '{', '}'
		}
		b = append(b, open)
		for i, e := range n.entries {
			if i > 0 {
				b = append(b, ',')
			}
			if n.kind == object {
				b = append(append(b, quote(e.key)...), ':')
			}
			b = e.value.json(b)
		}
		return append(b, end)
	}
	return b
}

// quote writes text as a JSON string; it cannot fail for a string.
func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

// child path of a key, for complaints.
func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
