package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/config"
	"rapport/contacts"
	"rapport/internal/app"
	"rapport/store"
)

// Options says what to measure.
type Options struct {
	Contacts    int    // invented people
	Connections int    // of each sending process to the mail server
	Workers     int    // sending processes; more than one needs PostgreSQL and Redis
	Database    string // empty: SQLite in a folder of its own; else an empty PostgreSQL database
	Redis       string // with PostgreSQL
	Data        string // folder; empty: one that is removed at the end
	Binary      string // the program that sends and receives, as its own processes
	Drivers     *channels.Registry
	Version     string
	Now         func() time.Time
	Progress    func(step string)
}

// Bench is one measuring of one installation.
type Bench struct {
	o       Options
	dir     string
	people  crowd
	receive *sink
	conf    config.Config
	file    string // of the configuration
	house   *app.House
	stops   []func() error
}

// seed makes the same people on every machine.
const seed = 20_260_101

// names of the installation.
const (
	topic      = "offers"
	service    = "service"
	channel    = "letters"
	farChannel = "far-letters"
)

// farConnections is how many connections go the long way.
const farConnections = 50

// Run measures everything once, in the order of an installation's life. An
// account that does not agree with what the receiver counted is an error.
func Run(ctx context.Context, o Options) (r Report, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	ctx = rapport.WithActor(ctx, rapport.Actor{Name: "bench"})
	b := &Bench{o: o, people: crowd{seed: seed, n: o.Contacts}}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx); err != nil {
		return r, err
	}
	r = Report{
		Machine: Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), Version: o.Version},
		Engine:  b.house.Store.Engine(), Contacts: o.Contacts, Connections: o.Connections, Workers: o.Workers,
	}
	for _, s := range b.stages() {
		o.Progress(s.name)
		rows, err := s.measure(ctx)
		if err != nil {
			return r, fmt.Errorf("%s: %w", s.name, err)
		}
		r.Rows = append(r.Rows, rows...)
	}
	return r, nil
}

type stage struct {
	name    string
	measure func(context.Context) ([]Row, error)
}

func (b *Bench) stages() []stage {
	return []stage{
		{"importing people", b.importing},
		{"counting a segment", b.counting},
		{"one message to one person", b.idle},
		{"sending a campaign", b.sending},
		{"sending over 20 ms round trips", b.faraway},
		{"planning a campaign", b.planning},
		{"starting with open rows", b.starting},
		{"one message to one person beside a campaign", b.busy},
	}
}

func (o *Options) check() error {
	switch {
	case o.Contacts < 100:
		return rapport.Invalidf("--contacts", "%d is too few to measure anything; write 100 or more", o.Contacts)
	case o.Connections < 1:
		return rapport.Invalidf("--connections", "%d is not a number of connections; write 1 or more", o.Connections)
	case o.Workers < 1:
		return rapport.Invalidf("--workers", "%d is not a number of processes; write 1 or more", o.Workers)
	case o.Workers > 1 && o.Database == "":
		return rapport.Invalidf("--workers", "several processes need PostgreSQL and Redis; name them with --database and --redis")
	case (o.Database == "") != (o.Redis == ""):
		return rapport.Invalidf("--redis", "PostgreSQL and Redis belong together; name both or neither")
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return nil
}

// open starts the receiver and builds an installation that sends to it.
func (b *Bench) open(ctx context.Context) error {
	b.dir = b.o.Data
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "rapport-bench-")
		if err != nil {
			return rapport.Unavailablef(err, "no temporary folder can be made: %v", err)
		}
		b.dir = dir
		b.stops = append(b.stops, func() error { return os.RemoveAll(dir) })
	}
	var err error
	if b.receive, err = startSink(ctx, b.o.Binary); err != nil {
		return err
	}
	b.stops = append(b.stops, b.receive.stop)
	if err := b.configure(); err != nil {
		return err
	}
	if b.o.Database != "" {
		if _, err := store.Migrate(ctx, app.StoreOptions(b.conf, b.o.Now, slog.New(slog.DiscardHandler))); err != nil {
			return err
		}
	}
	if b.house, err = app.Open(ctx, app.Options{Config: b.conf, Drivers: b.o.Drivers, Now: b.o.Now, Version: b.o.Version}); err != nil {
		return err
	}
	b.stops = append(b.stops, b.house.Close)
	known, err := b.house.Contacts.List(ctx, contacts.Page{Limit: 1})
	if err != nil {
		return fmt.Errorf("look whether the database is empty: %w", err)
	}
	if len(known) > 0 {
		return rapport.Conflictf("the database holds people already; measure in an empty one")
	}
	letter, err := loadLetter(b.o.Drivers)
	if err != nil {
		return err
	}
	driver, err := b.o.Drivers.Driver(letter.Template.Driver)
	if err != nil {
		return err
	}
	b.people.driver, b.people.kind = driver.Name, driver.Address.Kind
	if _, err := b.house.Templates.Put(ctx, letter); err != nil {
		return fmt.Errorf("put the letter: %w", err)
	}
	return nil
}

// configure writes the configuration and reads it back as serve would.
func (b *Bench) configure() error {
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\npublic_url: https://mail.shop.example\ndata: %q\nlog: {level: error}\nstop: 2s\n", b.dir)
	text += "tracking_basis: legitimate_interest\ntracking_reason: invented people; every letter leads to its person, so that all cost the same\n"
	if b.o.Database != "" {
		// Processes with a folder each share one key.
		key := filepath.Join(b.dir, "shared.key")
		random := make([]byte, 32)
		_, _ = rand.Read(random) // it does not fail
		if err := os.WriteFile(key, []byte(hex.EncodeToString(random)+"\n"), 0o600); err != nil {
			return rapport.Unavailablef(err, "the key cannot be written: %v", err)
		}
		text += fmt.Sprintf("database: %q\nredis: %q\nsecret_key_file: %q\n", b.o.Database, b.o.Redis, key)
	}
	text += fmt.Sprintf("topics:\n  - {name: %s, kind: marketing}\n  - {name: %s, kind: transactional}\n", topic, service)
	text += "channels:\n" + mailChannel(channel, b.receive.near, b.o.Connections) + mailChannel(farChannel, b.receive.far, farConnections)
	b.file = filepath.Join(b.dir, "rapport.yaml")
	if err := os.WriteFile(b.file, []byte(text), 0o600); err != nil {
		return rapport.Unavailablef(err, "the configuration cannot be written: %v", err)
	}
	var err error
	b.conf, err = config.Load(b.file, nil, b.o.Drivers)
	return err
}

// mailChannel is the configuration of a channel to the receiver.
func mailChannel(name, address string, connections int) string {
	return fmt.Sprintf("  - name: %s\n    driver: email\n    from: Example Shop <news@shop.example>\n    servers:\n      - {url: %q, connections: %d}\n",
		name, "smtp://"+address+"?tls=none", connections)
}

func (b *Bench) close() error {
	var errs []error
	for _, stop := range slices.Backward(b.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}
