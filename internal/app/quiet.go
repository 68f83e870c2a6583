package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rapport"
	"rapport/calendars"
	"rapport/channels"
	"rapport/config"
	"rapport/internal/strictyaml"
	"rapport/outbox"
	"rapport/store"
)

const (
	// quietSpread is within which time what waited for the end of quiet hours
	// begins where the configuration says nothing, windowSpread the same for
	// send windows.
	quietSpread  = 10 * time.Minute
	windowSpread = 2 * time.Minute
	// bookFor is how long calendars are used before they are read again.
	bookFor = 30 * time.Second
)

// rings is when people are left alone through channels that ring, if nobody
// said otherwise: a call or a short message to a telephone only from 8 to 21 of
// the person's own clock (47 CFR 64.1200(c)(1)).
func rings() *outbox.Quiet {
	q, err := outbox.QuietSpec{From: "21:00", To: "08:00"}.Parse()
	if err != nil {
		panic(err) // a constant
	}
	return q
}

// hours makes quiet hours of the configuration ready; nil for none.
func hours(field string, h config.Hours) (*outbox.Quiet, error) {
	if h.Off || h.IsZero() {
		return nil, nil //nolint:nilnil // no hours, and nothing is wrong
	}
	q, err := outbox.QuietSpec{From: h.From, To: h.To, Days: h.Days, AllDay: h.AllDay, Zone: h.Zone, Calendar: h.Calendar}.Parse()
	if err != nil {
		return nil, rapport.Invalidf(field, "%v", err)
	}
	return q, nil
}

// quieten makes the quiet hours and caps of the configuration ready, and the
// gate keep to them.
func (h *House) quieten() error {
	c := h.Config.Quiet
	calm := &outbox.Calm{
		Shadow: c.Shadow, Spread: c.Spread.Or(quietSpread), WindowSpread: windowSpread, Home: h.home,
		Country: h.Config.Calendars.Country, Elsewhere: h.Config.Calendars.Default, Book: h.Book, Zone: h.zoneNamed,
		Channels: map[string]*outbox.Quiet{}, Classes: map[channels.Class]*outbox.Quiet{}, Topics: map[string]bool{},
	}
	var err error
	if calm.General, err = hours("quiet", c.Hours); err != nil {
		return err
	}
	for class, of := range map[channels.Class]*config.Hours{channels.Marketing: c.Marketing, channels.Transactional: c.Transactional} {
		if of == nil {
			continue
		}
		if calm.Classes[class], err = hours("quiet."+class.String(), *of); err != nil {
			return err
		}
	}
	for _, ch := range h.Config.Channels {
		of, said := c.Channels[ch.Name]
		if said {
			if calm.Channels[ch.Name], err = hours("quiet.channels."+ch.Name, of); err != nil {
				return err
			}
			continue
		}
		if d, err := h.Drivers.Driver(ch.Driver); err == nil && d.Address.Rings {
			calm.Channels[ch.Name] = rings()
		}
	}
	for _, t := range h.Config.Topics {
		if t.Quiet == "on" || t.Quiet == "off" {
			calm.Topics[t.Name] = t.Quiet == "on"
		}
	}
	h.calm = calm
	if h.limits, err = h.caps(); err == nil {
		h.Store.Limit(h.limits)
	}
	return err
}

// caps is the caps of the configuration; nil for none.
func (h *House) caps() (*outbox.Limits, error) {
	c := h.Config.Caps
	if len(c.List) == 0 {
		return nil, nil //nolint:nilnil // no caps, and nothing is wrong
	}
	out := &outbox.Limits{Shadow: c.Shadow, Home: h.home, Zones: func(zone, locale string) *time.Location {
		return h.calm.ZoneOf(&outbox.Person{Zone: zone, Locale: locale})
	}}
	for i, r := range c.List {
		in, period, err := r.Span()
		if err != nil {
			return nil, rapport.Invalidf(fmt.Sprintf("caps[%d].in", i), "%v", err)
		}
		one := outbox.Cap{Most: r.Most, In: in, Period: outbox.Period(period), Drop: r.Over == "drop"}
		switch {
		case slices.Contains(r.Topics, "all"):
			one.All = true
		case len(r.Topics) > 0 && !slices.Contains(r.Topics, "marketing"):
			one.Topics = r.Topics
		}
		if !slices.Contains(r.Channels, "all") {
			one.Channels = r.Channels
		}
		if r.Zone != "" && r.Zone != calendars.Recipient {
			if one.Zone, err = time.LoadLocation(r.Zone); err != nil {
				return nil, rapport.Invalidf(fmt.Sprintf("caps[%d].zone", i), "%q is not a time zone", r.Zone)
			}
		}
		out.Caps = append(out.Caps, one)
	}
	return out, nil
}

// zoneNamed remembers the zones it was asked for; nil for a name that is none.
func (h *House) zoneNamed(name string) *time.Location {
	if z, ok := h.named.Load(name); ok {
		return z.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		z = nil
	}
	h.named.Store(name, z)
	return z
}

