package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"rapport/contacts"
	"rapport/internal/app"
)

func newContactsImportHistory(c *cli) *cobra.Command {
	o := importFlags{}
	o.History = true
	cmd := command("import-history FILE", "bring in what happened before: opt-ins, opt-outs, bounces and complaints with their times",
		`rapport contacts import-history history.csv --dry-run
rapport contacts import-history unsubscribed.csv --for email:newsletter --source "old shop, export of 3 May"`,
		c.inside(func(ctx context.Context, h *app.House, args []string) error {
			return c.contactsImport(ctx, h, args[0], o)
		}))
	f := cmd.Flags()
	f.StringArrayVar(&o.columns, "map", nil, "read column `HEADER=NAME`, or leave it out with HEADER=-; may be repeated")
	f.StringArrayVar(&o.about, "for", nil, "`DRIVER:TOPIC` that lines are about which name none; may be repeated")
	f.StringVar(&o.Source, "source", "", "where and how people agreed, if the file does not say")
	f.StringVar(&o.Basis, "basis", "", "ground in law: "+strings.Join(contacts.Bases(), ", ")+" (default consent)")
	f.StringVar(&o.Form.Delimiter, "delimiter", "", "sign between cells: , ; | or tab (default: found out)")
	f.StringVar(&o.Form.Encoding, "encoding", "", "utf-8, utf-16le, utf-16be or windows-1252 (default: found out)")
	f.BoolVar(&o.DryRun, "dry-run", false, "only say what would happen")
	f.StringVar(&o.errors, "errors", "", "write bad lines and answers not taken as CSV to `FILE`")
	return cmd
}
