package templates

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
	"rapport/internal/strictyaml"
)

var localePattern = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$`)

const (
	manifest      = "template.yaml"
	sourceSuffix  = ".liquid"
	attachmentDir = "attachments"
	inlinePrefix  = "inline-" // attachments/inline-logo.png is shown where the HTML says cid:logo.png
)

// Source is a template as it stands in a folder.
type Source struct {
	Template Template // Name, Driver, Title and Topic are set
	Content  Content
}

// header is template.yaml.
type header struct {
	Name    string   `json:"name"`
	Driver  string   `json:"driver"`
	Title   string   `json:"title"`
	Topic   string   `json:"topic"`
	Locale  string   `json:"locale"`
	Samples []Sample `json:"samples"`
}

// Load reads a template folder: template.yaml and one folder a locale with a
// file PART.liquid for each part of the driver, and attachments/. A file that
// belongs to nothing is a mistake. The error lists all mistakes.
func Load(fsys fs.FS, registry *channels.Registry) (Source, error) {
	data, err := fs.ReadFile(fsys, manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return Source{}, rapport.Invalidf(manifest, "is missing; write it with name, driver and locale, for example \"name: welcome\"")
	}
	if err != nil {
		return Source{}, fmt.Errorf("read %s: %w", manifest, err)
	}
	var h header
	if err := strictyaml.Decode(manifest, data, &h); err != nil {
		return Source{}, err
	}
	driver, err := h.check(registry)
	if err != nil {
		return Source{}, err
	}
	l := &loader{fsys: fsys, driver: driver, content: Content{
		Locale: h.Locale, Samples: h.Samples,
		Sources: map[string]map[string]string{}, Files: map[string][]channels.File{},
	}}
	if err := l.top(); err != nil {
		return Source{}, err
	}
	if err := l.found.Err(""); err != nil {
		return Source{}, err
	}
	return Source{Template{Name: h.Name, Driver: h.Driver, Title: h.Title, Topic: h.Topic}, l.content}, nil
}

func (h *header) check(registry *channels.Registry) (channels.Driver, error) {
	if h.Locale == "" {
		h.Locale = "en"
	}
	if err := rapport.CheckName(manifest+": name", h.Name); err != nil {
		return channels.Driver{}, err
	}
	if !localePattern.MatchString(h.Locale) {
		return channels.Driver{}, rapport.Invalidf(manifest+": locale", "%q is not a locale; use a language like en or a language with a country like de-AT", h.Locale)
	}
	driver, err := registry.Driver(h.Driver)
	if e, ok := errors.AsType[*rapport.Error](err); ok {
		return driver, rapport.Invalidf(manifest+": driver", "%s", e.Msg)
	}
	return driver, err
}

// loader reads the folders of the locales.
type loader struct {
	fsys    fs.FS
	driver  channels.Driver
	content Content
	found   Problems
	size    int
}

func (l *loader) complain(file, format string, args ...any) {
	l.found = append(l.found, &Problem{Msg: file + ": " + fmt.Sprintf(format, args...)})
}

func (l *loader) top() error {
	entries, err := fs.ReadDir(l.fsys, ".")
	if err != nil {
		return fmt.Errorf("read template folder: %w", err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == manifest || strings.HasPrefix(name, "."):
		case strings.EqualFold(name, "readme.md"):
		case e.IsDir() && localePattern.MatchString(name):
			if err := l.locale(name); err != nil {
				return err
			}
		case e.IsDir():
			l.complain(name, "is not a locale; name the folder like en or de-AT")
		default:
			l.complain(name, "does not belong here; parts go into a folder of their locale, like %s/%s", l.content.Locale, name)
		}
	}
	if len(l.content.Sources) == 0 {
		l.complain(l.content.Locale, "there is no folder of a locale; make %s/ with %s", l.content.Locale, l.expected())
	}
	return nil
}

func (l *loader) expected() string {
	var files []string
	for _, p := range l.driver.Parts {
		name := p.Name + sourceSuffix
		if !p.Required {
			name += " (optional)"
		}
		files = append(files, name)
	}
	return strings.Join(files, ", ")
}

func (l *loader) locale(locale string) error {
	l.content.Sources[locale] = map[string]string{}
	entries, err := fs.ReadDir(l.fsys, locale)
	if err != nil {
		return fmt.Errorf("read template folder %s: %w", locale, err)
	}
	for _, e := range entries {
		file := path.Join(locale, e.Name())
		part, isSource := strings.CutSuffix(e.Name(), sourceSuffix)
		known := slices.ContainsFunc(l.driver.Parts, func(p channels.Part) bool { return p.Name == part })
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir() && e.Name() == attachmentDir:
			if err := l.attachments(locale); err != nil {
				return err
			}
		case !e.IsDir() && isSource && known:
			data, err := l.read(file, maxSource)
			if err != nil {
				return err
			}
			l.content.Sources[locale][part] = string(data)
		default:
			l.complain(file, "is not expected; %s takes %s", l.driver.Name, l.expected())
		}
	}
	return nil
}

func (l *loader) attachments(locale string) error {
	dir := path.Join(locale, attachmentDir)
	entries, err := fs.ReadDir(l.fsys, dir)
	if err != nil {
		return fmt.Errorf("read template folder %s: %w", dir, err)
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if e.IsDir() {
			l.complain(file, "is a folder; attachments are files")
			continue
		}
		data, err := l.read(file, maxFiles)
		if err != nil {
			return err
		}
		f := channels.File{Name: e.Name(), Type: mime.TypeByExtension(path.Ext(e.Name())), Data: data}
		if f.Type == "" {
			f.Type = http.DetectContentType(data)
		}
		if id, ok := strings.CutPrefix(e.Name(), inlinePrefix); ok {
			f.Name, f.ID = id, id
		}
		l.content.Files[locale] = append(l.content.Files[locale], f)
	}
	return nil
}

// read reads one file, unless it or all of them are too large.
func (l *loader) read(file string, most int) ([]byte, error) {
	info, err := fs.Stat(l.fsys, file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	l.size += int(min(info.Size(), maxFiles+1))
	if info.Size() > int64(most) || l.size > 2*maxFiles {
		l.complain(file, "is %d bytes long; at most %d", info.Size(), most)
		return nil, nil
	}
	data, err := fs.ReadFile(l.fsys, file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return data, nil
}

// Files writes a source as the files of its folder, by path: the opposite of
// Load.
func (s Source) Files() (map[string][]byte, error) {
	yaml, err := strictyaml.Encode(header{
		Name: s.Template.Name, Driver: s.Template.Driver, Title: s.Template.Title, Topic: s.Template.Topic,
		Locale: s.Content.Locale, Samples: s.Content.Samples,
	})
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", manifest, err)
	}
	out := map[string][]byte{manifest: yaml}
	for _, locale := range slices.Sorted(maps.Keys(s.Content.Sources)) {
		for part, text := range s.Content.Sources[locale] {
			out[path.Join(locale, part+sourceSuffix)] = []byte(text)
		}
	}
	for locale, files := range s.Content.Files {
		for _, f := range files {
			name := f.Name
			if f.ID != "" {
				name = inlinePrefix + f.ID
			}
			out[path.Join(locale, attachmentDir, name)] = f.Data
		}
	}
	return out, nil
}
