package templates

import (
	"slices"
	"strconv"
	"strings"

	"github.com/osteele/liquid/expressions"

	"rapport/channels"
)

// compiler turns the pieces of one part into nodes.
type compiler struct {
	part    string
	locale  string
	syntax  channels.Syntax
	filters *filterSet
	fields  *fieldTable
	slots   map[string]int // of variables, by name
	pieces  []piece
	pos     int
	depth   int
	loops   int
	reads   [][]string // every path read, for lint
	readsAt []int      // its line
	uses    []filterAt
	from    origins
	derived bool // made from another part, whose problems are told there
}

type filterAt struct {
	name string
	line int
	from [][]string
}

// tree compiles all pieces.
func (c *compiler) tree(pieces []piece) ([]node, error) {
	c.pieces, c.pos = pieces, 0
	nodes, end, err := c.block()
	if err != nil {
		return nil, err
	}
	if end != nil {
		return nil, problemf(c.part, end.line, "has {%% %s %%} without a tag that it ends or continues; remove it", end.name)
	}
	return nodes, nil
}

// block compiles pieces up to one of the given tags, which it returns.
func (c *compiler) block(until ...string) ([]node, *piece, error) {
	out, end, err := c.list(until)
	return c.fix(out), end, err
}

func (c *compiler) list(until []string) ([]node, *piece, error) {
	var out []node
	for c.pos < len(c.pieces) {
		p := &c.pieces[c.pos]
		c.pos++
		if p.kind == tagPiece && slices.Contains(until, p.name) {
			return out, p, nil
		}
		if p.kind == tagPiece && isEnd(p.name) {
			return out, p, nil // the caller says what is missing
		}
		n, err := c.node(p)
		if err != nil {
			return nil, nil, err
		}
		if t, ok := n.(*textNode); ok && len(out) > 0 {
			if before, ok := out[len(out)-1].(*textNode); ok {
				out[len(out)-1] = &textNode{text: before.text + t.text}
				continue
			}
		}
		out = append(out, n)
	}
	return out, nil, nil
}

func isEnd(name string) bool {
	return strings.HasPrefix(name, "end") || name == "else" || name == "elsif" || name == "when"
}

func (c *compiler) node(p *piece) (node, error) {
	switch p.kind {
	case textPiece:
		return &textNode{text: p.text}, nil
	case outputPiece:
		return c.output(p)
	case clickPiece:
		return newClickNode(p.n, p.text), nil
	case pixelPiece:
		return newPixelNode(), nil
	case preheadPiece:
		return newPreheadNode(), nil
	case tagPiece:
	}
	return c.tag(p)
}

func (c *compiler) output(p *piece) (node, error) {
	e, err := c.read(p.line, p.text)
	if err != nil {
		return nil, err
	}
	return &outputNode{e, p.esc}, nil
}

// read compiles an expression and remembers what it reads.
func (c *compiler) read(line int, src string) (*expr, error) {
	e, err := c.expression(c.part, line, src)
	if err != nil {
		return nil, err
	}
	c.note(line, e.facts)
	return e, nil
}

// note remembers what is read.
func (c *compiler) note(line int, f facts) {
	for _, p := range f.paths {
		if p[0] == rootContact && len(p) > 1 {
			c.fields.slot(p[1])
		}
		c.reads, c.readsAt = append(c.reads, p), append(c.readsAt, line)
	}
	for _, u := range f.filters {
		c.uses = append(c.uses, filterAt{u.name, line, f.paths})
	}
}

const knownTags = "assign, break, capture, case, comment, continue, cycle, decrement, echo, for, if, increment, raw, unless"

func (c *compiler) tag(p *piece) (node, error) {
	switch p.name {
	case "if", "unless", "case", "for", "capture":
		c.depth++
		defer func() { c.depth-- }()
		if c.depth > maxDepth {
			return nil, problemf(c.part, p.line, "has more than %d blocks within each other; make it flatter", maxDepth)
		}
	}
	switch p.name {
	case "if", "unless":
		return c.cond(p)
	case "case":
		return c.choice(p)
	case "for":
		return c.loop(p)
	case "capture":
		return c.capture(p)
	case "assign":
		return c.assign(p)
	case "break":
		return &breakNode{errBreak}, nil
	case "continue":
		return &breakNode{errContinue}, nil
	case "cycle":
		return c.cycle(p)
	case "increment", "decrement":
		name, err := c.newName(p, p.text)
		if err != nil {
			return nil, err
		}
		return &countNode{name, map[string]int{"increment": 1, "decrement": -1}[p.name]}, nil
	case "include", "render":
		return nil, problemf(c.part, p.line, "{%% %s %%} is not available: a template is complete in itself; copy the text here", p.name)
	}
	return nil, problemf(c.part, p.line, "there is no tag %q; known: %s", p.name, knownTags)
}

