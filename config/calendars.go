package config

// Calendars says which days off an installation knows beside those of the
// program, and whose count for whom.
type Calendars struct {
	Files   []string `json:"files" help:"Files or folders of own calendars (docs/calendars.md); one with a known name goes before the program's"`
	Country string   `json:"country" default:"country" help:"Attribute that holds a person's country, like DE or DE-BY, for calendar: recipient; where it is empty the region of their language (de-AT) is taken"`
	Default string   `json:"default" default:"" help:"Calendar of people whose country has none or is not known; empty: they have no days off"`
}

// checkQuiet checks what quiet hours and caps say about each other's parts of
// the configuration; what the hours mean is checked when the house is built.
func (l *loader) checkQuiet(c Config) {
	known := map[string]bool{}
	for _, ch := range c.Channels {
		known[ch.Name] = true
	}
	for name := range c.Quiet.Channels {
		if !known[name] {
			l.complain("quiet.channels."+name, "there is no channel %q", name)
		}
	}
	for i, r := range c.Caps.List {
		for _, name := range r.Channels {
			if name != "all" && !known[name] {
				l.complain(listPath("caps", i, "channels"), "there is no channel %q", name)
			}
		}
	}
}
