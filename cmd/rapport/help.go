package main

import (
	"strings"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/strictyaml"
)

// newRoot puts all commands together; a new one is one line here.
func newRoot(c *cli) *cobra.Command {
	root := group("rapport", "the right message to the right customer, with their consent",
		`Rapport sends the right message to the right customer over the right channel,
only with their consent, and records what came back.

New here? rapport demo shows it all with invented customers and sends nothing
outside. A campaign of your own goes this way: contacts import, templates put,
campaigns create, check, start, status. rapport doctor says what is wrong.`)
	chapter(root, "Running it:", newDemoCommand(c), newBenchCommand(c), newBenchSinkCommand(c), newServeCommand(c), newWorkCommand(c), newDoctorCommand(c),
		newConfigCommand(c), newMigrateCommand(c), newBackupCommand(c), newRestoreCommand(c), newChoresCommand(c), newHealthCommand(c))
	chapter(root, "People:", newContactsCommand(c), newAttributesCommand(c), newSegmentsCommand(c), newEventsCommand(c),
		newTopicsCommand(c), newFormsCommand(c), newConsentCommand(c), newWordingsCommand(c), newSuppressionsCommand(c), newRightsCommand(c), newRetentionCommand(c), newAuditCommand(c))
	chapter(root, "Messages:", newTemplatesCommand(c), newCampaignsCommand(c), newSendCommand(c),
		newDeliveriesCommand(c), newChannelsCommand(c), newCalendarsCommand(c))
	chapter(root, "Other:", newCompletionCommand(), newVersionCommand(c), newHelpCommand())
	root.Example = `  rapport demo
  rapport contacts import people.csv --grant email:newsletter --source "shop sign-up form v3"
  rapport campaigns check autumn-offers
  rapport serve --config rapport.yaml`
	root.Version = version()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(badFlag)
	root.SetUsageTemplate(usage)
	flags := root.PersistentFlags()
	flags.StringVar(&c.file, "config", "", "configuration `FILE` (default: RAPPORT_CONFIG, else rapport.yaml of this folder if there is one)")
	flags.StringVar(&c.data, "data", "", "data `FOLDER`, instead of the configured one")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "no progress, no hints")
	return root
}

// usage is what help prints after the sentences about a command.
const usage = `Usage:{{if not .Annotations.holds}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{if .HasAvailableSubCommands}}{{$all := .Commands}}{{range .Groups}}
{{.Title}}{{$group := .ID}}{{range $all}}{{if and (eq .GroupID $group) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{else}}
Commands:{{range $all}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{if and .HasAvailableLocalFlags (or .Runnable .HasParent)}}
{{if .HasParent}}Flags{{else}}Flags of every command{{end}}:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasParent | not}}
Exit codes: 0 ok, 1 internal, 2 invalid, 3 not found, 4 conflict, 5 denied,
6 unavailable, 130 stopped by a signal.
{{end}}{{if .HasAvailableSubCommands}}
"{{.CommandPath}} COMMAND --help" tells more about one.
{{end}}`

// chapter adds commands under a title of the help.
func chapter(root *cobra.Command, title string, subs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range subs {
		cmd.GroupID = title
	}
	root.AddCommand(subs...)
}

// group is a command that only holds others; without one it explains them.
func group(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs, Annotations: map[string]string{"holds": "yes"},
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

// holdsOnly says whether a command does nothing itself.
func holdsOnly(cmd *cobra.Command) bool { return cmd.Annotations["holds"] != "" }

func newHelpCommand() *cobra.Command {
	return command("help [COMMAND...]", "explain a command", "rapport help campaigns start", func(cmd *cobra.Command, args []string) error {
		found, rest, err := cmd.Root().Find(args)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return unknownCommand(found, rest[0])
		}
		return found.Help()
	})
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
