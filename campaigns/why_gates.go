package campaigns

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/conditions"
	"rapport/consent"
	"rapport/outbox"
)

// gate is one thing that decides. A new one is a line in gates.
type gate struct {
	name string
	look func(*card) Gate
}

// gates are all that decide, in the order in which planning and the gate at the
// wire ask: the first that stops is the reason. For what waits see firstWait.
func gates() []gate {
	return []gate{
		{"person", (*card).personGate},
		{"audience", (*card).audienceGate},
		{"exclusions", (*card).exclusionGate},
		{"address", (*card).addressGate},
		{"restriction", (*card).restrictionGate},
		{"suppression", (*card).suppressionGate},
		{"suppressed domain", (*card).domainGate},
		{"consent", (*card).consentGate},
		{"local time", (*card).lateGate},
		{"wishes and caps", (*card).heedGate},
		{"letter", (*card).letterGate},
		{"expiry", (*card).expiryGate},
		{"run", (*card).runGate},
		{"channel", (*card).channelGate},
		{"window and quiet hours", (*card).windowGate},
		{"pace", (*card).paceGate},
		{"tracking", (*card).trackingGate},
	}
}

func passes(format string, args ...any) Gate {
	return Gate{Outcome: Passes, Says: fmt.Sprintf(format, args...)}
}

func aside(format string, args ...any) Gate {
	return Gate{Outcome: Aside, Says: fmt.Sprintf(format, args...)}
}

func stops(why outbox.Reason, row *Row, format string, args ...any) Gate {
	return Gate{Outcome: Stops, Reason: why, Row: row, Says: fmt.Sprintf(format, args...)}
}

func waits(why outbox.Reason, until time.Time, row *Row, format string, args ...any) Gate {
	g := Gate{Outcome: Waits, Reason: why, Row: row, Says: fmt.Sprintf(format, args...)}
	if !until.IsZero() {
		g.Until = &until
	}
	return g
}

// fine is a person about whom nothing stands against a message: a gate puts
// the one fact in that it is about and asks the rule of planning.
func (c *card) fine() outbox.Candidate {
	address := c.standings.Address
	if address == "" {
		address = "somewhere"
	}
	return outbox.Candidate{Address: address, Consent: string(consent.Yes), ConsentAddress: address}
}

func (c *card) personGate() Gate {
	if c.standings.Exists {
		return passes("contact %s is there", c.person.UID)
	}
	row := &Row{Table: "consent_entries"}
	for _, p := range c.sheet.History {
		if p.State == consent.Erased {
			*row = rowOf(p)
		}
	}
	if row.Key == "" {
		row = nil
	}
	return stops(outbox.Erased, row, "%s", says(outbox.Erased))
}

func (c *card) audienceGate() Gate {
	if !c.standings.Exists {
		return aside("nobody is there to be meant")
	}
	where := c.aim.Where == nil
	var parts []Part
	i := 0
	if !where {
		for range conditions.Parts(c.aim.Where.Tree()) {
			parts = append(parts, c.parts[i])
			i++
		}
		where = c.segments[0]
	}
	anyOf := len(c.aim.Segments) == 0
	for k, segment := range c.aim.Segments {
		in := c.segments[k+1]
		anyOf = anyOf || in
		parts = append(parts, Part{Condition: "segment: " + segment.Source(), Holds: &in})
	}
	g := passes("the person is in the audience")
	switch {
	case c.aim.Where == nil && len(c.aim.Segments) == 0:
		g.Says = "the campaign is for everybody"
	case !where:
		g = Gate{Outcome: Stops, Says: "the person is not in the audience: " + failing(parts)}
	case !anyOf:
		g = Gate{Outcome: Stops, Says: "the person is in none of the campaign's segments"}
	}
	g.Parts = parts
	return g
}

