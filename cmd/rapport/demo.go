package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/config"
	"rapport/internal/demo"
)

// newDemoCommand shows the whole house on one machine.
func newDemoCommand(c *cli) *cobra.Command {
	o := demo.Options{Drivers: c.drivers, Now: c.now, Version: version()}
	once := false
	cmd := command("demo", "everything in one process: invented customers, a mail catcher, three campaigns",
		"rapport demo\nrapport demo --contacts 100000 --once\nrapport demo --once --json",
		func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), o, once) })
	cmd.Long = `Starts Rapport on embedded parts with a mail catcher, a chat workspace and a
webhook receiver beside it, all on this machine. Invents customers, imports them,
sends three personalised campaigns, one for each channel, and prints the account
of every recipient. Some customers have not agreed, some addresses are refused
for now or for ever, and some answers are lost on purpose.

It stays up, so that the pages can be read, until Ctrl-C. With --once it ends,
and the exit code is 0 only if every account adds up and agrees with what the
receivers wrote down themselves. Without --data nothing of it stays.`
	flags := cmd.Flags()
	flags.IntVar(&o.Contacts, "contacts", 1000, "how many customers to invent")
	flags.BoolVar(&once, "once", false, "end when all is sent")
	flags.StringVar(&o.Listen, "listen", config.Default().Listen, "`ADDRESS` of the public pages; a port that is taken gives way to the next free one")
	return cmd
}

func (c *cli) demo(ctx context.Context, o demo.Options, once bool) (err error) {
	if c.file != "" {
		return rapport.Invalidf("--config", "the demo writes its own configuration; leave --config out")
	}
	bar := &steps{c: c}
	defer bar.end()
	o.Data, o.Progress = c.data, bar.set
	o.Log = c.log(config.Config{Log: config.Log{Level: "error"}})
	d, err := demo.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	c.hint("Mails: %s  Report: %s", d.Pages().Mail, d.Pages().Report)
	result, err := d.Send(ctx)
	bar.end()
	if err != nil {
		return err
	}
	var printing error
	err = c.show(result, func(w io.Writer) { printing = result.Print(w) })
	if err := errors.Join(err, printing); err != nil {
		return err
	}
	if !once {
		c.hint("\nEverything stays up until Ctrl-C.")
		<-ctx.Done()
	}
	faults := result.Faults()
	if c.json {
		for _, f := range faults {
			_, _ = fmt.Fprintln(c.stderr, "rapport: does not add up:", f)
		}
	}
	if len(faults) > 0 {
		return saidError{rapport.Internal}
	}
	return nil
}

// steps shows the progress of work that has several steps, one meter each.
type steps struct {
	c     *cli
	name  string
	meter *meter
}

func (s *steps) set(step string, done, total int64, words string) {
	if s.name != step {
		s.end()
		s.name, s.meter = step, s.c.meter(step)
	}
	s.meter.set(done, total, words)
}

func (s *steps) end() {
	if s.meter != nil {
		s.meter.end()
		s.meter = nil
	}
	s.name = ""
}
