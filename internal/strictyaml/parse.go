package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	yamlparser "github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parser turns a file into nodes and gathers complaints on the way.
type parser struct {
	file       string
	anchors    map[string]*node
	complaints Complaints
}

func (p *parser) complain(line, column int, path, format string, args ...any) {
	p.complaints = append(p.complaints, Complaint{
		File: p.file, Line: line, Column: column, Key: path, Msg: fmt.Sprintf(format, args...),
	})
}

func (p *parser) yaml(data []byte) *node {
	empty := &node{kind: object, line: 1, column: 1, size: 1}
	if !utf8.Valid(data) {
		p.complain(0, 0, "", "is not UTF-8 text")
		return empty
	}
	file := p.syntax(data)
	if file == nil {
		return empty
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.CommentGroupType {
			continue
		}
		if body != nil {
			line, column := place(doc.Body.GetToken())
			p.complain(line, column, "", "a second document begins here; a file holds one")
			break
		}
		body = doc.Body
	}
	if body == nil || body.Type() == ast.NullType {
		return empty
	}
	return p.node(body, "", 0)
}

// syntax runs the YAML parser. It is not trusted with hostile input: nesting
// and length are bounded before it (it takes quadratic time for some), and a
// panic in it is a complaint.
func (p *parser) syntax(data []byte) (file *ast.File) {
	defer func() {
		if recover() != nil {
			p.complain(0, 0, "", "cannot be read as YAML")
			file = nil
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if line, column, deep := tooDeep(tokens); deep {
		p.complain(line, column, "", "is nested more than %d deep", MaxDepth)
		return nil
	}
	if len(tokens) > MaxNodes {
		p.complain(0, 0, "", "holds more than %d words", MaxNodes)
		return nil
	}
	file, err := yamlparser.Parse(tokens, 0, yamlparser.AllowDuplicateMapKey())
	if err == nil {
		return file
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		line, column := place(at.GetToken())
		p.complain(line, column, "", "is not YAML: %s", at.GetMessage())
		return nil
	}
	p.complain(0, 0, "", "is not YAML: %s", firstLine(err))
	return nil
}

// tooDeep counts open brackets, and dashes or question marks in a row, which
// nest too.
func tooDeep(tokens token.Tokens) (line, column int, deep bool) {
	open, row := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType:
			row++
			if t.Prev != nil && t.Prev.Position.Line != t.Position.Line {
				row = 1
			}
		default:
			row = 0
		}
		if open > MaxDepth || row > MaxDepth {
			line, column = place(t)
			return line, column, true
		}
	}
	return 0, 0, false
}

func place(t *token.Token) (line, column int) {
	if t == nil || t.Position == nil {
		return 0, 0
	}
	return t.Position.Line, t.Position.Column
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// node converts one value and everything in it.
func (p *parser) node(in ast.Node, path string, depth int) *node {
	out := &node{size: 1}
	out.line, out.column = place(in.GetToken())
	if depth > MaxDepth {
		p.complain(out.line, out.column, path, "is nested more than %d deep", MaxDepth)
		return out
	}
	switch v := in.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		out.kind, out.literal = boolean, strconv.FormatBool(v.Value)
	case *ast.IntegerNode:
		out.kind, out.text, out.literal = number, v.Token.Value, fmt.Sprint(v.Value)
	case *ast.FloatNode:
		out.kind, out.text = number, v.Token.Value
		out.literal = strconv.FormatFloat(v.Value, 'g', -1, 64)
		if math.IsInf(v.Value, 0) {
			p.complain(out.line, out.column, path, "the number is too large")
		}
	case *ast.InfinityNode, *ast.NanNode:
		p.complain(out.line, out.column, path, "is not a number that can be used; put it in quotes if it is text")
	case *ast.StringNode:
		out.kind, out.text = text, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, v.Value.Value
	case *ast.MappingNode:
		out.kind = object
		if !v.IsFlowStyle && len(v.Values) > 0 {
			out.line, out.column = place(v.Values[0].Key.GetToken())
		}
		p.members(out, v.Values, path, depth)
	case *ast.MappingValueNode:
		out.kind = object
		out.line, out.column = place(v.Key.GetToken())
		p.members(out, []*ast.MappingValueNode{v}, path, depth)
	case *ast.SequenceNode:
		out.kind = list
		for i, val := range v.Values {
			child := p.node(val, item(path, i), depth+1)
			out.add(entry{value: child, line: child.line, column: child.column})
		}
	case *ast.AnchorNode:
		child := p.node(v.Value, path, depth)
		p.anchors[v.Name.String()] = child
		return child
	case *ast.AliasNode:
		known, ok := p.anchors[v.Value.String()]
		if !ok {
			p.complain(out.line, out.column, path, "*%s refers to nothing written before it", v.Value.String())
			return out
		}
		shared := *known
		shared.line, shared.column = out.line, out.column
		return &shared
	default:
		p.complain(out.line, out.column, path, "%s is more YAML than is understood here; write a plain value", strings.ToLower(in.Type().String()))
	}
	return out
}

