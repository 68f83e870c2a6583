package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"rapport/internal/app"
)

func newServeCommand(c *cli) *cobra.Command {
	var listen string
	cmd := command("serve", "run public pages, scheduler and workers in one process, until Ctrl-C",
		"rapport serve --config rapport.yaml --listen :8080", func(cmd *cobra.Command, _ []string) error {
			var more []string
			if listen != "" {
				more = append(more, "RAPPORT_LISTEN="+listen)
			}
			return c.stay(cmd.Context(), (*app.House).Serve, more...)
		})
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDRESS` of the public pages, instead of the configured one")
	return cmd
}

func newWorkCommand(c *cli) *cobra.Command {
	return command("work", "run workers only, as many processes as wanted on the same PostgreSQL and Redis", "rapport work --config rapport.yaml",
		func(cmd *cobra.Command, _ []string) error { return c.stay(cmd.Context(), (*app.House).Work) })
}

// collectAt is how much memory may grow before it is looked through, in
// percent of what is in use. What sends keeps little and lets go of much: some
// fifty MiB more save it a twentieth of its work. GOGC wins.
const collectAt = 200

// stay runs the house until a signal asks for a stop, which is then a success.
func (c *cli) stay(ctx context.Context, run func(*app.House, context.Context, func(app.Addresses)) error, more ...string) (err error) {
	c.stays = true
	if c.getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	h, err := c.open(ctx, more...)
	if err != nil {
		return err
	}
	err = run(h, ctx, func(at app.Addresses) {
		words := []string{"Rapport is up."}
		if at.Public != "" {
			words = append(words, "Public pages: http://"+at.Public+"/")
		}
		if at.Admin != "" {
			words = append(words, "Report and metrics: http://"+at.Admin+"/")
		}
		c.hint("%s", strings.Join(append(words, "Ctrl-C stops."), " "))
	})
	if cerr := h.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close the database: %w", cerr)
	}
	return stopped(ctx, err)
}

// nobodySends tells a person who has queued something that it will wait.
func (c *cli) nobodySends(ctx context.Context, h *app.House) {
	if h.Store.Engine() != "sqlite" || ctx.Err() != nil {
		return // on PostgreSQL any machine may be sending
	}
	if sends, err := h.Store.Sender(); err == nil && !sends {
		c.hint("nobody is sending: start rapport serve")
	}
}
