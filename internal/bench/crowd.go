package bench

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"

	"rapport/contacts"
)

// crowd invents n people, each from the seed and a number alone, so that a
// million of them need no memory. All have agreed.
type crowd struct {
	seed   uint64
	n      int
	driver string
	kind   string // of address
}

// attributes are the ten of each person.
func attributes() map[string]contacts.Type {
	return map[string]contacts.Type{
		"first_name": contacts.Text, "last_name": contacts.Text, "company": contacts.Text, "city": contacts.Text, "country": contacts.Text,
		"points": contacts.Number, "tier": contacts.Text, "birthday": contacts.Date, "last_order": contacts.Date, "vip": contacts.Bool,
	}
}

// mostPoints is more than anybody has; people are spread evenly below it.
const mostPoints = 2000

// condition has three parts and is true for about a sixth of the people.
const condition = `contact.country == "DE" && contact.points >= 500 && contact.tier != "bronze"`

func (c crowd) write(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{ // Error tells below
		"external_id", c.kind, "locale", "time_zone", "first_name", "last_name", "company", "city", "country", "points", "tier",
		"birthday", "last_order", "vip", "consent:" + c.driver + ":" + topic, "consent_at", "consent_source",
	})
	for i := range c.n {
		_ = out.Write(c.row(i))
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the invented people: %w", err)
	}
	return nil
}

func (c crowd) row(i int) []string {
	r := rand.New(rand.NewPCG(c.seed, uint64(i))) //nolint:gosec // invented people need no secrecy
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	return []string{
		fmt.Sprintf("c-%07d", i), address(i), pick("de", "en", ""), pick("Europe/Berlin", "Europe/Athens", ""),
		pick("Anna", "Zoë", "Łukasz", "Søren", "José", "Jürgen", "Mary"), pick("Lind", "Größmann", "O'Brien", "Nguyễn", "van der Berg, jr."),
		"Company " + strconv.Itoa(r.IntN(500)), pick("Berlin", "København", "São Paulo", "Köln"), pick("DE", "DK", "AT"),
		strconv.Itoa(r.IntN(mostPoints)), pick("gold", "silver", "bronze"),
		fmt.Sprintf("%d-%02d-%02d", 1940+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28)), fmt.Sprintf("2026-%02d-%02d", 1+r.IntN(9), 1+r.IntN(28)),
		strconv.FormatBool(r.IntN(9) == 0), "granted", "2026-01-02T03:04:05Z", "bench",
	}
}

func address(i int) string { return fmt.Sprintf("person.%07d@post.example", i) }
