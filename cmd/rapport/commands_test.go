package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"rapport/channels"
	"rapport/channels/all"
)

func tree(t *testing.T) *cobra.Command {
	t.Helper()
	drivers, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	return newRoot(&cli{drivers: drivers, now: time.Now, zone: time.UTC, stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

// TestEveryCommandExplainsItself: a short sentence, an example that names the
// command, a meaning for each flag.
func TestEveryCommandExplainsItself(t *testing.T) {
	n := 0
	walk(tree(t), func(cmd *cobra.Command) {
		n++
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q is empty or ends with a full stop", path, cmd.Short)
		}
		if cmd.Runnable() && !holdsOnly(cmd) && !strings.Contains(cmd.Example, path) {
			t.Errorf("%s: the example %q does not show it", path, cmd.Example)
		}
		if holdsOnly(cmd) && (!strings.HasSuffix(cmd.Long, ".") || !cmd.HasSubCommands()) {
			t.Errorf("%s: what it holds is not explained", path)
		}
		for line := range strings.Lines(cmd.LocalNonPersistentFlags().FlagUsages()) {
			if len(strings.Fields(line)) < 3 {
				t.Errorf("%s: the flag %q has no meaning", path, strings.TrimSpace(line))
			}
		}
		if cmd.Args == nil && cmd.Runnable() {
			t.Errorf("%s: takes any arguments without a look at them", path)
		}
	})
	if n < 40 {
		t.Errorf("only %d commands found", n)
	}
}

// TestExamplesParse: the flags of the examples are known.
func TestExamplesParse(t *testing.T) {
	root := tree(t)
	walk(root, func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			words := split(t, strings.TrimSpace(line))
			if i := indexOf(words, ">"); i >= 0 {
				words = words[:i]
			}
			if len(words) == 0 || words[0] != "rapport" {
				t.Errorf("%s: the example %q does not begin with rapport", cmd.CommandPath(), line)
				continue
			}
			found, rest, err := tree(t).Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil && found.Args != nil {
				err = found.Args(found, found.Flags().Args())
			}
			if err != nil || found.HasSubCommands() && len(found.Flags().Args()) > 0 {
				t.Errorf("%s: the example %q cannot be run: %v", cmd.CommandPath(), line, err)
			}
		}
	})
}

func indexOf(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return -1
}

// TestHelp: whoever types only the name, or only a noun, is told what there is.
func TestHelp(t *testing.T) {
	for line, want := range map[string][]string{
		"":                     {"New here? rapport demo", "Usage:\n  rapport COMMAND\n", "\nPeople:\n  attributes ", "Flags of every command:", "Exit codes: 0 ok"},
		"--help":               {"New here? rapport demo", "Other:\n"},
		"campaigns":            {"A run is one sending of it", "Usage:\n  rapport campaigns COMMAND\n", "\nCommands:\n  cancel ", "\nFlags of every command:\n      --config FILE"},
		"send --help":          {"Usage:\n  rapport send [flags]\n  rapport send COMMAND\n", "\nExamples:\n", "\nCommands:\n  cancel ", "\nFlags:\n"},
		"help campaigns start": {"let a draft go", "Usage:\n  rapport campaigns start NAME [flags]\n"},
	} {
		var out, bad strings.Builder
		if code := run(t.Context(), split(t, line), nil, nil, &out, &bad); code != 0 || bad.String() != "" {
			t.Errorf("rapport %s: exit code %d, %s", line, code, &bad)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("rapport %s: %q is missing in\n%s", line, w, &out)
			}
		}
		if strings.Contains(out.String(), "[command]") || strings.Contains(out.String(), "\n\n\n") {
			t.Errorf("rapport %s:\n%s", line, &out)
		}
	}
	for _, line := range []string{"help campaigns stattus", "campaigns stattus", "hlep"} {
		var bad strings.Builder
		if code := run(t.Context(), split(t, line), nil, nil, io.Discard, &bad); code != 2 || !strings.Contains(bad.String(), "did you mean") {
			t.Errorf("rapport %s: exit code %d, %s", line, code, &bad)
		}
	}
}

// TestCommandsPage keeps docs/commands.md equal to the commands; -update
// writes it.
func TestCommandsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(commandsHead)
	root := tree(t)
	fmt.Fprintf(&b, "Flags of every command:\n\n```\n%s```\n", root.PersistentFlags().FlagUsages())
	walk(root, func(cmd *cobra.Command) {
		if cmd == root || cmd.Hidden || cmd.Name() == "help" {
			return
		}
		if holdsOnly(cmd) {
			fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n%s\n", cmd.CommandPath(), sentence(cmd.Short), cmd.Long)
			return
		}
		level := "##"
		if cmd.Parent() != root {
			level = "###"
		}
		fmt.Fprintf(&b, "\n%s %s\n\n%s.\n", level, cmd.CommandPath(), sentence(cmd.Short))
		if cmd.Long != "" {
			fmt.Fprintf(&b, "\n%s\n", cmd.Long)
		}
		fmt.Fprintf(&b, "\n```\n%s\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		if flags := cmd.LocalNonPersistentFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(&b, "\n%s", flags)
		}
		fmt.Fprintf(&b, "```\n\nExample:\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	})
	const file = "../../docs/commands.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(file)
	if err != nil || string(old) != b.String() {
		t.Errorf("docs/commands.md is not what the commands say (%v): go test ./cmd/rapport -run CommandsPage -update", err)
	}
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

const commandsHead = `# Commands

Written by a test from the code (` + "`go test ./cmd/rapport -run CommandsPage -update`" + `); do not edit.

Exit codes: 0 ok, 1 internal, 2 invalid, 3 not found, 4 conflict, 5 denied, 6 unavailable, 130 stopped by a signal. Errors are a
sentence on stderr; what a command prints is on stdout, as a table or with ` + "`--json`" + ` as JSON. Times are shown in the reader's
zone (` + "`TZ`" + `) with the offset. Long work shows a bar on a terminal, otherwise a line every few seconds.

`

// TestWhoRunsACommand: a line of the ledger or the audit log names somebody,
// also where the environment does not.
func TestWhoRunsACommand(t *testing.T) {
	if got := operator("anna"); got != "anna" {
		t.Errorf("with a name it is %q", got)
	}
	if got := operator(""); got == "" || got == "unknown" {
		t.Errorf("without a name it is %q", got)
	}
}
