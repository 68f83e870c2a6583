package campaigns

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rapport/conditions"
	"rapport/contacts"
)

// readParts asks which parts of the audience hold.
func (c *card) readParts(ctx context.Context) error {
	var nodes []conditions.Node
	var whole []conditions.Node
	if c.aim.Where != nil {
		nodes = conditions.Parts(c.aim.Where.Tree())
		whole = append(whole, c.aim.Where.Tree())
	} else {
		whole = append(whole, conditions.Bool{Value: true})
	}
	for _, x := range append(append([]*conditions.Condition{}, c.aim.Segments...), c.aim.Exclude...) {
		whole = append(whole, x.Tree())
	}
	answers, err := c.s.why.PartsHold(ctx, c.aim, c.person.ID, append(append([]conditions.Node{}, nodes...), whole...))
	if err != nil {
		return fmt.Errorf("ask which conditions hold: %w", err)
	}
	types, err := c.s.contacts.Attributes(ctx)
	if err != nil {
		return err
	}
	for i, n := range nodes {
		c.parts = append(c.parts, Part{Condition: conditions.Show(n), Holds: answers[i], Values: c.values(n, types)})
	}
	yes := make([]bool, len(whole))
	for i := range whole {
		a := answers[len(nodes)+i]
		yes[i] = a != nil && *a
	}
	c.segments, c.excluded = yes[:1+len(c.aim.Segments)], yes[1+len(c.aim.Segments):]
	return nil
}

// values are what a person has in the fields that a part reads.
func (c *card) values(n conditions.Node, types map[string]contacts.Type) map[string]string {
	fields := conditions.Fields(n)
	if len(fields) == 0 {
		return nil
	}
	var attributes map[string]any
	_ = json.Unmarshal(c.person.Attributes, &attributes) // what cannot be read is shown as missing
	out := make(map[string]string, len(fields))
	for _, f := range fields {
		out[f.Name] = "missing"
		var text string
		switch f.Source {
		case conditions.Address:
			a, _ := c.person.Primary(f.Name)
			text = a.Value
		case conditions.Reserved:
			text = map[string]string{
				conditions.FieldID: c.person.UID, conditions.FieldExternalID: c.person.ExternalID, conditions.FieldLocale: c.person.Locale,
				conditions.FieldTimeZone: c.person.Zone, conditions.FieldCreatedAt: when(c.person.CreatedAt),
			}[f.Name]
		case conditions.Attribute:
			v, ok := attributes[f.Name]
			if ok && v != nil {
				text = shownValue(v, types[f.Name])
			}
		}
		if text != "" {
			out[f.Name] = text
		}
	}
	return out
}

// shownValue is an attribute as people write it.
func shownValue(v any, t contacts.Type) string {
	if n, ok := v.(float64); ok && t == contacts.Time {
		return when(time.UnixMicro(int64(n)))
	}
	if text, ok := v.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "unreadable"
	}
	return string(raw)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// when is a moment in a sentence.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
