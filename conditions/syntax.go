package conditions

import (
	"strings"

	"cel.dev/cel-go/cel"
)

// syntax is the first complaint of cel-go's parser or checker. Its sentences
// are made for programmers; the common ones are said in other words.
func syntax(source string, issues *cel.Issues) error {
	if strings.TrimSpace(source) == "" {
		return &problem{1, 0, "the condition is empty; write one like contact.city == \"Berlin\""}
	}
	first := issues.Errors()[0]
	p := &problem{first.Location.Line(), first.Location.Column(), "the condition cannot be read: " + first.Message}
	msg := first.Message
	switch {
	case strings.Contains(msg, "recursion limit"), strings.Contains(msg, "recursion depth"):
		p.sentence = "the condition is nested too deeply; split it into several segments"
	case strings.Contains(msg, "input '<EOF>'"), strings.Contains(msg, "at '<EOF>'"):
		p.sentence = "the condition ends too early; something is missing, perhaps a bracket or a value"
	case strings.Contains(msg, "token recognition error"):
		p.sentence = "this sign cannot be read here; a text needs a quote at both ends, and comparisons are == != < <= > >="
	case strings.Contains(msg, "extraneous input"), strings.Contains(msg, "mismatched input"), strings.Contains(msg, "no viable alternative"):
		p.sentence = "this cannot stand here; parts are joined by && and ||, and a text needs quotes"
	case strings.Contains(msg, "reserved identifier"):
		p.sentence = "this word is reserved by the language and cannot be a name"
	}
	return p
}
