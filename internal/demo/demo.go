package demo

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/config"
	"rapport/internal/app"
)

// Options says what to show.
type Options struct {
	Contacts int    // how many customers to invent
	Listen   string // address of the public pages; a port that is taken gives way to the next free one
	Data     string // folder; empty: one that Close removes
	Drivers  *channels.Registry
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
	Version  string
	Progress Progress // may be nil
}

// Progress is told how far a step is; total is 0 while nobody knows.
type Progress func(step string, done, total int64, words string)

// Demo is a running demo.
type Demo struct {
	opts  Options
	data  string
	world *world
	house *app.House
	round int
	pages Pages
	stops []func() error // in the order of starting
	died  <-chan error   // why the house went down by itself
}

// seed makes the same customers on every machine.
const seed = 20_260_101

// Start starts the servers and the house around them. Nothing is sent yet.
func Start(ctx context.Context, o Options) (d *Demo, err error) {
	if o.Contacts < 1 {
		return nil, rapport.Invalidf("contacts", "%d is not a number of customers; write 1 or more", o.Contacts)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64, string) {}
	}
	d = &Demo{opts: o, data: o.Data}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.folder(); err != nil {
		return d, err
	}
	return d, d.open(ctx)
}

// markFile stands in the data folder of a demo.
const markFile = "demo.txt"

const markText = "This folder belongs to rapport demo: its customers are invented, and every demo adds to it.\n"

// folder makes the data folder, or takes one of an earlier demo. It refuses a
// folder that holds anything else: invented people do not belong there.
func (d *Demo) folder() error {
	if d.data == "" {
		dir, err := os.MkdirTemp("", "rapport-demo-")
		if err != nil {
			return rapport.Unavailablef(err, "no temporary folder can be made: %v", err)
		}
		d.data = dir
		d.stops = append(d.stops, func() error { return os.RemoveAll(dir) })
	}
	mark := filepath.Join(d.data, markFile)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	entries, err := os.ReadDir(d.data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(d.data, 0o700)
	case err == nil && len(entries) > 0:
		return rapport.Conflictf("the folder %s holds something else than a demo; name an empty or a new one with --data", d.data)
	}
	if err == nil {
		err = os.WriteFile(mark, []byte(markText), 0o600)
	}
	if err != nil {
		return rapport.Unavailablef(err, "the folder %s cannot be used: %v", d.data, err)
	}
	return nil
}

// Close stops everything that Start started, the newest first.
func (d *Demo) Close() error {
	var errs []error
	for _, stop := range slices.Backward(d.stops) {
		errs = append(errs, stop())
	}
	d.stops = nil
	return errors.Join(errs...)
}

// Pages are the addresses to look at.
func (d *Demo) Pages() Pages { return d.pages }

// open starts the servers, then the house with its pages, and lets it serve.
func (d *Demo) open(ctx context.Context) error {
	address, public, err := free(ctx, d.opts.Listen)
	if err != nil {
		return err
	}
	// What runs here ends with Close, not with the context of the start.
	long := context.WithoutCancel(ctx)
	if d.world, err = startWorld(long, public); err != nil {
		return err
	}
	d.stops = append(d.stops, d.world.close)
	conf, err := d.configure(address, "127.0.0.1:0", public)
	if err != nil {
		return err
	}
	d.house, err = app.Open(ctx, app.Options{Config: conf, Drivers: d.opts.Drivers, Log: d.opts.Log, Now: d.opts.Now, Version: d.opts.Version})
	if err != nil {
		return err
	}
	d.stops = append(d.stops, d.house.Close)
	if d.round, err = round(ctx, d.house.Campaigns, definitions(d.opts.Now())); err != nil {
		return err
	}
	at, err := d.serve(long)
	if err != nil {
		return err
	}
	d.pages = Pages{
		UI: public + "/", Mail: d.world.page.url + "/", Slack: d.world.chat.URL() + "/", Webhook: d.world.hook.URL() + "/",
		Report: "http://" + at.Admin + "/",
	}
	return nil
}

// serve lets the house serve in the background and waits until it is up.
func (d *Demo) serve(ctx context.Context) (app.Addresses, error) {
	ctx, stop := context.WithCancel(ctx)
	up, down := make(chan app.Addresses, 1), make(chan error, 1)
	go func() {
		down <- d.house.Serve(ctx, func(a app.Addresses) { up <- a })
		close(down)
	}()
	select {
	case at := <-up:
		d.died = down
		d.stops = append(d.stops, func() error {
			stop()
			return <-down
		})
		return at, nil
	case err := <-down:
		stop()
		if err == nil {
			err = errors.New("the house went down before it was up")
		}
		return app.Addresses{}, err
	}
}

// configure writes the configuration into the data folder and reads it back as
// serve would.
func (d *Demo) configure(listen, admin, public string) (config.Config, error) {
	file := filepath.Join(d.data, "rapport.yaml")
	if err := os.WriteFile(file, []byte(configuration(d.data, listen, admin, public, d.world)), 0o600); err != nil {
		return config.Config{}, rapport.Unavailablef(err, "the configuration cannot be written: %v", err)
	}
	return config.Load(file, nil, d.opts.Drivers)
}