// unclosed says that a block has no end.
func (c *compiler) unclosed(p, end *piece) error {
	if end != nil {
		return problemf(c.part, end.line, "has {%% %s %%} inside {%% %s %%} of line %d; write {%% end%s %%} first", end.name, p.name, p.line, p.name)
	}
	return problemf(c.part, p.line, "has {%% %s %%} without {%% end%s %%}; close it", p.name, p.name)
}

func (c *compiler) cond(p *piece) (node, error) {
	n := &ifNode{}
	at := p
	for {
		b := branch{negate: at == p && p.name == "unless"}
		if at.name != "else" {
			cond, err := c.read(at.line, at.text)
			if err != nil {
				return nil, err
			}
			b.cond = cond
		}
		body, end, err := c.block("elsif", "else", "end"+p.name)
		if err != nil {
			return nil, err
		}
		b.body = body
		n.branches = append(n.branches, b)
		switch {
		case end == nil || end.name != "elsif" && end.name != "else" && end.name != "end"+p.name:
			return nil, c.unclosed(p, end)
		case end.name == "end"+p.name:
			return n, nil
		case at.name == "else":
			return nil, problemf(c.part, end.line, "has {%% %s %%} after {%% else %%}; put {%% else %%} last", end.name)
		}
		at = end
	}
}

func (c *compiler) choice(p *piece) (node, error) {
	subject, err := c.read(p.line, p.text)
	if err != nil {
		return nil, err
	}
	n := &caseNode{subject: subject}
	_, at, err := c.block("when", "else", "endcase") // what stands before the first when is not shown
	for err == nil && at != nil && (at.name == "when" || at.name == "else") {
		w := when{part: c.part, line: at.line}
		if at.name == "when" {
			if w.values, err = c.whenValues(at); err != nil {
				return nil, err
			}
		}
		var next *piece
		w.body, next, err = c.block("when", "else", "endcase")
		if at.name == "when" {
			n.whens = append(n.whens, w)
		} else {
			n.other = w.body
		}
		at = next
	}
	if err != nil {
		return nil, err
	}
	if at == nil || at.name != "endcase" {
		return nil, c.unclosed(p, at)
	}
	return n, nil
}

func (c *compiler) whenValues(p *piece) ([]whenValue, error) {
	ts := tokens(p.text)
	if err := c.checkExpression(c.part, p.line, p.text, ts); err != nil {
		return nil, err
	}
	f := inspect(ts)
	c.note(p.line, f)
	stmt, err := parseStatement(expressions.WhenStatementSelector, p.text)
	if err != nil {
		return nil, problemf(c.part, p.line, "cannot read {%% when %s %%}; write it like {%% when \"gold\", \"silver\" %%}", shorten(p.text))
	}
	var out []whenValue
	for _, e := range stmt.Exprs {
		w := whenValue{eval: e, roots: f.names()}
		if len(f.paths) == 0 && len(f.filters) == 0 {
			if v, err := e.Evaluate(newEval(nil, c.filters)); err == nil {
				w = whenValue{fixed: valueOf(v)}
			}
		}
		out = append(out, w)
	}
	return out, nil
}

func (c *compiler) loop(p *piece) (node, error) {
	c.loops++
	defer func() { c.loops-- }()
	if c.loops > maxLoops {
		return nil, problemf(c.part, p.line, "has more than %d loops within each other; take one out", maxLoops)
	}
	n := &forNode{part: c.part, line: p.line}
	if err := c.loopHead(n, p); err != nil {
		return nil, err
	}
	body, end, err := c.block("else", "endfor")
	if err != nil {
		return nil, err
	}
	n.body = body
	if end != nil && end.name == "else" {
		if n.other, end, err = c.block("endfor"); err != nil {
			return nil, err
		}
	}
	if end == nil || end.name != "endfor" {
		return nil, c.unclosed(p, end)
	}
	return n, nil
}

