package e2e

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Words for consents in the crowd's file.
const (
	granted   = "granted"
	withdrawn = "withdrawn"
	pending   = "pending"
)

// crowd is a number of invented people. Each follows from the seed and a
// number alone, so that a million of them need no memory.
type crowd struct {
	seed   uint64
	size   int
	topics []string // each has a consent column
}

// person is one row of the file.
type person struct {
	ID, Email, Locale, Zone string
	Consent                 string // the same for every topic
	Attributes              []string
}

// attributes are the columns that are neither addresses nor consents.
func attributes() []string {
	return []string{"first_name", "last_name", "company", "city", "country", "points", "tier", "birthday", "last_order", "vip"}
}

var (
	firstNames = []string{
		"Anna", "Zoë", "Łukasz", "Søren", "Νίκος", "Юлия", "美咲", "محمد", "Đặng", "José", "Þóra", "O’Neill", "Ana María de los Ángeles", "Jürgen", "שרה", "Ιωάννα",
	}
	lastNames = []string{
		"Größmann", "O'Brien", "Čapek", "Ångström", "Παπαδόπουλος", "Иванова", "佐藤", "الهاشمي", "Nguyễn", "Muñoz Ñáñez", "Sigurðardóttir", "van der Berg, jr.", "\"Quoted\" Smith",
		"Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh", "Müller 🎉", "Łącki",
	}
	cities    = []string{"Berlin", "København", "Αθήνα", "Москва", "京都", "São Paulo", "Reykjavík", "Köln"}
	countries = []string{"DE", "DK", "GR", "AT"}
	tiers     = []string{"gold", "silver", "bronze", ""}
	zones     = []string{"Europe/Berlin", "Europe/Athens", "America/Sao_Paulo", "Asia/Tokyo", ""}
	locales   = []string{"de", "en", "de-AT", "en-GB", "da", ""}
	domains   = []string{"big.example", "big.example", "mail.example", "post.example", "bücher.example"}
)

// at makes person number i.
func (c crowd) at(i int) person {
	r := rand.New(rand.NewPCG(c.seed, uint64(i)))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	p := person{
		ID:     fmt.Sprintf("c-%07d", i),
		Email:  fmt.Sprintf("Person.%07d@%s", i, pick(domains)),
		Locale: pick(locales), Zone: pick(zones), Consent: granted,
		Attributes: []string{
			pick(firstNames), pick(lastNames), "Company " + strconv.Itoa(r.IntN(500)), pick(cities), pick(countries),
			strconv.Itoa(r.IntN(2000)), pick(tiers), fmt.Sprintf("%d-%02d-%02d", 1940+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28)),
			fmt.Sprintf("2026-%02d-%02d", 1+r.IntN(9), 1+r.IntN(28)), strconv.FormatBool(r.IntN(9) == 0),
		},
	}
	switch i % 20 {
	case 7:
		p.Consent = withdrawn
	case 11:
		p.Consent = pending
	case 13:
		p.Consent = ""
	}
	return p
}

// canonical is how a receiver sees an address of the crowd: in lower case, the
// domain in its ASCII form.
func canonical(i int, p person) string {
	domain := p.Email[len("Person.0000000@"):]
	if domain == "bücher.example" {
		domain = "xn--bcher-kva.example"
	}
	return fmt.Sprintf("person.%07d@%s", i, domain)
}

// willing lists the addresses of those who may be written to, as receivers see
// them.
func (c crowd) willing() []string {
	var out []string
	for i := range c.size {
		if p := c.at(i); p.Consent == granted {
			out = append(out, canonical(i, p))
		}
	}
	return out
}

// unwilling counts who has an address and no permission.
func (c crowd) unwilling() int { return c.size - len(c.willing()) }

// write makes the file, with the given rows behind the crowd, and returns its
// path.
func (c crowd) write(t testing.TB, dir string, more ...[]string) string {
	t.Helper()
	path := filepath.Join(dir, "people.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	buf := bufio.NewWriterSize(f, 1<<20)
	w := csv.NewWriter(buf)
	_ = w.Write(c.header()) // Error tells below
	for i := range c.size {
		_ = w.Write(c.row(c.at(i)))
	}
	for _, row := range more {
		_ = w.Write(row)
	}
	w.Flush()
	for _, err := range []error{w.Error(), buf.Flush(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func (c crowd) header() []string {
	head := append([]string{"external_id", "email", "locale", "time_zone"}, attributes()...)
	for _, topic := range c.topics {
		head = append(head, "consent:email:"+topic)
	}
	return append(head, "consent_at", "consent_source")
}

func (c crowd) row(p person) []string {
	row := append([]string{p.ID, p.Email, p.Locale, p.Zone}, p.Attributes...)
	for range c.topics {
		row = append(row, p.Consent)
	}
	return append(row, "2026-03-01T10:00:00Z", "sign-up form v3")
}
