package campaigns

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/channels"
	"rapport/conditions"
	"rapport/consent"
	"rapport/contacts"
	"rapport/outbox"
)

// gate is one thing that decides. A new one is a line in gates.
type gate struct {
	name string
	look func(*card) Gate
}

// gates are all that decide, in the order in which planning and the gate at the
// wire ask: the first that stops is the reason. Those behind consent only make
// a message wait, but for expiry.
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
		{"letter", (*card).letterGate},
		{"expiry", (*card).expiryGate},
		{"run", (*card).runGate},
		{"channel", (*card).channelGate},
		{"wishes and caps", (*card).heedGate},
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
		return stops(r, &Row{Table: "suppressed_domains", Key: c.run.Kind + " " + domainOf(c.standings.Address)}, "the receiving domain is suppressed: %s", says(r))
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

func (c *card) expiryGate() Gate {
	expires := c.expires()
	if expires.IsZero() {
		return aside("the message does not expire")
	}
	if state, r := outbox.Admit(c.calm(func(f *outbox.Facts) { f.ExpiresAt = expires }), c.at); state == outbox.Expired {
		return stops(r, nil, "%s: it made sense until %s", says(r), when(expires))
	}
	return passes("it makes sense until %s", when(expires))
}

// calm is a delivery that may leave: a gate puts in what it is about and asks
// the rule at the wire.
func (c *card) calm(change func(*outbox.Facts)) outbox.Facts {
	f := outbox.Facts{
		Run: outbox.Running, Address: "somewhere", HasContact: true, HasAddress: true, Consent: string(consent.Yes), ConsentAddress: "somewhere",
	}
	change(&f)
	return f
}

func (c *card) runGate() Gate {
	if !c.begun {
		switch c.campaign.State {
		case Draft:
			return waits("", time.Time{}, &Row{Table: "campaigns", Key: c.campaign.Name, At: &c.campaign.UpdatedAt, Actor: c.campaign.Actor, Detail: string(Draft)},
				"campaign %s is a draft: nothing leaves until it is started", c.campaign.Name)
		case Paused:
			return waits(outbox.WaitPaused, time.Time{}, &Row{Table: "campaigns", Key: c.campaign.Name, At: &c.campaign.UpdatedAt, Detail: c.campaign.Note}, "%s", says(outbox.WaitPaused))
		case Cancelled, Finished:
			return stops(outbox.ByPerson, &Row{Table: "campaigns", Key: c.campaign.Name, At: &c.campaign.UpdatedAt, Detail: c.campaign.Note},
				"campaign %s is %s: it will not run again", c.campaign.Name, c.campaign.State)
		case Scheduled, Running:
		}
		return passes("campaign %s is %s", c.campaign.Name, c.campaign.State)
	}
	row := &Row{Table: "runs", Key: c.run.UID, At: &c.run.StartedAt, Detail: strings.TrimSpace(string(c.run.State) + " " + c.run.Note)}
	state, r := outbox.Admit(c.calm(func(f *outbox.Facts) { f.Run = c.run.State }), c.at)
	switch {
	case state == outbox.Sending:
		return passes("the run is %s", c.run.State)
	case c.run.State == outbox.Finished:
		return Gate{Outcome: Aside, Row: row, Says: "the run is finished: all of it has ended"}
	case state == outbox.Queued:
		return waits(r, time.Time{}, row, "%s: %s", says(r), orElse(c.run.Note, "no reason was noted"))
	}
	return stops(r, row, "%s: %s", says(r), orElse(c.run.Note, "no reason was noted"))
}

func (c *card) channelGate() Gate {
	if c.hold == nil {
		return passes("channel %s may send", c.run.Channel)
	}
	since := c.hold.Since
	row := &Row{Table: "holds", Key: c.hold.Channel, At: &since, Detail: strings.TrimSpace(string(c.hold.Reason) + " " + c.hold.Detail)}
	_, r := outbox.Admit(c.calm(func(f *outbox.Facts) { f.Held = true }), c.at)
	return waits(r, c.hold.Until, row, "%s (%s)", says(r), c.hold.Reason)
}

