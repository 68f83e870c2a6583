package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/bench"
)

// newBenchCommand measures this machine.
func newBenchCommand(c *cli) *cobra.Command {
	o := bench.Options{Drivers: c.drivers, Now: c.now, Version: version()}
	count, lines := 1, false
	cmd := command("bench", "measure this machine: import, count, plan and send to a receiver of its own",
		`rapport bench
rapport bench --contacts 1000000 --count 3 --benchstat
rapport bench --workers 3 --database postgres://rapport@localhost/empty --redis redis://localhost:6379/9`,
		func(cmd *cobra.Command, _ []string) error {
			if c.file != "" {
				return rapport.Invalidf("--config", "the benchmark writes its own configuration; leave --config out")
			}
			if count < 1 {
				return rapport.Invalidf("--count", "%d is not a number of rounds; write 1 or more", count)
			}
			if count > 1 && (o.Database != "" || c.data != "") {
				return rapport.Invalidf("--count", "each round needs an empty database of its own; leave --database and --data out, or run the command once for each")
			}
			binary, err := os.Executable()
			if err != nil {
				return rapport.Unavailablef(err, "this program cannot find its own file: %v", err)
			}
			o.Data, o.Binary = c.data, binary
			o.Progress = func(step string) { c.hint("%s …", step) }
			for range count {
				r, err := bench.Run(cmd.Context(), o)
				if err != nil {
					return err
				}
				var printing error
				err = c.show(r, func(w io.Writer) {
					if lines {
						printing = r.Benchmarks(w)
						return
					}
					printing = r.Print(w)
				})
				if err := errors.Join(err, printing); err != nil {
					return err
				}
			}
			return nil
		})
	cmd.Long = `Invents people, imports them, counts a segment, plans and sends a campaign to a
mail server of its own on this machine, and prints what each took beside what
Rapport must reach on two cores. What sends is a process of its own, started as
serve or work would be. Every message is counted at the receiver; the exit code
is 0 only if the account agrees with it. Nobody is written to.`
	flags := cmd.Flags()
	flags.IntVar(&o.Contacts, "contacts", 100_000, "how many people to invent")
	flags.IntVar(&o.Connections, "connections", 10, "connections of each sending process to the mail server")
	flags.IntVar(&o.Workers, "workers", 1, "sending processes; more than one needs PostgreSQL and Redis")
	flags.StringVar(&o.Database, "database", "", "`URL` of an empty PostgreSQL database (default: SQLite in a folder that is removed)")
	flags.StringVar(&o.Redis, "redis", "", "`URL` of the Redis that goes with it")
	flags.IntVar(&count, "count", 1, "how often to measure all of it")
	flags.BoolVar(&lines, "benchstat", false, "print lines that benchstat reads")
	return cmd
}

// newBenchSinkCommand is the receiver of bench, in a process of its own.
func newBenchSinkCommand(c *cli) *cobra.Command {
	cmd := command(bench.SinkCommand, "take mail and count it", "rapport bench-sink", func(cmd *cobra.Command, _ []string) error {
		return bench.Sink(cmd.Context(), c.stdin, c.stdout)
	})
	cmd.Hidden = true
	return cmd
}