// failing names the parts that do not hold.
func failing(parts []Part) string {
	var out []string
	for _, p := range parts {
		if p.Holds != nil && *p.Holds || strings.HasPrefix(p.Condition, "segment: ") {
			continue
		}
		word := "does not hold"
		if p.Holds == nil {
			word = "is not known"
		}
		var values []string
		for _, name := range slices.Sorted(maps.Keys(p.Values)) {
			values = append(values, name+" is "+p.Values[name])
		}
		text := p.Condition + " " + word
		if len(values) > 0 {
			text += " (" + strings.Join(values, ", ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func (c *card) exclusionGate() Gate {
	if !c.standings.Exists || len(c.aim.Exclude) == 0 {
		return aside("the campaign excludes nobody")
	}
	g := passes("the person is in no excluded segment")
	var parts []Part
	for i, x := range c.aim.Exclude {
		in := c.excluded[i]
		parts = append(parts, Part{Condition: x.Source(), Holds: &in})
		if in && g.Outcome == Passes {
			g = Gate{Outcome: Stops, Says: "the person is in an excluded segment: " + x.Source()}
		}
	}
	g.Parts = parts
	return g
}

func (c *card) addressGate() Gate {
	row := &Row{Table: "addresses", Key: strconv.FormatInt(c.standings.AddressRow, 10), Detail: c.run.Kind}
	switch r := outbox.Skip(outbox.Candidate{Address: c.standings.Address, Consent: string(consent.Yes), ConsentAddress: c.standings.Address}); {
	case !c.standings.Exists:
		return aside("nobody is there to have an address")
	case r != "":
		return stops(r, nil, "%s", says(r))
	case c.placed.Delivery != 0 && c.placed.Address != "" && c.placed.Address != c.standings.Address:
		return stops(outbox.AddressChanged, row, "%s", says(outbox.AddressChanged))
	}
	g := passes("%s address %s", c.run.Kind, c.standings.Address)
	g.Row = row
	return g
}

func (c *card) restrictionGate() Gate {
	if !c.standings.Restricted {
		return passes("the person is not restricted, or the message is one that the law demands")
	}
	row := c.standings.RestrictionRow
	return stops(outbox.Restricted, &row, "%s", says(outbox.Restricted))
}

func (c *card) suppressionGate() Gate {
	row := c.standings.SuppressionRow
	f := c.fine()
	f.Suppression = c.standings.Suppression
	switch r := outbox.Skip(f); {
	case r != "":
		return stops(r, &row, "%s", says(r))
	case c.standings.Suppressed != "":
		g := passes("the address is suppressed (%s), and that does not hold a confirmation the person asked for", c.standings.Suppressed)
		g.Row = &row
		return g
	}
	return passes("the address is not suppressed")
}

func (c *card) domainGate() Gate {
	f := c.fine()
	f.Suppression = c.standings.Domain
	if r := outbox.Skip(f); r != "" {
		row := c.standings.DomainRow
		return stops(r, &row, "the receiving domain is suppressed: %s", says(r))
	}
	return passes("the receiving domain is not suppressed")
}

func domainOf(address string) string {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return address[i+1:]
	}
	return address
}

func (c *card) consentGate() Gate {
	f := c.fine()
	f.Consent, f.ConsentAddress = c.standings.Consent, c.standings.ConsentAddress
	if ends := c.standings.ConsentEnds; !ends.IsZero() && !c.due().Before(ends) {
		f.Consent = ""
	}
	if c.standings.Address == "" {
		f.ConsentAddress = f.Address // there is no address it could differ from
	}
	row := c.entryRow(c.standings.Entry)
	r := outbox.Skip(f)
	if r == outbox.NoConsent && !c.standings.ConsentEnds.IsZero() && !c.due().Before(c.standings.ConsentEnds) {
		return stops(r, row, "the permission for %s by %s ended on %s", c.run.Topic, c.run.Driver, when(c.standings.ConsentEnds))
	}
	if r != "" {
		return stops(r, row, "%s (%s by %s)", says(r), c.run.Topic, c.run.Driver)
	}
	g := passes("%s", c.permission(c.standings.Entry))
	g.Row = row
	return g
}

// permission says what a line of the ledger permits, and on what.
func (c *card) permission(entry int64) string {
	for _, p := range c.sheet.History {
		if p.Entry != entry {
			continue
		}
		text := fmt.Sprintf("%s %s for %s by %s on %s", p.State, p.Basis, p.Topic, p.Driver, when(p.At))
		if p.Evidence != nil && p.Evidence.Source != "" {
			text += ", source: " + p.Evidence.Source
		}
		if !p.Expires.IsZero() {
			text += ", until " + when(p.Expires)
		}
		return text
	}
	return fmt.Sprintf("%s by %s", c.run.Topic, c.run.Driver)
}

// entryRow is a line of the ledger; nil when there is none.
func (c *card) entryRow(entry int64) *Row {
	for _, p := range c.sheet.History {
		if p.Entry == entry && entry != 0 {
			row := rowOf(p)
			return &row
		}
	}
	return nil
}

func rowOf(p consent.Proof) Row {
	at := p.At
	row := Row{Table: "consent_entries", Key: strconv.FormatInt(p.Entry, 10), At: &at, Detail: string(p.State) + " " + string(p.Basis)}
	if p.Evidence != nil {
		row.Actor = p.Evidence.Actor
		if p.Evidence.Source != "" {
			row.Detail += ": " + p.Evidence.Source
		}
	}
	return row
}

func (c *card) lateGate() Gate {
	if c.aim.LateBefore.IsZero() {
		return aside("the campaign has one time for everybody, or sends late")
	}
	if c.due().Before(c.aim.LateBefore) {
		return stops(outbox.TooLate, nil, "%s", says(outbox.TooLate))
	}
	return passes("the time in the person's zone was not over at the start")
}

func (c *card) letterGate() Gate {
	row := &Row{Table: "revisions", Key: strconv.FormatInt(c.run.Revision, 10), Detail: fmt.Sprintf("%s, revision %d", c.campaign.Definition.Template, c.letter.revision)}
	switch {
	case c.campaign.ID == 0 || !c.standings.Exists:
		return aside("the letter was written with data of its own")
	case c.letter.err != nil:
		return stops(outbox.RenderFailed, row, "%s: %s", says(outbox.RenderFailed), sentence(c.letter.err))
	}
	g := passes("the letter can be written, in %s", orElse(c.letter.locale, "the fallback language"))
	g.Row = row
	return g
}
