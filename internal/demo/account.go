package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"rapport/campaigns"
	"rapport/internal/fake/journal"
	"rapport/outbox"
)

// Result is what a demo shows in the end.
type Result struct {
	Campaigns []outbox.Account `json:"campaigns"`
	Tracking  []Tracked        `json:"tracking"` // the same campaigns
	Pages     Pages            `json:"pages"`

	receipts []receipt
}

// Tracked is whom the letters of a campaign lead to.
type Tracked struct {
	Campaign string `json:"campaign"`
	campaigns.Tracked
}

// Pages are the addresses to look at.
type Pages struct {
	UI      string `json:"ui"`      // public pages and status
	Mail    string `json:"mail"`    // what the mail catcher took
	Slack   string `json:"slack"`   // what was posted to the workspace
	Webhook string `json:"webhook"` // what the receiver took
	Report  string `json:"report"`  // campaigns and accounts, read-only
}

// receipt is what a receiver wrote down by itself.
type receipt struct {
	channel string
	taken   int // messages it has, whether or not the sender was told so
	untold  int // of them those whose answer it kept to itself
	dropped int // messages it threw away without an answer
	twice   int // messages it took more than once
}

func receiptOf(channel string, j *journal.Journal) receipt {
	return receipt{
		channel: channel, taken: j.Taken(), untold: j.Count(journal.ReplyLost), dropped: j.Count(journal.Dropped), twice: len(j.Duplicates()),
	}
}

// faults compares an account with what the receiver wrote down. Whatever was
// offered is sent or in doubt, and is at the receiver or was dropped by it.
func faults(a outbox.Account, r receipt) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%s (%s): ", a.Campaign, r.channel)+fmt.Sprintf(format, args...))
	}
	if !a.Balanced() {
		say("the states do not add up to %d planned", a.Planned)
	}
	if n := a.Open(); n != 0 {
		say("%d deliveries have not ended", n)
	}
	sent, uncertain := a.States[outbox.Sent], a.States[outbox.Uncertain]
	if sent+uncertain != int64(r.taken+r.dropped) {
		say("%d sent and %d uncertain, but the receiver took %d and dropped %d", sent, uncertain, r.taken, r.dropped)
	}
	if r.twice > 0 {
		say("the receiver took %d messages more than once", r.twice)
	}
	return out
}

// Faults lists what does not add up; none is what everybody hopes for.
func (r Result) Faults() []string {
	var out []string
	for i, a := range r.Campaigns {
		out = append(out, faults(a, r.receipts[i])...)
	}
	return out
}

// Print writes the accounts as tables, why somebody got nothing, what the
// receivers say, and where to look.
func (r Result) Print(w io.Writer) error {
	var out strings.Builder
	r.printStates(&out)
	r.printReasons(&out)
	r.printTracking(&out)
	r.printReceipts(&out)
	out.WriteString("\n")
	pages := grid{{"Mails", r.Pages.Mail}, {"Slack", r.Pages.Slack}, {"Webhooks", r.Pages.Webhook}, {"Report", r.Pages.Report}, {"Public pages", r.Pages.UI}}
	pages.write(&out, 2)
	_, err := io.WriteString(w, out.String())
	return err
}

// ended are the states an account shows, in the order of the walk.
func ended() []outbox.State {
	return []outbox.State{outbox.Sent, outbox.Failed, outbox.Uncertain, outbox.Suppressed, outbox.Cancelled, outbox.Expired}
}

func (r Result) printStates(out *strings.Builder) {
	head := []string{"Campaign", "Channel", "Planned"}
	for _, s := range ended() {
		head = append(head, capital(string(s)))
	}
	table := grid{append(head, "Open", "Not planned")}
	total := make([]int64, len(table[0])-2)
	for _, a := range r.Campaigns {
		numbers := []int64{a.Planned}
		for _, s := range ended() {
			numbers = append(numbers, a.States[s])
		}
		numbers = append(numbers, a.Open(), sum(a.NotPlanned))
		row := []string{a.Campaign, a.Channel}
		for i, n := range numbers {
			total[i] += n
			row = append(row, digits(n))
		}
		table = append(table, row)
	}
	row := []string{"Together", ""}
	for _, n := range total {
		row = append(row, digits(n))
	}
	append(table, row).write(out, 2)
}

func (r Result) printReasons(out *strings.Builder) {
	table := grid{{"Channel", "Outcome", "Reason", "People"}}
	for _, a := range r.Campaigns {
		for _, s := range ended() {
			table = append(table, reasonRows(a.Channel, string(s), a.Reasons[s])...)
		}
		table = append(table, reasonRows(a.Channel, "not planned", a.NotPlanned)...)
	}
	if len(table) > 1 {
		out.WriteString("\n")
		table.write(out, 3)
	}
}

// reasonRows lists reasons, the most frequent first.
func reasonRows(channel, outcome string, reasons map[outbox.Reason]int64) grid {
	names := slices.SortedFunc(maps.Keys(reasons), func(a, b outbox.Reason) int {
		if d := reasons[b] - reasons[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(string(a), string(b))
	})
	var rows grid
	for _, name := range names {
		if reasons[name] > 0 && name != "" {
			rows = append(rows, []string{channel, outcome, strings.ReplaceAll(string(name), "_", " "), digits(reasons[name])})
		}
	}
	return rows
}

// printTracking says whose opens and clicks will be theirs: those of people who
// agreed to it.
func (r Result) printTracking(out *strings.Builder) {
	table := grid{{"Campaign", "Links that lead to the person", "Links that name nobody"}}
	for _, t := range r.Tracking {
		table = append(table, []string{t.Campaign, digits(t.ByPerson), digits(t.Sent - t.ByPerson)})
	}
	out.WriteString("\n")
	table.write(out, 1)
}

func (r Result) printReceipts(out *strings.Builder) {
	out.WriteString("\n")
	if bad := r.Faults(); len(bad) > 0 {
		for _, line := range bad {
			out.WriteString("DOES NOT ADD UP: " + line + "\n")
		}
		return
	}
	out.WriteString("The accounts add up, and the receivers' own journals agree:\n")
	for _, c := range r.receipts {
		fmt.Fprintf(out, "  %s has %s messages", c.channel, digits(int64(c.taken)))
		if c.untold > 0 {
			fmt.Fprintf(out, ", of %d it never told", c.untold)
		}
		if c.dropped > 0 {
			fmt.Fprintf(out, ", and dropped %d without a word", c.dropped)
		}
		out.WriteString("\n")
	}
}

func sum(m map[outbox.Reason]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// digits writes a number in groups of three.
func digits(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// grid is a table of text; columns from the given one on are numbers.
type grid [][]string

func (g grid) write(out *strings.Builder, numbersFrom int) {
	var widths []int
	for _, row := range g {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i >= numbersFrom {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
