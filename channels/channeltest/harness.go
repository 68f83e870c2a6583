package channeltest

import (
	"context"
	"encoding/json"
	"html"
	"slices"
	"strings"
	"testing"

	"rapport/channels"
)

// Mood is what the provider does with the next messages, until told otherwise.
type Mood uint8

// The moods a provider can be put into.
const (
	Accept      Mood = iota // take every message
	Throttle                // ask to slow down
	Refuse                  // say that this address does not exist
	Spoil                   // say that this message is not acceptable, whoever gets it
	Break                   // say that our credentials are not valid
	Unavailable             // say that it cannot take anything for now
	LoseReply               // take the message, then lose the connection instead of answering
	Stall                   // read everything and never answer
)

// String names the mood in lower case.
func (m Mood) String() string {
	return [...]string{"accept", "throttle", "refuse", "spoil", "break", "unavailable", "lose_reply", "stall"}[m]
}

// Text stands in Harness.Content where the examination puts texts of its own,
// spelt as the part's syntax asks.
const Text = "RAPPORT-TEXT"

// Harness is what a driver brings to the examination.
type Harness struct {
	Driver   channels.Driver
	Env      channels.Env    // Name is filled when empty
	Settings json.RawMessage // for the running provider
	To       string          // a canonical address the provider takes
	// Content is a valid message. Text in a part is replaced by the
	// examination's own texts; a part without it is sent as it is.
	Content map[string]string
	// Set puts the provider into a mood.
	Set func(Mood)
	// Got returns what the provider has taken responsibility for, oldest first.
	Got func() []Received
	// Secrets may never appear in an error or a log.
	Secrets []string
	// Cannot lists the moods this provider cannot have, each with the reason.
	Cannot map[Mood]string
	// TellsWhen says that the provider in the mood Throttle tells when to try
	// again, so that a failure without it is a mistake of the driver.
	TellsWhen bool
}

// Received is one message the provider took.
type Received struct {
	Key     string            // Message.Key, as it arrived
	To      string            // Message.To, as it arrived
	Content map[string]string // parts as the recipient would read them
	Raw     []byte            // what came over the wire, as far as kept: headers and body
}

func (h Harness) check(t *testing.T) {
	t.Helper()
	switch {
	case h.Set == nil, h.Got == nil:
		t.Fatal("the harness must bring Set and Got")
	case h.Driver.Name == "", h.To == "", len(h.Content) == 0:
		t.Fatal("the harness must bring a driver, an address and a content")
	}
	for _, p := range h.Driver.Parts {
		if p.Required && h.Content[p.Name] == "" {
			t.Fatalf("part %q is required and the harness brings none", p.Name)
		}
	}
}

// content returns the harness's content with text in the place of Text, each
// part spelt as its syntax asks.
func (h Harness) content(text string) map[string]string {
	out := make(map[string]string, len(h.Content))
	for name, sample := range h.Content {
		i := slices.IndexFunc(h.Driver.Parts, func(p channels.Part) bool { return p.Name == name })
		syntax := channels.Plain
		if i >= 0 {
			syntax = h.Driver.Parts[i].Syntax
		}
		out[name] = strings.ReplaceAll(sample, Text, spell(syntax, text))
	}
	return out
}

// spell writes a text as the templates room would write a value in a part.
func spell(syntax channels.Syntax, text string) string {
	switch syntax {
	case channels.Plain:
		return text
	case channels.HTML:
		return html.EscapeString(text)
	case channels.Header:
		return strings.Join(strings.Fields(text), " ")
	case channels.Mrkdwn:
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	case channels.JSON:
		quoted, err := json.Marshal(text)
		if err != nil {
			return text
		}
		return string(quoted[1 : len(quoted)-1])
	}
	return text
}

// same says whether a part arrived as it was sent: JSON as the same value,
// text apart from the kind of its line ends and those at its very end.
func (h Harness) same(part, sent, got string) bool {
	for _, p := range h.Driver.Parts {
		if p.Name == part && p.Syntax == channels.JSON {
			return canonical(sent) == canonical(got)
		}
	}
	plain := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }
	return plain(sent) == plain(got)
}

func canonical(text string) string {
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return text
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(out)
}

// message is a sound message with a depart that always says yes.
func (h Harness) message(key, text string) channels.Message {
	return channels.Message{
		Key:     key,
		To:      h.To,
		Content: h.content(text),
		List:    "news",
		Depart:  func(context.Context) error { return nil },
	}
}
