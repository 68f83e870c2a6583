package strictyaml

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// Limits of a document. They are far above what a person writes.
const (
	MaxBytes = 1 << 20 // size of a file
	MaxDepth = 64      // nesting of lists and objects
	MaxNodes = 50_000  // values, with aliases written out
)

// Document is a file that was read. It does not change and may be shared.
type Document struct {
	file string
	root *node
}

// Parse reads a file: JSON when its name ends in .json, YAML otherwise (in
// which most JSON is at home too). An empty file is an empty object. The
// error, if any, is of type Complaints.
func Parse(file string, data []byte) (*Document, error) {
	if len(data) > MaxBytes {
		return nil, Complaints{{File: file, Msg: fmt.Sprintf("has %d bytes; at most %d are read", len(data), MaxBytes)}}
	}
	p := &parser{file: file, anchors: map[string]*node{}}
	var root *node
	if strings.EqualFold(filepath.Ext(file), ".json") {
		root = p.json(data)
	} else {
		root = p.yaml(data)
	}
	if err := p.complaints.Err(); err != nil {
		return nil, err
	}
	if root.size > MaxNodes {
		return nil, Complaints{{File: file, Msg: fmt.Sprintf("holds more than %d values once its aliases are written out", MaxNodes)}}
	}
	return &Document{file: file, root: root}, nil
}

// Decode parses and decodes in one step.
func Decode(file string, data []byte, into any) error {
	d, err := Parse(file, data)
	if err != nil {
		return err
	}
	return d.Decode(into)
}

// ToJSON parses and converts in one step.
func ToJSON(file string, data []byte) (json.RawMessage, error) {
	d, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	return d.JSON(), nil
}

// JSON returns the document as JSON, its keys in the order of the file.
func (d *Document) JSON() json.RawMessage { return d.root.json(nil) }

// Find returns the place of a key; see Complaint for how a path is written.
// For a key that the file does not have it is the place of the nearest one
// around it.
func (d *Document) Find(path string) (line, column int) {
	n := d.root
	line, column = n.line, n.column
	for _, step := range steps(path) {
		e, ok := n.child(step)
		if !ok {
			return line, column
		}
		n, line, column = e.value, e.line, e.column
	}
	return line, column
}

// Position returns the place of a key as file:line:column.
func (d *Document) Position(path string) string {
	line, column := d.Find(path)
	return fmt.Sprintf("%s:%d:%d", d.file, line, column)
}

// Complain makes a complaint about a key.
func (d *Document) Complain(path, format string, args ...any) Complaint {
	line, column := d.Find(path)
	return Complaint{File: d.file, Line: line, Column: column, Key: path, Msg: fmt.Sprintf(format, args...)}
}

// steps splits channels[0].servers[1].url into its parts: names and "[0]".
func steps(path string) []string {
	var out []string
	for part := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}
