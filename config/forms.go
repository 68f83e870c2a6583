package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
)

// Requests is how long people have to confirm what they asked for.
type Requests struct {
	Expires channels.Duration `json:"expires" default:"720h" help:"How long a request (a sign-up, an address change) waits for the press of the button in its letter; then it and whoever was made for it are deleted"`
}

// Form is a page where people sign up; each box that they tick and confirm by
// mail is a consent with the exact words they saw.
type Form struct {
	Name        string            `json:"name" help:"Unique name; the page is at /f/NAME"`
	Channel     string            `json:"channel" help:"Channel that people sign up for; it carries the confirmation letter too"`
	Topics      []string          `json:"topics" help:"Topics, each a box of its own that is not ticked"`
	Title       map[string]string `json:"title" help:"Heading of the page, by language"`
	Intro       map[string]string `json:"intro" help:"What stands below the heading, by language"`
	Wording     map[string]string `json:"wording" help:"What people agree to, by language; kept as a numbered wording, to which every consent refers"`
	Tracking    map[string]string `json:"tracking" help:"Words beside a box of its own for being followed by opens and clicks (topic tracking), by language; empty: no such box"`
	Fields      []FormField       `json:"fields" help:"Attributes that the form may set and no others, like {name: first_name, label: {en: First name}}"`
	EmbedOn     []string          `json:"embed_on" help:"Origins of other sites that may show the form in a frame and sign people up with a script, like https://shop.example.com"`
	ProofOfWork bool              `json:"proof_of_work" help:"A browser has to compute for a moment before it may send, which makes signing up by the thousand expensive; without a script it has to wait instead"`
	Already     string            `json:"already" default:"nothing" need:"nothing|letter" help:"What somebody gets who signs up for what they have: nothing, or a letter that says so"`
}

// FormField is one attribute that a form takes.
type FormField struct {
	Name     string            `json:"name"`
	Label    map[string]string `json:"label,omitempty"`
	Required bool              `json:"required,omitempty"`
}

// FindForm returns the form of that name.
func (c Config) FindForm(name string) (Form, bool) {
	i := slices.IndexFunc(c.Forms, func(f Form) bool { return f.Name == name })
	if i < 0 {
		return Form{}, false
	}
	return c.Forms[i], true
}

// forms fills in what forms leave out.
func (l *loader) forms() {
	for i := range l.file.Forms {
		if l.file.Forms[i].Already == "" {
			l.file.Forms[i].Already = "nothing"
		}
	}
}

// mostFields is how many attributes a form may ask for.
const mostFields = 50

func (l *loader) checkForms(c Config) {
	if c.Requests.Expires <= 0 {
		l.complain("requests.expires", "must be longer than nothing, like 720h")
	}
	var channels []string
	for _, ch := range c.Channels {
		channels = append(channels, ch.Name)
	}
	names := map[string]string{}
	for i, f := range c.Forms {
		at := func(key string) string { return listPath("forms", i, key) }
		l.name(at("name"), f.Name, names)
		if !slices.Contains(channels, f.Channel) {
			l.complain(at("channel"), "%s", rapport.Unknown("channel", f.Channel, channels).Error())
		}
		l.checkFormTopics(at, f, c.Topics)
		if len(f.Wording) == 0 {
			l.complain(at("wording"), "is missing: write in each language what people agree to, like {en: \"Yes, write to me about …\"}")
		}
		for key, texts := range map[string]map[string]string{"title": f.Title, "intro": f.Intro, "wording": f.Wording, "tracking": f.Tracking} {
			l.checkLocales(at(key), texts)
		}
		for key, texts := range map[string]map[string]string{"title": f.Title, "intro": f.Intro, "tracking": f.Tracking} {
			l.checkSpoken(at(key), texts, f)
		}
		l.checkFields(at, f)
		for j, o := range f.EmbedOn {
			if !isOrigin(o) {
				l.complain(at(fmt.Sprintf("embed_on[%d]", j)), "%q is not the origin of a site; write it like https://shop.example.com", o)
			}
		}
		if f.Already != "nothing" && f.Already != "letter" {
			l.complain(at("already"), "%q is not one of nothing, letter", f.Already)
		}
	}
}

// checkSpoken asks for texts, where there are any, in each language of the
// declaration: nobody agrees to what they cannot read, and a page is in one
// language.
func (l *loader) checkSpoken(path string, texts map[string]string, f Form) {
	if len(texts) == 0 {
		return
	}
	for _, locale := range slices.Sorted(maps.Keys(f.Wording)) {
		base, _, _ := strings.Cut(locale, "-")
		if texts[locale] == "" && texts[base] == "" {
			l.complain(path, "has no words in %s, in which people read the wording; add %s: \"…\"", locale, locale)
		}
	}
}

func (l *loader) checkFormTopics(at func(string) string, f Form, topics []Topic) {
	if len(f.Topics) == 0 {
		l.complain(at("topics"), "names no topic; people must be able to agree to something")
	}
	for j, name := range f.Topics {
		path := at(fmt.Sprintf("topics[%d]", j))
		if slices.Contains(f.Topics[:j], name) {
			l.complain(path, "%s is there already", name)
		}
		if err := rapport.CheckName("", name); err != nil {
			l.complain(path, "%s", err.Error())
		}
		if t := slices.IndexFunc(topics, func(t Topic) bool { return t.Name == name }); t >= 0 && topics[t].Kind != "marketing" {
			l.complain(path, "%s is transactional, which nobody agrees to by a form", name)
		}
	}
}

func (l *loader) checkFields(at func(string) string, f Form) {
	if len(f.Fields) > mostFields {
		l.complain(at("fields"), "has more than %d fields", mostFields)
	}
	for j, field := range f.Fields {
		path := at(fmt.Sprintf("fields[%d]", j))
		if field.Name == "" {
			l.complain(path+".name", "is required")
		}
		if slices.ContainsFunc(f.Fields[:j], func(o FormField) bool { return o.Name == field.Name }) {
			l.complain(path+".name", "%s is there already", field.Name)
		}
		l.checkLocales(path+".label", field.Label)
	}
}

func (l *loader) checkLocales(path string, texts map[string]string) {
	for _, locale := range slices.Sorted(maps.Keys(texts)) {
		switch {
		case !localePattern.MatchString(locale):
			l.complain(path+"."+locale, "%q is not a language; write it like en or de-AT", locale)
		case texts[locale] == "":
			l.complain(path+"."+locale, "has no text")
		}
	}
}

// isOrigin wants scheme and host only (RFC 6454); http is for this machine.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}