func (c *compiler) loopHead(n *forNode, p *piece) error {
	m := loopHead.FindStringSubmatch(p.text)
	if m == nil {
		return problemf(c.part, p.line, "cannot read {%% for %s %%}; write it like {%% for item in data.items %%}", shorten(p.text))
	}
	name, err := c.newName(p, m[1])
	if err != nil {
		return err
	}
	ts := tokens(m[2])
	if err := c.checkExpression(c.part, p.line, m[2], ts); err != nil {
		return err
	}
	f := inspect(ts)
	f.paths = slices.DeleteFunc(f.paths, func(path []string) bool { return len(path) == 1 && path[0] == "reversed" })
	if err := c.checkFilters(&expr{facts: f, part: c.part, line: p.line}); err != nil {
		return err
	}
	c.note(p.line, f)
	stmt, err := parseStatement(expressions.LoopStatementSelector, name+" in "+m[2])
	if err != nil {
		return problemf(c.part, p.line, "cannot read {%% for %s %%}; write it like {%% for item in data.items limit: 5 %%}", shorten(p.text))
	}
	n.slot, n.over, n.roots, n.reversed = c.slot(name), stmt.Expr, f.names(), stmt.Reversed
	n.limit, n.offset = loopNumber{fixed: maxItems, eval: stmt.Limit}, loopNumber{eval: stmt.Offset}
	c.quickLoop(n, ts)
	return nil
}

// quickLoop recognises a loop over a plain path, with numbers for its bounds.
func (c *compiler) quickLoop(n *forNode, ts []token) {
	if ts[0].kind != 'i' {
		return
	}
	names, rest := fixedPath(ts)
	if names == nil {
		return
	}
	limit, offset := n.limit, n.offset
	for len(rest) > 0 {
		if rest[0].kind == 'i' && rest[0].text == "reversed" {
			rest = rest[1:]
			continue
		}
		if rest[0].kind != 'k' || len(rest) == 1 || rest[1].kind != 'n' {
			return
		}
		number, err := strconv.Atoi(rest[1].text)
		if err != nil {
			return
		}
		switch rest[0].text {
		case "limit":
			limit = loopNumber{fixed: number}
		case "offset":
			offset = loopNumber{fixed: number}
		}
		rest = rest[2:]
	}
	n.limit, n.offset = limit, offset
	n.quick = c.resolve(names)
}

func (c *compiler) capture(p *piece) (node, error) {
	name, err := c.newName(p, p.text)
	if err != nil {
		return nil, err
	}
	body, end, err := c.block("endcapture")
	if err != nil {
		return nil, err
	}
	if end == nil || end.name != "endcapture" {
		return nil, c.unclosed(p, end)
	}
	return &captureNode{c.slot(name), c.syntax == channels.HTML || c.syntax == channels.Mrkdwn, body}, nil
}

func (c *compiler) assign(p *piece) (node, error) {
	left, right, ok := strings.Cut(p.text, "=")
	if !ok {
		return nil, problemf(c.part, p.line, "cannot read {%% assign %s %%}; write it like {%% assign name = contact.first_name %%}", shorten(p.text))
	}
	name, err := c.newName(p, strings.TrimSpace(left))
	if err != nil {
		return nil, err
	}
	e, err := c.read(p.line, strings.TrimSpace(right))
	if err != nil {
		return nil, err
	}
	return &assignNode{c.slot(name), e}, nil
}

// newName accepts the name of a variable that the template makes.
func (c *compiler) newName(p *piece, name string) (string, error) {
	ts := tokens(name)
	if len(ts) != 1 || ts[0].kind != 'i' {
		return "", problemf(c.part, p.line, "%q after {%% %s is not a name; use letters, digits and _", shorten(name), p.name)
	}
	if isRoot(name) {
		return "", problemf(c.part, p.line, "%q belongs to Rapport and cannot be made by {%% %s %%}; choose another name", name, p.name)
	}
	return name, nil
}

func (c *compiler) cycle(p *piece) (node, error) {
	stmt, err := parseStatement(expressions.CycleStatementSelector, p.text)
	if err != nil || len(stmt.Cycle.Values) == 0 {
		return nil, problemf(c.part, p.line, "cannot read {%% cycle %s %%}; write it like {%% cycle \"odd\", \"even\" %%}", shorten(p.text))
	}
	group := "cycle " + stmt.Group + strings.Join(stmt.Cycle.Values, "\x00")
	shown := slices.Clone(stmt.Cycle.Values)
	if isProse(c.syntax) {
		for i := range shown {
			shown[i] = visible(shown[i])
		}
	}
	return &cycleNode{group, shown}, nil
}