func (p *parser) members(out *node, values []*ast.MappingValueNode, path string, depth int) {
	seen := map[string]int{}
	for _, v := range values {
		line, column := place(v.Key.GetToken())
		key, ok := keyText(v.Key)
		if !ok {
			p.complain(line, column, path, "a key must be a plain word; merge keys and lists as keys are not understood")
			continue
		}
		if first, twice := seen[key]; twice {
			p.complain(line, column, under(path, key), "is written twice; the first is in line %d", first)
			continue
		}
		seen[key] = line
		out.add(entry{key: key, line: line, column: column, value: p.node(v.Value, under(path, key), depth+1)})
	}
}

func keyText(k ast.MapKeyNode) (string, bool) {
	switch v := k.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// json reads JSON with the standard decoder, which also says where it is.
func (p *parser) json(data []byte) *node {
	j := &jsonReader{parser: p, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	j.dec.UseNumber()
	root, err := j.value("", 0)
	if err == nil {
		_, err = j.dec.Token()
		if errors.Is(err, io.EOF) {
			return root
		}
		err = errors.New("something follows the value")
	}
	line, column := j.place()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	p.complain(line, column, "", "is not JSON: %s", firstLine(err))
	return &node{kind: object, line: 1, column: 1, size: 1}
}

type jsonReader struct {
	*parser
	data []byte
	dec  *json.Decoder
}

// place is where the next value begins.
func (j *jsonReader) place() (line, column int) {
	at := int(j.dec.InputOffset())
	for at < len(j.data) && bytes.IndexByte([]byte(" \t\r\n,:"), j.data[at]) >= 0 {
		at++
	}
	before := j.data[:min(at, len(j.data))]
	return 1 + bytes.Count(before, []byte("\n")), utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

func (j *jsonReader) value(path string, depth int) (*node, error) {
	out := &node{size: 1}
	out.line, out.column = j.place()
	tok, err := j.dec.Token()
	if err != nil {
		return nil, err
	}
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested more than %d deep", MaxDepth)
	}
	switch v := tok.(type) {
	case bool:
		out.kind, out.literal = boolean, strconv.FormatBool(v)
	case json.Number:
		out.kind, out.text, out.literal = number, v.String(), v.String()
	case string:
		out.kind, out.text = text, v
	case json.Delim:
		out.kind = list
		if v == '{' {
			out.kind = object
		}
		return out, j.members(out, path, depth)
	}
	return out, nil
}

func (j *jsonReader) members(out *node, path string, depth int) error {
	seen := map[string]int{}
	for i := 0; j.dec.More(); i++ {
		e := entry{}
		below := item(path, i)
		e.line, e.column = j.place()
		if out.kind == object {
			tok, err := j.dec.Token()
			if err != nil {
				return err
			}
			e.key, _ = tok.(string) // the decoder allows nothing else
			below = under(path, e.key)
		}
		var err error
		if e.value, err = j.value(below, depth+1); err != nil {
			return err
		}
		if first, twice := seen[e.key]; twice && out.kind == object {
			j.complain(e.line, e.column, below, "is written twice; the first is in line %d", first)
			continue
		}
		seen[e.key] = e.line
		out.add(e)
	}
	_, err := j.dec.Token()
	return err
}
