package demo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"rapport/contacts"
)

// Person is one invented customer.
type Person struct {
	ExternalID  string
	FirstName   string
	LastName    string
	Email       string
	Chat        string // in the workspace
	Hook        string // key at the shop; empty: the external ID
	Locale      string
	Zone        string
	City        string
	Country     string
	Tier        string
	Points      int
	NextTierAt  int
	Birthday    string
	LastOrder   time.Time
	Orders      []Order
	Consents    [3]string // mail, chat, hook
	Tracked     string    // whether opens and clicks of their mails may be theirs
	ConsentAt   time.Time
	ConsentIP   string
	Suppression string // why nobody may write to the mailbox; empty: one may
}

// Order is one thing a customer bought. Amount is in cents.
type Order struct {
	Number string `json:"number"`
	Item   string `json:"item"`
	Amount int    `json:"amount"`
	On     string `json:"on"`
}

// Crowd invents people. The same seed and day make the same people, each of
// them on their own, so any number can be made without keeping them.
type Crowd struct {
	Seed uint64
	Day  time.Time

	cultures []culture
	goods    []good
	flowers  []string
	long     [][2]string
	lines    [orders][]int
}

// NewCrowd makes a crowd; dates lie before the day of now.
func NewCrowd(seed uint64, now time.Time) *Crowd {
	return &Crowd{
		Seed: seed, Day: now.UTC().Truncate(24 * time.Hour),
		cultures: cultures(), goods: goods(), flowers: flowers(), long: longNames(), lines: lines(seed),
	}
}

