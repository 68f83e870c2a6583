package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/app"
	"rapport/store"
)

func newMigrateCommand(c *cli) *cobra.Command {
	return command("migrate", "bring the database up to date", "rapport migrate --config rapport.yaml",
		func(cmd *cobra.Command, _ []string) error { return c.migrate(cmd.Context()) })
}

func (c *cli) migrate(ctx context.Context) error {
	conf, err := c.load()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(conf.Data, 0o700); err != nil {
		return badFile(conf.Data, err)
	}
	ran, err := store.Migrate(ctx, app.StoreOptions(conf, c.now, c.log(conf)))
	if err != nil {
		return err
	}
	out := struct {
		Ran []string `json:"ran"`
	}{append([]string{}, ran...)}
	return c.show(out, func(w io.Writer) {
		if len(ran) == 0 {
			_, _ = fmt.Fprintln(w, "The database is up to date.")
		}
		for _, name := range ran {
			_, _ = fmt.Fprintln(w, "ran", name)
		}
	})
}

func newHealthCommand(c *cli) *cobra.Command {
	var server string
	cmd := command("health", "ask a running process whether it lives", "rapport health --server http://127.0.0.1:9090",
		func(cmd *cobra.Command, _ []string) error { return c.health(cmd.Context(), server) })
	cmd.Hidden = true
	cmd.Flags().StringVar(&server, "server", "", "`URL` of the process (default: the configured listen address)")
	return cmd
}

func (c *cli) health(ctx context.Context, server string) error {
	if server == "" {
		conf, err := c.load()
		if err != nil {
			return err
		}
		host, port, err := net.SplitHostPort(conf.Listen)
		if err != nil {
			return rapport.Invalidf("listen", "%q is not host:port", conf.Listen)
		}
		if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		server = "http://" + net.JoinHostPort(host, port)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(server, "/")+"/healthz", nil)
	if err != nil {
		return rapport.Invalidf("--server", "%q is not an address like http://127.0.0.1:8080", server)
	}
	client := &http.Client{Timeout: 5 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return rapport.Unavailablef(err, "nobody answers at %s", server)
	}
	defer func() { _ = res.Body.Close() }() // nothing of it is read
	if res.StatusCode != http.StatusOK {
		return rapport.Unavailablef(nil, "%s answers %s", server, res.Status)
	}
	return c.show(map[string]bool{"ok": true}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "ok") })
}

func newVersionCommand(c *cli) *cobra.Command {
	return command("version", "print the version", "rapport version", func(*cobra.Command, []string) error {
		out := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
		return c.show(out, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "rapport %s (%s, %s)\n", out["version"], out["go"], out["platform"])
		})
	})
}

// version is what the build knows of itself: a tag, or the revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value[:min(len(s.Value), 12)]
		}
	}
	if v == "" {
		return "(devel)"
	}
	return v
}

func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := command("completion SHELL", "print the completion script of a shell: bash, zsh, fish or powershell",
		"rapport completion bash > /etc/bash_completion.d/rapport", func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			var err error
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(w, true)
			case "zsh":
				err = root.GenZshCompletion(w)
			case "fish":
				err = root.GenFishCompletion(w, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(w)
			default:
				err = rapport.Unknown("shell", args[0], shells)
			}
			return err
		})
	cmd.ValidArgs = shells
	return cmd
}

// stopped turns the end that a signal asked for into a success.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
