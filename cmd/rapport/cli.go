package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"rapport"
	"rapport/channels"
	"rapport/config"
	"rapport/internal/app"
)

// cli is the world of one command: what it is given, and the flags that every
// command has.
type cli struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
	drivers        *channels.Registry
	now            func() time.Time
	zone           *time.Location // of the reader

	file, data  string
	json, quiet bool
	stays       bool // a process that runs for long, and tells in its log what it does
}

// getenv returns the last value of a variable; empty when it is not set.
func (c *cli) getenv(name string) string {
	value := ""
	for _, e := range c.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// readerZone is the time zone times are shown in: that of the machine, or of TZ.
func readerZone(name string) *time.Location {
	if name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return time.Local
}

// homeFile is read when nobody names a configuration.
const homeFile = "rapport.yaml"

// configFile is the file the configuration is read from; empty for none.
func (c *cli) configFile() string {
	if c.file != "" {
		return c.file
	}
	if named := c.getenv("RAPPORT_CONFIG"); named != "" {
		return named
	}
	if _, err := os.Stat(homeFile); err == nil {
		return homeFile
	}
	return ""
}

// load reads the configuration. Flags win over the environment, which wins over
// the file; more are further settings as variables.
func (c *cli) load(more ...string) (config.Config, error) {
	env := append([]string{}, c.env...)
	if c.data != "" {
		env = append(env, "RAPPORT_DATA="+c.data)
	}
	return config.Load(c.configFile(), append(env, more...), c.drivers)
}

// open builds the house of the configuration.
func (c *cli) open(ctx context.Context, more ...string) (*app.House, error) {
	conf, err := c.load(more...)
	if err != nil {
		return nil, err
	}
	return app.Open(ctx, app.Options{Config: conf, Drivers: c.drivers, Log: c.log(conf), Now: c.now, Version: version()})
}

// action is what a command does in an open house.
type action func(ctx context.Context, h *app.House, args []string) error

// inside opens the house, acts and closes it again.
func (c *cli) inside(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		h, err := c.open(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		return do(cmd.Context(), h, args)
	}
}

// log writes to stderr: coloured on a terminal, plain text otherwise, and JSON
// when the configuration says so. A command that ends soon prints its answer
// and logs only what is wrong, unless all is asked for.
func (c *cli) log(conf config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(conf.Log.Level)); err != nil {
		level = slog.LevelInfo // config.Load has complained already
	}
	if !c.stays && level == slog.LevelInfo {
		level = slog.LevelWarn
	}
	plain := &slog.HandlerOptions{Level: level}
	switch {
	case conf.Log.Format == "json":
		return slog.New(slog.NewJSONHandler(c.stderr, plain))
	case terminal(c.stderr) && c.getenv("NO_COLOR") == "":
		return slog.New(tint.NewTextHandler(c.stderr, &tint.Options{Level: level, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(c.stderr, plain))
}

// terminal says whether a person looks at what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// hint writes something to do next for a person.
func (c *cli) hint(format string, args ...any) {
	if !c.quiet && !c.json {
		_, _ = fmt.Fprintf(c.stderr, format+"\n", args...)
	}
}

// show prints v as JSON when asked to, else what people prints.
func (c *cli) show(v any, people func(w io.Writer)) error {
	if c.json {
		enc := json.NewEncoder(c.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
		return nil
	}
	w := &carefulWriter{w: c.stdout}
	people(w)
	return w.err
}

// carefulWriter remembers the first error, so that printing needs no check a line.
type carefulWriter struct {
	w   io.Writer
	err error
}

func (w *carefulWriter) Write(p []byte) (int, error) {
	if w.err == nil {
		if _, err := w.w.Write(p); err != nil {
			w.err = fmt.Errorf("print: %w", err)
		}
	}
	return len(p), w.err
}

// read returns a file's content, or what comes by stdin for "-".
func (c *cli) read(name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(c.stdin)
		if err != nil {
			return nil, fmt.Errorf("read the input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(name)
	return data, badFile(name, err)
}

// badFile says in a sentence why a file that a person named cannot be used.
func badFile(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return rapport.NotFoundf("there is no file %s", name)
	case errors.Is(err, os.ErrPermission):
		return &rapport.Error{Kind: rapport.Denied, Msg: "the file " + name + " may not be used by this user", Err: err}
	}
	cause := err
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		cause = pe.Err
	}
	return &rapport.Error{Kind: rapport.Invalid, Msg: fmt.Sprintf("the file %s cannot be used: %v", name, cause), Err: err}
}

// create opens a file for what a command writes: stdout for "" and "-".
// The returned func closes it and must be called.
func (c *cli) create(name string) (io.Writer, func() error, error) {
	if name == "" || name == "-" {
		return c.stdout, func() error { return nil }, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, badFile(name, err)
	}
	return f, f.Close, nil
}

// confirm asks a person; without a terminal the flag has to say it.
func (c *cli) confirm(question, flag string) error {
	in, ok := c.stdin.(*os.File)
	if !ok || !terminal(in) {
		return rapport.Invalidf("", "%s Nothing was done yet: repeat with %s", question, flag)
	}
	_, _ = fmt.Fprintf(c.stderr, "%s [yes/no] ", question)
	var answer string
	if _, err := fmt.Fscanln(in, &answer); err != nil || !strings.EqualFold(answer, "yes") {
		return rapport.Invalidf("", "nothing was done")
	}
	return nil
}

// pairs reads NAME=VALUE flags.
func pairs(flag string, list []string) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, one := range list {
		name, value, ok := strings.Cut(one, "=")
		if !ok || name == "" {
			return nil, rapport.Invalidf("--"+flag, "%q is not NAME=VALUE", one)
		}
		out[name] = value
	}
	return out, nil
}

// moment reads the time of a flag --at: with an offset, or else in the reader's
// zone; the zero time for nothing.
func (c *cli) moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if wall, err := time.Parse(layout, text); err == nil {
			return rapport.LocalTime(wall, c.zone), nil
		}
	}
	return time.Time{}, rapport.Invalidf("--at", "%q is not a time; write 2026-12-01T09:00 (your own zone) or 2026-12-01T09:00:00+01:00", text)
}
