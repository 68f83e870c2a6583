package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rapport/conditions"
)

// binds collects the parameters of a statement that is built at run time.
type binds struct{ args []any }

// add binds one more value and returns its placeholder.
func (b *binds) add(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}

func (b *binds) text(v string) string    { return "CAST(" + b.add(v) + " AS TEXT)" }
func (b *binds) number(v float64) string { return "CAST(" + b.add(v) + " AS DOUBLE PRECISION)" }
func (b *binds) whole(v int64) string    { return "CAST(" + b.add(v) + " AS BIGINT)" }

// clock is the moment a condition is compiled for.
type clock struct {
	now  time.Time
	zone *time.Location // of whoever has no zone, or an unknown one
	// zones are those that contacts have (see zonesInUse); only needed when
	// the condition asks which day it is (conditions.Uses.Today).
	zones []string
}

const qZonesInUse query = `SELECT DISTINCT zone FROM contacts WHERE zone <> ''`

// zonesInUse lists the time zones of contacts, for clock. Neither engine knows
// the zones Go knows, so the day in each is worked out before: at any moment
// there are at most three. A contact whose zone appears after this reading
// counts as one without a zone until the condition is compiled again.
func zonesInUse(ctx context.Context, r runner) ([]string, error) {
	zones, err := collect(ctx, r, qZonesInUse, scalar[string])
	if err != nil {
		return nil, fmt.Errorf("list the time zones in use: %w", err)
	}
	return zones, nil
}

// compileCondition writes a condition as SQL over contacts under the alias c:
// true, false or NULL exactly where conditions says so. Every value is a bound
// parameter added to args; the only text taken from the condition are the names
// of attributes, so that expression indexes match, and those are quoted.
func compileCondition(d *dialect, n conditions.Node, at clock, args *binds) string {
	return (&compiler{d: d, words: wordsOf(d), at: at, args: args}).sql(n)
}

// attributeSQL is the value of an attribute of that type over an alias ("c.")
// or none. An index over it serves compiled conditions: its text is the same.
func attributeSQL(d *dialect, alias, name string, t conditions.Type) string {
	raw := alias + "attributes ->> '" + strings.ReplaceAll(name, "'", "''") + "'"
	switch t {
	case conditions.TypeNumber:
		return "CAST(" + raw + " AS DOUBLE PRECISION)"
	case conditions.TypeBool:
		return "CAST(" + raw + " AS BOOLEAN)"
	case conditions.TypeTime:
		return "CAST(" + raw + " AS BIGINT)"
	case conditions.TypeText, conditions.TypeDate, conditions.TypeJSON, conditions.TypeDuration:
	}
	return "CAST(" + raw + " AS TEXT)" + d.binary
}

// conditionWords is what the two engines say differently in conditions.
type conditionWords struct {
	position string // the function that finds one text in another
	day      string // the day number of a date since 1970, %s being the date
}

func wordsOf(d *dialect) conditionWords {
	if d == &sqliteDialect {
		return conditionWords{"instr", "(julianday(%s) - 2440587.5)"}
	}
	return conditionWords{"strpos", "(CAST(%s AS DATE) - DATE '1970-01-01')"}
}

type compiler struct {
	d     *dialect
	words conditionWords
	at    clock
	args  *binds
}

// sql writes one node; what it returns stands in brackets or is one call.
func (c *compiler) sql(n conditions.Node) string {
	if micros, ok := conditions.Moment(n, c.at.now); ok {
		return c.args.whole(micros)
	}
	switch n := n.(type) {
	case conditions.Text:
		return c.args.text(n.Value) + c.d.binary
	case conditions.Number:
		return c.args.number(n.Value)
	case conditions.Bool:
		return strings.ToUpper(strconv.FormatBool(n.Value))
	case conditions.Date:
		return c.args.text(n.Day.String()) + c.d.binary
	case conditions.Field:
		return c.field(n)
	case conditions.Limited:
		x := c.field(n.Of)
		return fmt.Sprintf("CASE WHEN abs(%s) <= %s AND (abs(%s) >= %s OR %s = 0) THEN %s END",
			x, c.args.number(conditions.LimitedMax), x, c.args.number(conditions.LimitedMin), x, x)
	case conditions.Has:
		return "(" + c.field(n.Of) + " IS NOT NULL)"
	case conditions.Not:
		return "(NOT " + c.sql(n.X) + ")"
	case conditions.And:
		return "(" + c.sql(n.L) + " AND " + c.sql(n.R) + ")"
	case conditions.Or:
		return "(" + c.sql(n.L) + " OR " + c.sql(n.R) + ")"
	case conditions.Compare:
		return "(" + c.sql(n.L) + " " + string(n.Op) + " " + c.sql(n.R) + ")"
	case conditions.CompareDay:
		return c.compareDay(n)
	case conditions.In:
		return "(" + c.sql(n.X) + " IN (" + c.list(n.List) + "))"
	case conditions.Calc:
		return c.calc(n)
	case conditions.Choose:
		return "CASE " + c.sql(n.If) + " WHEN TRUE THEN " + c.sql(n.Then) + " WHEN FALSE THEN " + c.sql(n.Else) + " END"
	case conditions.Test:
		return c.test(n)
	case conditions.Lower:
		return "lower(" + c.sql(n.X) + ")"
	case conditions.Size:
		return "CAST(length(" + c.sql(n.X) + ") AS DOUBLE PRECISION)"
	case conditions.Consent:
		return c.consent(n.Driver, n.Topic, 0)
	case conditions.ConsentEnds:
		return c.consent(n.Driver, n.Topic, n.Within)
	case conditions.Past:
		return c.past(n)
	case conditions.Happened:
		return c.happened(n)
	case conditions.Anniversary:
		return c.anniversary(n)
	case conditions.DaysUntil:
		return c.daysUntil(n)
	}
	panic(fmt.Sprintf("store: no SQL for a condition's %T", n)) // the set is closed; a test writes each
}