// shelf holds the calendars of a house: those of files are read once, those
// that were put in again and again.
type shelf struct {
	mu    sync.Mutex
	files []*calendars.Calendar
	book  atomic.Pointer[calendars.Book]
	read  atomic.Int64 // when, in Unix nanoseconds
}

// Book is the calendars as they are now, at most half a minute old. While the
// database is away it is the last one.
func (h *House) Book() *calendars.Book {
	book, now := h.shelf.book.Load(), h.now().UnixNano()
	if age := now - h.shelf.read.Load(); book != nil && age < int64(bookFor) && age > -int64(bookFor) {
		return book
	}
	switch {
	case book == nil:
		h.shelf.mu.Lock()
		book = h.shelf.book.Load()
	case !h.shelf.mu.TryLock():
		return book
	}
	defer h.shelf.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fresh, err := h.readBook(ctx)
	h.shelf.read.Store(now)
	if err != nil {
		h.Log.WarnContext(ctx, "calendars could not be read", slog.Any("error", err))
		if book != nil {
			return book
		}
		if fresh, err = calendars.NewBook(); err != nil {
			panic(err) // what comes with the program; a test reads it
		}
	}
	h.shelf.book.Store(fresh)
	return fresh
}

func (h *House) readBook(ctx context.Context) (*calendars.Book, error) {
	own := slices.Clone(h.shelf.files)
	kept, err := h.Store.Calendars(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		list, err := calendars.Parse(k.Name, []byte(k.Source))
		if err != nil {
			return nil, err
		}
		own = append(own, list...)
	}
	return calendars.NewBook(own...)
}

// readCalendars reads the calendar files of the configuration.
func (h *House) readCalendars() error {
	for _, path := range h.Config.Calendars.Files {
		list, err := CalendarFiles(path)
		if err != nil {
			return err
		}
		h.shelf.files = append(h.shelf.files, list...)
	}
	_, err := calendars.NewBook(h.shelf.files...)
	return err
}

// CalendarFiles reads a file of calendars, or every YAML file of a folder.
func CalendarFiles(path string) (list []*calendars.Calendar, err error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.y*ml")); err == nil && len(files) == 0 {
			return nil, rapport.Invalidf("calendars", "there is no YAML file in %s", path)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rapport.Invalidf("calendars", "there is no file or folder %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("look for calendars at %s: %w", path, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, rapport.Invalidf("calendars", "%s cannot be read", f)
		}
		some, err := calendars.Parse(f, text)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// CheckCalendars says what is wrong with calendars of a file, which may include
// those that the configuration names and those that were put in.
func (h *House) CheckCalendars(ctx context.Context, list []*calendars.Calendar) error {
	book, err := h.readBook(ctx)
	if err != nil {
		return err
	}
	all := slices.Clone(list)
	for _, name := range book.Names() { // what the new ones may include
		if c, err := book.Look(name); err == nil && !book.BuiltIn(name) && !slices.ContainsFunc(list, func(n *calendars.Calendar) bool { return n.Name == name }) {
			all = append(all, c)
		}
	}
	_, err = calendars.NewBook(all...)
	return err
}

// PutCalendars keeps calendars of a file in the database, for all processes.
// They are in force within half a minute.
func (h *House) PutCalendars(ctx context.Context, list []*calendars.Calendar) error {
	if err := h.CheckCalendars(ctx, list); err != nil {
		return err
	}
	kept := make([]store.KeptCalendar, 0, len(list))
	for _, c := range list {
		text, err := strictyaml.Encode(c.Source)
		if err != nil {
			return err
		}
		kept = append(kept, store.KeptCalendar{Name: c.Name, Source: string(text)})
	}
	if err := h.Store.PutCalendars(ctx, kept); err != nil {
		return err
	}
	h.shelf.read.Store(0)
	return nil
}

// RemoveCalendar forgets a calendar that was put in.
func (h *House) RemoveCalendar(ctx context.Context, name string) error {
	if used := h.calendarUses(); slices.Contains(used, name) {
		return rapport.Conflictf("calendar %s is used by the configuration; take it out there first", name)
	}
	ok, err := h.Store.DropCalendar(ctx, name)
	if err == nil && !ok {
		return rapport.NotFoundf("there is no calendar %q that was put in", name)
	}
	h.shelf.read.Store(0)
	return err
}

// calendarUses lists the calendars that quiet hours of the configuration name.
func (h *House) calendarUses() (list []string) {
	all := []*outbox.Quiet{h.calm.General}
	for _, q := range h.calm.Classes {
		all = append(all, q)
	}
	for _, q := range h.calm.Channels {
		all = append(all, q)
	}
	for _, q := range all {
		if q != nil && q.Calendar != "" && q.Calendar != calendars.Recipient {
			list = append(list, q.Calendar)
		}
	}
	if d := h.Config.Calendars.Default; d != "" {
		list = append(list, d)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// checkCalendars refuses to send while the configuration names a calendar that
// nobody knows: its days off would not be kept.
func (h *House) checkCalendars() error {
	book := h.Book()
	for _, name := range h.calendarUses() {
		if _, err := book.Calendar(name); err != nil {
			return rapport.Invalidf("quiet.calendar", "%s", strings.TrimSuffix(err.Error(), "."))
		}
	}
	return nil
}
