//go:build load

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// bigLetter writes a letter like the one performance.md measures: 14.5 KB with
// ten values, a loop of five items and 20 links besides those for leaving and
// viewing.
func (r *rig) bigLetter() string {
	r.t.Helper()
	var more strings.Builder
	values := attributes()
	for i := range 20 {
		fmt.Fprintf(&more, `<table role="presentation" width="100%%"><tr><td style="padding:12px 24px;font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:1.5;color:#1c2430">`+
			`<h2 style="margin:0 0 8px;font-size:20px">Chapter %d</h2><p style="margin:0 0 12px">Every month we choose a few things that go well with the season and with what you liked before. `+
			`This one is made by hand in a small workshop, and there is only so much of it.</p>`+
			`<a href="https://shop.example/chapter/%d?utm_source=letter" style="display:inline-block;padding:10px 20px;border-radius:6px;background:#0b5cab;color:#ffffff">Read chapter %d</a></td></tr></table>`+"\n", i+1, i+1, i+1)
		if i%2 == 0 {
			fmt.Fprintf(&more, "<p>{{ contact.%s }}</p>\n", values[i/2])
		}
	}
	more.WriteString(`{% for item in data.items %}<p>{{ item.name }}: {{ item.price }}</p>{% endfor %}` + "\n")
	r.file("letter/template.yaml", "name: letter\ndriver: email\nlocale: en\nsamples:\n"+
		"  - name: Anna\n    locale: en\n    contact: {first_name: Anna, last_name: Lind, company: Lind, city: Berlin, country: DE, points: 120, tier: gold, birthday: 1980-01-02, last_order: 2026-01-02, vip: true, email: anna@shop.example}\n"+
		"    data: {items: [{name: Tea, price: 12}]}\n")
	r.file("letter/en/subject.liquid", "{{ contact.first_name }}, you have {{ contact.points }} points")
	r.file("letter/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", more.String()))
	return r.path("letter")
}

// delivered reads from Postfix's own log how often each recipient got a
// message, and waits until at least n messages have left its queue.
func (p *postfix) delivered(n int) map[string]int {
	p.t.Helper()
	var counts map[string]int
	eventually(p.t, "Postfix delivers its queue", 10*time.Minute, time.Second, func() bool {
		seen, total := p.log()
		counts = seen
		return total >= n
	})
	return counts
}

var sentLine = regexp.MustCompile(`: to=<([^>]*)>,.* status=sent `)

func (p *postfix) log() (map[string]int, int) {
	p.t.Helper()
	f, err := os.Open(p.path("log/mail"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	counts, total := map[string]int{}, 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if m := sentLine.FindStringSubmatch(lines.Text()); m != nil {
			counts[m[1]]++
			total++
		}
	}
	if err := lines.Err(); err != nil {
		p.t.Fatal(err)
	}
	return counts, total
}
