package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/channels"
	"rapport/channels/all"
	"rapport/internal/failpoint"
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
	c := &cli{env: env, stdin: stdin, stdout: stdout, stderr: stderr, drivers: drivers, now: failpoint.Clock(time.Now)}
	c.zone = readerZone(c.getenv("TZ"))
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return c.exit(ctx, root.ExecuteContext(rapport.WithActor(ctx, rapport.Actor{Name: "cli:" + operator(c.getenv("USER"))})))
}

// operator is the name of whoever runs a command, for ledger and audit log.
// In a container or a timer nothing says it but the number of the user.
func operator(named string) string {
	if named != "" {
		return named
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid-" + strconv.Itoa(os.Getuid())
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