func (c *card) heedGate() Gate {
	if c.run.Class == channels.Transactional {
		return aside("the topic is transactional: neither caps nor wishes hold it")
	}
	v := c.heeded
	var row *Row
	for _, w := range c.wishes {
		if (w.Driver == "" || w.Driver == c.run.Driver) && (w.Topic == "" || w.Topic == c.run.Topic) && v.Reason != outbox.Capped {
			row = &Row{Table: "preferences", Key: strings.TrimSpace(fmt.Sprintf("%d %s %s", c.person.ID, w.Driver, w.Topic))}
		}
	}
	switch v.State {
	case outbox.Queued:
		return waits(v.Reason, v.Until, row, "%s", says(v.Reason))
	case outbox.Suppressed:
		return stops(v.Reason, row, "%s", says(v.Reason))
	default:
	}
	if v.Shadow != "" {
		return passes("a cap would hold it, and caps only report here (shadow)")
	}
	return passes("no cap is reached, and the person asked for no pause")
}

func (c *card) windowGate() Gate {
	window, err := c.window()
	if err != nil {
		return aside("the window cannot be read: %s", sentence(err))
	}
	person := PersonOf(c.person)
	run := outbox.Run{Class: c.run.Class, Topic: c.run.Topic, Channel: c.run.Channel, Window: window}
	from := c.at
	if due := c.due(); due.After(from) {
		from = due
	}
	opens := c.s.hours().Opens(&run, &outbox.Delivery{ID: c.placed.Delivery, Person: &person}, from)
	switch {
	case !opens.At.IsZero():
		return waits(outbox.WaitQuiet, opens.At, nil, "%s", says(outbox.WaitQuiet))
	case opens.Shadow != "":
		return passes("quiet hours would hold it, and they only report here (shadow)")
	}
	return passes("neither the campaign's window nor quiet hours hold it")
}

func (c *card) window() (*outbox.Window, error) {
	if c.run.Terms.Window == nil {
		return nil, nil //nolint:nilnil // a run without a window has none
	}
	return c.run.Terms.Window.Parse()
}

func (c *card) paceGate() Gate {
	domain := domainOf(c.standings.Address)
	for _, s := range c.slow {
		if s.Channel == c.run.Channel && s.Domain == domain {
			g := passes("%s takes %.3g a minute just now, so it may take a while", domain, s.PerMinute())
			g.Row = &Row{Table: "slow_domains", Key: s.Channel + " " + s.Domain, Detail: string(s.Reason)}
			return g
		}
	}
	ch, _, err := c.s.channel(c.run.Channel)
	if err != nil {
		return stops("", nil, "%s", sentence(err))
	}
	if ch.Rate > 0 {
		return passes("channel %s sends %.4g messages a second at most", ch.Name, ch.Rate)
	}
	return passes("channel %s has no limit of its own", ch.Name)
}

func (c *card) trackingGate() Gate {
	mode := c.s.tracking.For(c.run.Terms.Tracking)
	switch {
	case c.placed.Delivery != 0 && c.placed.Tracked > 0:
		return Gate{Outcome: Aside, Row: c.entryRow(c.placed.Tracked), Says: "links lead to the person, who agreed to it"}
	case c.placed.Delivery != 0 && c.placed.Tracked == 0:
		return aside("links lead to the person on the ground of %s: %s", c.run.Terms.Basis, c.run.Terms.Reason)
	case c.placed.Delivery != 0 && !c.placed.State.Open():
		return aside("links name nobody")
	case mode != outbox.TrackPerson:
		return aside("tracking is %s for this message", mode)
	}
	var said *consent.Current
	for i := range c.sheet.Standing {
		if x := &c.sheet.Standing[i]; x.Driver == c.run.Driver && x.Topic == consent.TopicTracking {
			said = x
		}
	}
	asks := c.s.tracking.Asks()
	switch {
	case said != nil && said.Answer == consent.No:
		return Gate{Outcome: Aside, Row: c.entryRow(said.Entry), Says: "links will name nobody: the person said no to tracking"}
	case !asks:
		return aside("links will lead to the person on the ground of %s: %s", c.s.tracking.Basis, c.s.tracking.Reason)
	case said != nil && said.Answer == consent.Yes && said.Address == c.standings.Address:
		return Gate{Outcome: Aside, Row: c.entryRow(said.Entry), Says: "links will lead to the person, who agreed to it"}
	}
	return aside("links will name nobody: the person has not agreed to tracking")
}

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
