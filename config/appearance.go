package config

import (
	"net/url"
	"os"
	"regexp"
)

// Pages is how the public pages look, and what they lead to.
type Pages struct {
	Logo       string `json:"logo" default:"" help:"Picture above the public pages, a PNG, JPEG, GIF or SVG file of at most 512 KB; empty: the name in words"`
	LogoDark   string `json:"logo_dark" default:"" help:"The same for people who prefer dark pages; empty: the logo"`
	Colour     string `json:"colour" default:"#0b6b5d" help:"Colour of buttons and links, like #0b6b5d; made darker or lighter where it could not be read"`
	Background string `json:"background" default:"#f6f5f2" help:"Colour around the page; dark pages take a dark one of the same hue"`
	Imprint    string `json:"imprint" default:"" help:"Address of the page that says who you are; linked below every page"`
	Privacy    string `json:"privacy" default:"" help:"Address of your privacy policy; linked below every page"`
	Texts      string `json:"texts" default:"" help:"Folder of further languages and other words, one file each like fr.yaml; empty: texts in the data folder, if it is there"`
}

// PictureBytes is how large a logo may be.
const PictureBytes = 512 << 10

var colourPattern = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

func (l *loader) checkPages(p Pages) {
	for path, file := range map[string]string{"pages.logo": p.Logo, "pages.logo_dark": p.LogoDark} {
		l.picture(path, file)
	}
	for path, text := range map[string]string{"pages.colour": p.Colour, "pages.background": p.Background} {
		if !colourPattern.MatchString(text) {
			l.complain(path, "%q is not a colour; write it like #0b6b5d", text)
		}
	}
	for path, text := range map[string]string{"pages.imprint": p.Imprint, "pages.privacy": p.Privacy} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http") {
			l.complain(path, "%q is not the address of a page; write it like https://example.com/imprint", text)
		}
	}
	if p.Texts != "" {
		if at, err := os.Stat(p.Texts); err != nil {
			l.complain("pages.texts", "the folder %s %s", p.Texts, whyUnread(err))
		} else if !at.IsDir() {
			l.complain("pages.texts", "%s is a file; name the folder it lies in", p.Texts)
		}
	}
}

// picture wants a file of a bearable size; what is in it is looked at by the
// pages.
func (l *loader) picture(path, file string) {
	if file == "" {
		return
	}
	switch at, err := os.Stat(file); {
	case err != nil:
		l.complain(path, "the file %s %s", file, whyUnread(err))
	case !at.Mode().IsRegular():
		l.complain(path, "%s is not a file", file)
	case at.Size() > PictureBytes:
		l.complain(path, "%s has %s; a logo has at most %s", file, Size(at.Size()), Size(PictureBytes))
	}
}