// Person invents the i-th customer, counted from 0.
func (c *Crowd) Person(i int) Person {
	r := rand.New(rand.NewPCG(c.Seed, uint64(i))) //nolint:gosec // invention needs no secrecy
	home := c.culture(r)
	p := Person{ExternalID: fmt.Sprintf("C%06d", i+1)}
	first, last := c.name(&p, home, r, c.place(i, orderName))
	where := home.places[r.IntN(len(home.places))]
	p.City, p.Country, p.Zone = where.city, where.country, where.zone
	if c.place(i, orderLocale) >= shareNoLocale {
		p.Locale = home.locales[r.IntN(len(home.locales))]
	}
	p.Birthday = time.Date(1944+r.IntN(62), 1, 1+r.IntN(365), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	c.loyalty(&p, r)
	p.Email, p.Suppression = c.mailbox(i, first, last)
	p.Chat = c.chat(i, first, last)
	p.Hook = c.hook(i, p.ExternalID)
	p.Consents = [3]string{consentOf(c.place(i, orderMailConsent)), consentOf(c.place(i, orderChatConsent)), consentOf(c.place(i, orderHookConsent))}
	if p.Email == "" {
		p.Consents[0] = "" // nobody can agree for an address they do not have
	}
	if p.Chat == "" {
		p.Consents[1] = ""
	}
	if p.Consents[0] == "granted" && c.place(i, orderTracking) >= shareUntracked {
		p.Tracked = "granted"
	}
	p.ConsentAt = c.Day.Add(-time.Duration(24+r.IntN(500*24)) * time.Hour)
	p.ConsentIP = fmt.Sprintf("198.51.100.%d", 1+r.IntN(254)) // RFC 5737
	if r.IntN(4) == 0 {
		p.ConsentIP = fmt.Sprintf("2001:db8::%x", 1+r.IntN(65000)) // RFC 3849
	}
	return p
}

func (c *Crowd) culture(r *rand.Rand) culture {
	at := r.IntN(100)
	for _, home := range c.cultures {
		if at < home.share {
			return home
		}
		at -= home.share
	}
	return c.cultures[0]
}

// name gives the person a name and returns its spelling for mailboxes.
func (c *Crowd) name(p *Person, home culture, r *rand.Rand, at int) (first, last string) {
	p.FirstName, first = spell(home.first[r.IntN(len(home.first))])
	p.LastName, last = spell(home.last[r.IntN(len(home.last))])
	switch pick(at, shareNoFirstName, shareEmoji, shareLongName) {
	case 0:
		p.FirstName, first = "", "hello"
	case 1:
		p.FirstName += " " + c.flowers[r.IntN(len(c.flowers))]
	case 2:
		long := c.long[r.IntN(len(c.long))]
		p.FirstName, p.LastName = long[0], long[1]
		_, first = spell(long[0][:8])
		_, last = spell(long[1][:8])
	}
	return first, last
}

// spell takes a name of the lists apart: as it is written, and in ASCII.
func spell(name string) (written, mailbox string) {
	written, mailbox, ok := strings.Cut(name, "|")
	if !ok {
		mailbox = written
	}
	var out strings.Builder
	for _, r := range strings.ToLower(mailbox) {
		out.WriteString(ascii(r))
	}
	return written, out.String()
}

// loyalty says what somebody bought and what it earned.
func (c *Crowd) loyalty(p *Person, r *rand.Rand) {
	p.Points = r.IntN(80) * r.IntN(80)
	switch {
	case p.Points >= 3000:
		p.Tier, p.NextTierAt = "platinum", 0
	case p.Points >= 1500:
		p.Tier, p.NextTierAt = "gold", 3000
	case p.Points >= 500:
		p.Tier, p.NextTierAt = "silver", 1500
	default:
		p.Tier, p.NextTierAt = "bronze", 500
	}
	day := c.Day.Add(-time.Duration(1+r.IntN(200*24*60)) * time.Minute)
	for n := range 1 + r.IntN(3) {
		g := c.goods[r.IntN(len(c.goods))]
		p.Orders = append(p.Orders, Order{
			Number: fmt.Sprintf("%d-%05d", day.Year(), r.IntN(100_000)), Item: g.name, Amount: g.cents * (1 + r.IntN(2)), On: day.Format(time.DateOnly),
		})
		if n == 0 {
			p.LastOrder = day
		}
		day = day.Add(-time.Duration(24+r.IntN(100*24)) * time.Hour)
	}
}

// mailbox makes the address of a person, and says why nobody may write there.
func (c *Crowd) mailbox(i int, first, last string) (address, suppressed string) {
	name := fmt.Sprintf("%s.%s%d", first, last, i+1)
	domain := [...]string{"example.com", "example.org", "example.net", "mail.example.com"}[i%4]
	switch pick(c.place(i, orderMail), shareNoEmail, shareSuppressed, shareGreylisted, shareUnknown, shareLostReply, shareCut, shareUTF8, shareIDN) {
	case 0:
		return "", ""
	case 1:
		suppressed = [...]string{"hard_bounce", "complaint", "manual"}[i%3]
	case 2:
		name += markLater
	case 3:
		name += markUnknown
	case 4:
		name += markLost
	case 5:
		name += markCut
	case 6:
		name = "grüße." + name
	case 7:
		domain = "münchen.example.com"
	}
	return name + "@" + domain, suppressed
}

// chat makes the address of a person in the workspace, empty for most.
func (c *Crowd) chat(i int, first, last string) string {
	at := c.place(i, orderChat)
	if at >= shareChat {
		return ""
	}
	mark := ""
	switch pick(at, shareChatUnknown, shareChatLost, shareChatSlow) {
	case 0:
		mark = markUnknown
	case 1:
		mark = markLost
	case 2:
		if i < thousand {
			mark = markSlow
		}
	}
	return fmt.Sprintf("%s.%s%d%s@partners.example.org", first, last, i+1, mark)
}

// hook makes the key of a person at the shop; empty is the external ID.
func (c *Crowd) hook(i int, external string) string {
	switch pick(c.place(i, orderHook), shareHookLater, shareHookInvalid, shareHookLost) {
	case 0:
		return external + markLater
	case 1:
		return external + markInvalid
	case 2:
		return external + markLost
	}
	return ""
}

// columns is the header of the contacts file, in the order of cells.
const columns = "external_id,first_name,last_name,email,slack,webhook,locale,time_zone,city,country,tier,points,next_tier_at,birthday,last_order,orders," +
	"consent:email:newsletter,consent:slack:events,consent:webhook:offers,consent:email:tracking,consent_at,consent_source,consent_ip"

// attributes are declared before the import, so that the letters can speak of
// what none of a few people has.
func attributes() map[string]contacts.Type {
	return map[string]contacts.Type{
		"first_name": contacts.Text, "last_name": contacts.Text, "city": contacts.Text, "country": contacts.Text, "tier": contacts.Text,
		"points": contacts.Number, "next_tier_at": contacts.Number, "birthday": contacts.Date, "last_order": contacts.Time, "orders": contacts.JSON,
	}
}

// source is where the consents come from, as the ledger keeps it.
const source = "sample data of the demo, sign-up form v3"

// cells is the person as a row of the file.
func (p *Person) cells() ([]string, error) {
	orders, err := json.Marshal(p.Orders)
	if err != nil {
		return nil, fmt.Errorf("write the orders of %s: %w", p.ExternalID, err)
	}
	next := ""
	if p.NextTierAt > 0 {
		next = strconv.Itoa(p.NextTierAt)
	}
	return []string{
		p.ExternalID, p.FirstName, p.LastName, p.Email, p.Chat, p.Hook, p.Locale, p.Zone, p.City, p.Country, p.Tier, strconv.Itoa(p.Points), next,
		p.Birthday, p.LastOrder.Format(time.RFC3339), string(orders),
		p.Consents[0], p.Consents[1], p.Consents[2], p.Tracked, p.ConsentAt.Format(time.RFC3339), source, p.ConsentIP,
	}, nil
}
