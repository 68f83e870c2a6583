package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/channels"
	"rapport/channels/all"
	"rapport/internal/strictyaml"
)

// interrupted is the exit code of a command that a signal ended, as shells
// have it; the codes of errors are rapport.Kind.ExitCode.
const interrupted = 130

// run is the whole command line: it does what args say in the world it is
// given and returns the exit code.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	drivers, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "rapport:", err)
		return rapport.KindOf(err).ExitCode()
	}
	c := &cli{env: env, stdin: stdin, stdout: stdout, stderr: stderr, drivers: drivers, now: time.Now}
	c.zone = readerZone(c.getenv("TZ"))
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	who := c.getenv("USER")
	if who == "" {
		who = "unknown"
	}
	return c.exit(ctx, root.ExecuteContext(rapport.WithActor(ctx, rapport.Actor{Name: "cli:" + who})))
}

// exit says what went wrong, in one sentence where there is one, and returns
// the exit code.
func (c *cli) exit(ctx context.Context, err error) int {
	var said saidError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &said):
		return said.kind.ExitCode()
	case ctx.Err() != nil && (rapport.KindOf(err) == rapport.Internal || errors.Is(err, context.Canceled)):
		_, _ = fmt.Fprintln(c.stderr, "rapport: stopped")
		return interrupted
	}
	_, _ = fmt.Fprintln(c.stderr, "rapport:", clean(err.Error(), true))
	return rapport.KindOf(err).ExitCode()
}

// saidError ends a command whose output has said already what is wrong.
type saidError struct{ kind rapport.Kind }

func (e saidError) Error() string { return e.kind.String() }

// newRoot puts all commands together; a new one is one line here.
func newRoot(c *cli) *cobra.Command {
	root := group("rapport", "the right message to the right customer, with their consent")
	chapter(root, "Running it:", newDemoCommand(c), newServeCommand(c), newWorkCommand(c), newMigrateCommand(c),
		newDoctorCommand(c), newConfigCommand(c), newHealthCommand(c))
	chapter(root, "People:", newContactsCommand(c), newAttributesCommand(c), newSegmentsCommand(c),
		newTopicsCommand(c), newConsentCommand(c), newSuppressionsCommand(c))
	chapter(root, "Messages:", newTemplatesCommand(c), newCampaignsCommand(c), newSendCommand(c),
		newDeliveriesCommand(c), newChannelsCommand(c))
	root.AddCommand(newCompletionCommand(), newVersionCommand(c))
	root.Long = `Rapport sends the right message to the right customer over the right channel,
only with their consent, and records what came back.

Exit codes: 0 ok, 1 internal, 2 invalid, 3 not found, 4 conflict, 5 denied,
6 unavailable, 130 stopped by a signal.`
	root.Example = `  rapport demo
  rapport contacts import people.csv --grant email:newsletter --source "shop sign-up form v3"
  rapport serve --config rapport.yaml`
	root.Version = version()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(badFlag)
	flags := root.PersistentFlags()
	flags.StringVar(&c.file, "config", "", "configuration `FILE` (default: RAPPORT_CONFIG, else rapport.yaml of this folder if there is one)")
	flags.StringVar(&c.data, "data", "", "data `FOLDER`, instead of the configured one")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "no progress, no hints")
	return root
}

// chapter adds commands under a title of the help.
func chapter(root *cobra.Command, title string, subs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range subs {
		cmd.GroupID = title
	}
	root.AddCommand(subs...)
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(subs...)
	return cmd
}

func unknownCommand(cmd *cobra.Command, word string) error {
	var known []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	hint := "known: " + strings.Join(known, ", ")
	if near := strictyaml.Nearest(word, known); near != "" {
		hint = "did you mean " + near + "? Known: " + strings.Join(known, ", ")
	}
	return rapport.Invalidf("", "%s has no command %q; %s", cmd.CommandPath(), word, hint)
}

// badFlag adds the known flags to what is wrong with one.
func badFlag(cmd *cobra.Command, err error) error {
	return rapport.Invalidf("", "%s: %v; %s", cmd.CommandPath(), err, knownFlags(cmd))
}

func knownFlags(cmd *cobra.Command) string {
	var names []string
	for line := range strings.Lines(cmd.Flags().FlagUsages()) {
		if _, rest, ok := strings.Cut(line, "--"); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, "--"+strings.TrimSpace(name))
		}
	}
	return "known: " + strings.Join(names, ", ")
}

// needs checks that a command gets the arguments its names say. A name in
// brackets may be missing, one that ends in dots may come several times.
func needs(names ...string) cobra.PositionalArgs {
	least, most := 0, len(names)
	for _, n := range names {
		if !strings.HasPrefix(n, "[") {
			least++
		}
		if strings.HasSuffix(strings.Trim(n, "[]"), "...") {
			most = 1 << 20
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return rapport.Invalidf("", "%s needs %s; see %s --help", cmd.CommandPath(), strings.Join(names, " "), cmd.CommandPath())
		case len(args) > most && most == 0:
			return rapport.Invalidf("", "%s takes no arguments, but there is %q", cmd.CommandPath(), args[0])
		case len(args) > most:
			return rapport.Invalidf("", "%s takes %s; %q is too much (put words with blanks in quotes)", cmd.CommandPath(), strings.Join(names, " "), args[most])
		}
		return nil
	}
}

// command makes a command from its usual parts: use is its name and what
// arguments it takes, which are checked.
func command(use, short, example string, do func(cmd *cobra.Command, args []string) error) *cobra.Command {
	words := strings.Fields(use)
	return &cobra.Command{Use: use, Short: short, Example: "  " + strings.ReplaceAll(example, "\n", "\n  "), Args: needs(words[1:]...), RunE: do}
}
