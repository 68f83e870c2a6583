package templates

import (
	"strings"
	"testing"
)

func TestLint(t *testing.T) {
	schema := Schema{Attributes: []string{"first_name", "points"}, Addresses: []string{"email"}, Strict: true, Marketing: true}
	const leave = `<a href="{{ links.unsubscribe }}">stop</a>`
	for _, tt := range []struct {
		name, html, want string
		warning          bool
	}{
		{"attribute", leave + "\n{{ contact.frist_name }}", "line 2: reads contact.frist_name, which no contact has; did you mean contact.first_name?", false},
		{"root", leave + "{{ first_name }}", "reads first_name, which does not exist; did you mean contact.first_name?", false},
		{"slip", leave + "{{ contcat.first_name }}", "reads contcat, which does not exist; did you mean contact?", false},
		{"nothing like it", leave + "{{ weather }}", "reads weather, which does not exist; there are contact.…, data.…, campaign.name, links.… and now", false},
		{"in a condition", leave + "{% if contact.tier == 'x' %}{% endif %}", "contact.tier", false},
		{"in a case", leave + "{% case contact.points %}{% when contact.tier %}{% endcase %}", "contact.tier", false},
		{"link", leave + "{{ links.unsubscibe }}", "links.unsubscibe", false},
		{"campaign", leave + "{{ campaign.title }}", "campaign.name", false},
		{"no way out", "<p>x</p>", "no way to unsubscribe", false},
		{"unused", leave + "{% assign x = 1 %}", "never uses it", true},
		{"alt", leave + `<img src="https://e.example/i.png">`, "alt text", true},
		{"language", "<html><body>" + leave + "</body></html>", "language", true},
		{"personal link", leave + `<a href="https://e.example/{{ contact.id }}">x</a>`, "not counted", true},
		{"safe contact", leave + "{{ contact.first_name | safe }}", "anything into their own fields", false},
		{"safe contact renamed", leave + "{% assign a = contact.first_name %}{{ a | safe }}", "anything into their own fields", false},
		{"safe data", leave + "{{ data.x | safe }}", "make that HTML yourself", true},
		{"large", leave + strings.Repeat("<p>0123456789</p>", 7000), "hide what comes after", true},
		{"empty link", leave + `<a href="">x</a>`, "empty href", true},
		{"hash", leave + `<a href="#">x</a>`, "goes nowhere", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problems := Lint(letterOf(tt.html), letterDriver(), schema)
			if len(problems) != 1 {
				t.Fatalf("found %d problems: %v", len(problems), problems)
			}
			wantContains(t, problems[0].Error(), tt.want)
			if problems[0].Warning != tt.warning {
				t.Errorf("warning is %v", problems[0].Warning)
			}
		})
	}
	clean := leave + `{% for i in data.items %}{{ i.n }}{{ forloop.index }}{% endfor %}{{ contact.email }}{{ contact.id }}{{ now | date }}{{ campaign.name }}{% assign a = contact.points %}{{ a }}`
	if problems := Lint(letterOf(clean), letterDriver(), schema); len(problems) != 0 {
		t.Errorf("found %v", problems)
	}
}

func TestLintFindsAllMistakesAtOnce(t *testing.T) {
	c := Content{Locale: "fr", Sources: map[string]map[string]string{
		"en": {"subject": "{{ a", "html": "<p>{{ contact.x | nofilter }}", "sms": "x"},
		"de": {"subject": "x"},
	}}
	problems := Lint(c, letterDriver(), Schema{})
	var all []string
	for _, p := range problems {
		all = append(all, p.Error())
	}
	wantContains(t, strings.Join(all, "\n"), "en/subject line 1", "en/html line 1: there is no filter", "en/sms: is no part of letter; its parts are subject, preheader, html, text", "de/html: is missing", `fallback locale "fr"`)
	if err := problems.Err("x"); err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("got %v", err)
	}
}