func (c *compiler) field(f conditions.Field) string {
	switch f.Source {
	case conditions.Attribute:
		return attributeSQL(c.d, "c.", f.Name, f.Type)
	case conditions.Address:
		return "(SELECT a.value FROM addresses a WHERE a.contact_id = c.id AND a.kind = " + c.args.text(f.Name) + " AND a.position = 0)" + c.d.binary
	case conditions.Reserved:
	}
	switch f.Name {
	case conditions.FieldCreatedAt:
		return "c.created_at"
	case conditions.FieldExternalID:
		return "NULLIF(c.external_id, '')" + c.d.binary
	case conditions.FieldLocale:
		return "NULLIF(c.locale, '')" + c.d.binary
	case conditions.FieldTimeZone:
		return "NULLIF(c.zone, '')" + c.d.binary
	default:
		return "c.uid" + c.d.binary
	}
}

func (c *compiler) list(nodes []conditions.Node) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = c.sql(n)
	}
	return strings.Join(parts, ", ")
}

func (c *compiler) calc(n conditions.Calc) string {
	l, r := c.sql(n.L), c.sql(n.R)
	if n.Op == conditions.Divide {
		r = "NULLIF(" + r + ", 0)"
	}
	return "(" + l + " " + string(n.Op) + " " + r + ")"
}

// compareDay compares the date with the day of the moment: dates are text in
// the order of the calendar, so no engine has to know about days here.
func (c *compiler) compareDay(n conditions.CompareDay) string {
	micros, _ := conditions.Moment(n.At, c.at.now)
	day := conditions.DayOf(time.UnixMicro(micros), time.UTC)
	op := n.Op
	if day.Midnight() != micros { // the moment is after the midnight that begins its day
		switch op {
		case conditions.Less:
			op = conditions.LessEqual
		case conditions.GreaterEqual:
			op = conditions.Greater
		case conditions.Equal, conditions.NotEqual:
			return "(" + c.sql(n.Day) + " " + string(op) + " '')" // no date is equal to it
		default:
		}
	}
	return "(" + c.sql(n.Day) + " " + string(op) + " " + c.sql(conditions.Date{Day: day}) + ")"
}

func (c *compiler) test(n conditions.Test) string {
	x, part := c.sql(n.X), c.sql(n.Part)
	switch n.Op {
	case conditions.StartsWith:
		return fmt.Sprintf("(substr(%s, 1, length(%s)) = %s)", x, part, part)
	case conditions.EndsWith:
		// A part longer than x begins before it or counts from its end, and
		// what that yields is shorter than the part.
		return fmt.Sprintf("(substr(%s, length(%s) - length(%s) + 1) = %s)", x, x, part, part)
	default:
		return fmt.Sprintf("(%s(%s, %s) > 0)", c.words.position, x, part)
	}
}

// consent asks for a yes that has not come to its end, and where within is not
// zero, for one that comes to it so soon.
func (c *compiler) consent(driver, topic string, within int64) string {
	sql := "EXISTS (SELECT 1 FROM consents s JOIN topics t ON t.id = s.topic_id WHERE s.contact_id = c.id AND s.driver = " +
		c.args.text(driver) + " AND t.name = " + c.args.text(topic) + " AND s.state = 'granted' AND "
	now := c.at.now.UnixMicro()
	if within == 0 {
		return sql + "(s.expires_at = 0 OR s.expires_at > " + c.args.whole(now) + "))"
	}
	return sql + "s.expires_at > " + c.args.whole(now) + " AND s.expires_at <= " + c.args.whole(now+within) + ")"
}

// past asks about responses and deliveries; the last change of a delivery that
// is sent was becoming so.
func (c *compiler) past(n conditions.Past) string {
	from, at, where := "deliveries p", "p.updated_at", "p.state = 'sent'"
	if n.Kind != conditions.Received {
		from, at = "responses p", "p.at"
		// No profile is made of whoever objects to direct marketing.
		where = "p.kind = " + c.args.text(string(n.Kind)) + " AND p.machine = 0 AND c.objected_at IS NULL"
	}
	sql := "EXISTS (SELECT 1 FROM " + from + " JOIN runs u ON u.id = p.run_id JOIN campaigns g ON g.id = u.campaign_id" +
		" WHERE p.contact_id = c.id AND " + where + " AND g.name = " + c.args.text(n.Campaign)
	if n.Within > 0 {
		sql += " AND " + at + " >= " + c.args.whole(c.at.now.UnixMicro()-n.Within)
	}
	return sql + ")"
}

// happened counts events up to now; the index by person, name and time is all
// that is read.
func (c *compiler) happened(n conditions.Happened) string {
	now := c.at.now.UnixMicro()
	sql := "CAST((SELECT COUNT(*) FROM events v WHERE v.contact_id = c.id AND v.name_id = (SELECT n.id FROM event_names n WHERE n.name = " +
		c.args.text(n.Event) + ") AND v.at <= " + c.args.whole(now)
	if n.Within > 0 {
		sql += " AND v.at >= " + c.args.whole(now-n.Within)
	}
	return sql + ") AS DOUBLE PRECISION)"
}
