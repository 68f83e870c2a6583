package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/config"
	"rapport/internal/app"
	"rapport/internal/strictyaml"
	"rapport/outbox"
	"rapport/worker"
)

// finding is one thing the doctor looked at.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, note, warning, error or skipped
	What  string `json:"what"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// The states of a finding. A note is no trouble; skipped says why.
const (
	fine    = "ok"
	note    = "note"
	warning = "warning"
	broken  = "error"
	skipped = "skipped"
)

// patience is how long one check of something outside may take.
const patience = 15 * time.Second

// doctor looks at an installation and changes nothing in it.
type doctor struct {
	c        *cli
	resolver *net.Resolver
	list     []finding
}

func (d *doctor) say(check, state, do, format string, args ...any) {
	d.list = append(d.list, finding{Check: check, State: state, What: fmt.Sprintf(format, args...), Do: do})
}

func newDoctorCommand(c *cli) *cobra.Command {
	var quick bool
	cmd := command("doctor", "look at everything without sending anything, and say what to do",
		"rapport doctor\nrapport doctor --quick --json", func(cmd *cobra.Command, _ []string) error {
			d := &doctor{c: c, resolver: net.DefaultResolver}
			d.examine(cmd.Context(), quick)
			return d.report()
		})
	cmd.Flags().BoolVar(&quick, "quick", false, "leave out what reads the whole database")
	return cmd
}

func (d *doctor) examine(ctx context.Context, quick bool) {
	conf, err := d.c.load()
	if err != nil {
		d.configuration(err)
		return
	}
	file := d.c.configFile()
	if file == "" {
		file = "no file: defaults and environment"
	}
	d.say("configuration", fine, "", "in order (%s)", file)
	d.folder(conf)
	d.addresses(conf)
	d.tracking(conf)
	d.redis(ctx, conf)
	h, err := d.c.open(ctx)
	if err != nil {
		d.say("database", broken, "", "%v", err)
		return
	}
	defer func() { _ = h.Close() }() // it was only read
	d.say("database", fine, "", "%s answers, its schema is up to date, the pepper fits", h.Store.Engine())
	d.clock(ctx, h)
	d.age(ctx, h)
	d.sender(ctx, h)
	d.orphans(ctx, h)
	d.channels(ctx, h)
	d.mailboxes(ctx, h)
	d.dns(ctx, h)
	if quick {
		d.say("accounts", skipped, "", "--quick")
		d.say("consent", skipped, "", "--quick")
		return
	}
	d.accounts(ctx, h)
	d.ledger(ctx, h)
}

func (d *doctor) configuration(err error) {
	var list strictyaml.Complaints
	if !errors.As(err, &list) {
		d.say("configuration", broken, "", "%v", err)
		return
	}
	for _, one := range list {
		d.say("configuration", broken, "correct it there; rapport config reference lists the settings", "%v", one)
	}
}

// folder looks at the data folder: it holds keys and people's data.
func (d *doctor) folder(conf config.Config) {
	const check = "data folder"
	info, err := os.Stat(conf.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.say(check, note, "", "%s does not exist yet and will be made", conf.Data)
		return
	case err != nil:
		d.say(check, broken, "give this user the right to use it", "%v", badFile(conf.Data, err))
		return
	case !info.IsDir():
		d.say(check, broken, "name a folder as data in the configuration", "%s is not a folder", conf.Data)
		return
	}
	probe, err := os.CreateTemp(conf.Data, ".doctor-*")
	if err != nil {
		d.say(check, broken, "give this user the right to write there", "%v", badFile(conf.Data, err))
		return
	}
	_, err = probe.WriteString("written by rapport doctor")
	err = errors.Join(err, probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		d.say(check, broken, "make room on the disk", "%s cannot be written: %v", conf.Data, err)
		return
	}
	d.say(check, fine, "", "%s can be written", conf.Data)
	d.private(conf.Data, conf.SecretKeyFile)
}

// private complains when others may read keys or data.
func (d *doctor) private(data, keyFile string) {
	if keyFile == "" {
		keyFile = filepath.Join(data, "secret.key")
	}
	for _, name := range []string{data, keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			continue // not made yet; a named key file that is missing ends at the database
		}
		if open := info.Mode().Perm() & 0o077; open&0o022 != 0 || !info.IsDir() && open != 0 {
			d.say("data folder", warning, fmt.Sprintf("chmod go-rwx %s", name), "others may read or change %s (mode %v)", name, info.Mode().Perm())
		}
	}
}

// addresses looks at what recipients have to reach.
func (d *doctor) addresses(conf config.Config) {
	const check = "public address"
	switch {
	case conf.PublicURL == "":
		d.say(check, warning, "set public_url to the https address of this installation", "recipients cannot reach the links in messages, since no public_url is set")
	case !strings.HasPrefix(conf.PublicURL, "https://"):
		d.say(check, note, "set public_url to an https address before writing to people outside", "%s is good for this machine only", conf.PublicURL)
	default:
		d.say(check, fine, "", "%s", conf.PublicURL)
	}
	if _, err := time.LoadLocation(conf.Zone); err != nil {
		d.say("time zone", broken, "write an IANA name like Europe/Berlin as zone", "%q is not known here", conf.Zone)
	}
}

// redis asks the queue how it is kept.
func (d *doctor) redis(ctx context.Context, conf config.Config) {
	const check = "redis"
	if conf.Redis.Empty() {
		d.say(check, fine, "", "the queue is inside the process")
		return
	}
	client, err := worker.OpenRedis(conf.Redis.Reveal())
	if err != nil {
		d.say(check, broken, "correct redis in the configuration", "%v", err)
		return
	}
	defer func() { _ = client.Close() }() // nothing was written
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := worker.CheckRedis(ctx, client); {
	case errors.Is(err, worker.ErrEviction):
		d.say(check, warning, "set maxmemory-policy noeviction in its configuration", "%v", err)
	case err != nil:
		d.say(check, broken, "start it, or correct its address and password; nothing is lost meanwhile, but sending is slow", "%v", err)
		return
	default:
		d.say(check, fine, "", "answers and keeps what it is given")
	}
	info, err := client.Info(ctx, "persistence").Result()
	if err == nil && !strings.Contains(info, "aof_enabled:1") {
		d.say(check, note, "appendonly yes spares it", "it forgets the queue at a restart, which is then rebuilt from the database")
	}
}

// age says whether the database is older than what was sent.
func (d *doctor) age(ctx context.Context, h *app.House) {
	if err := heldBack(ctx, h); err != nil {
		d.say("restore", broken, "see rapport restore status", "nothing is sent: %v", err)
	}
}

// skew is how far two clocks may be apart: times of day, pauses and limits are
// computed by both.
const skew = 2 * time.Second

// clock compares this machine's clock with the database's.
func (d *doctor) clock(ctx context.Context, h *app.House) {
	before := d.c.now()
	theirs, err := h.Store.Clock(ctx)
	if err != nil {
		d.say("clock", broken, "", "%v", err)
		return
	}
	after := d.c.now()
	if off := apart(before, after, theirs); off > skew {
		d.say("clock", warning, "let both machines follow the same time servers", "this machine and the database are %s apart", off.Round(time.Second/10))
		return
	}
	d.say("clock", fine, "", "that of this machine and of the database agree")
}

// apart is how far another clock is from ours, which was read before and after
// it; the time that the answer took is nobody's fault.
func apart(before, after, theirs time.Time) time.Duration {
	switch {
	case theirs.Before(before):
		return before.Sub(theirs)
	case theirs.After(after):
		return theirs.Sub(after)
	}
	return 0
}

// lastRuns is how many runs are looked through for what nobody can send.
const lastRuns = 200

// orphans finds runs that wait for a channel nobody has configured any more.
func (d *doctor) orphans(ctx context.Context, h *app.House) {
	runs, err := h.Store.RecentRuns(ctx, lastRuns)
	if err != nil {
		d.say("runs", broken, "", "%v", err)
		return
	}
	for _, r := range runs {
		if _, ok := h.Config.Find(r.Channel); ok || r.State.Over() || r.State != outbox.Planning && r.Open() == 0 {
			continue
		}
		d.say("runs", warning, fmt.Sprintf("configure the channel again, or run: rapport campaigns cancel %s", r.Campaign),
			"%s (run %s) waits for channel %s, which is not configured any more: %s", r.Campaign, r.Run, r.Channel, count(r.Open(), "message", "messages"))
	}
}

// sender says whether anybody sends.
func (d *doctor) sender(ctx context.Context, h *app.House) {
	if h.Store.Engine() == "sqlite" {
		switch sends, err := h.Store.Sender(); {
		case err != nil:
			d.say("sender", warning, "", "nobody can tell whether a process sends: %v", err)
		case sends:
			d.say("sender", fine, "", "a process is sending")
		default:
			d.say("sender", note, "start rapport serve", "nobody is sending")
		}
	}
	held, err := h.Store.Holds(ctx, d.c.now())
	if err != nil {
		d.say("held channels", broken, "", "%v", err)
		return
	}
	for _, x := range held {
		until := "until a person releases it"
		if !x.Until.IsZero() {
			until = "until " + d.c.at(x.Until)
		}
		d.say("held channels", warning, "rapport channels release "+x.Channel+", once the cause is gone", "%s is held %s: %s %s", x.Channel, until, x.Reason, x.Detail)
	}
}

// channels asks every provider whether it would talk to us.
func (d *doctor) channels(ctx context.Context, h *app.House) {
	if len(h.Config.Channels) == 0 {
		d.say("channels", note, "write one into the configuration; rapport channels list shows the drivers", "there is none, so nothing can be sent")
	}
	for _, conf := range h.Config.Channels {
		check := "channel " + conf.Name
		ch, _, err := h.OpenChannel(ctx, conf.Name)
		if err != nil {
			d.say(check, broken, "correct its settings; rapport channels describe "+conf.Driver, "%v", err)
			continue
		}
		one, cancel := context.WithTimeout(ctx, patience)
		err = errors.Join(ch.Check(one), ch.Close())
		cancel()
		if err != nil {
			d.say(check, broken, "see what the provider says; rapport channels test "+conf.Name+" asks again", "%v", err)
			continue
		}
		d.say(check, fine, "", "would take messages (nothing was sent)")
	}
}

// accounts compares the counters with what they count.
func (d *doctor) accounts(ctx context.Context, h *app.House) {
	off, err := h.Store.CheckAccounts(ctx)
	switch {
	case err != nil:
		d.say("accounts", broken, "", "%v", err)
	case len(off) > 0:
		d.say("accounts", broken, "keep a copy of the database and report it", "%s of %d do not add up, the first in run %s", "counters", len(off), off[0].Run)
	default:
		d.say("accounts", fine, "", "every account adds up")
	}
}

// ledger recomputes the ledger.
func (d *doctor) ledger(ctx context.Context, h *app.House) {
	m := d.c.meter("verify")
	r, err := h.Consent.Verify(ctx, func(n int) { m.set(int64(n), 0, count(n, "entry", "entries")) })
	m.end()
	switch {
	case err != nil:
		d.say("consent", broken, "", "%v", err)
	case r.Bad != nil:
		d.say("consent", broken, "somebody or something changed the ledger: compare with a backup", "entry %d is not as it was written: %s", r.Bad.Entry, r.Bad.Reason)
	default:
		d.say("consent", fine, "", "%s, all as they were written", count(r.Entries, "entry", "entries"))
	}
}

// report prints the findings; an error among them is an error of the command.
func (d *doctor) report() error {
	bad := 0
	for _, f := range d.list {
		if f.State == broken {
			bad++
		}
	}
	out := map[string]any{"ok": bad == 0, "findings": d.list}
	err := d.c.show(out, func(w io.Writer) {
		t := newTable("", "CHECK", "FINDING")
		for _, f := range d.list {
			what := f.What
			if f.Do != "" {
				what += " → " + f.Do
			}
			t.row(f.State, f.Check, what)
		}
		t.write(w)
	})
	if err != nil || bad == 0 {
		return err
	}
	return saidError{rapport.Unavailable}
}
