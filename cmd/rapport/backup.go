package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/internal/app"
)

// backedUp is what backup says as JSON.
type backedUp struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`
	KeyFile string `json:"key_file"` // belongs to it, and is not in it
}

func newBackupCommand(c *cli) *cobra.Command {
	cmd := command("backup FILE", "write a consistent copy of the SQLite database to a new file, while everything goes on",
		"rapport backup /backup/rapport-monday.db", c.inside(func(ctx context.Context, h *app.House, args []string) error {
			out, err := backUp(ctx, h, args[0])
			if err != nil {
				return err
			}
			return c.show(out, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "wrote %s, %d bytes\n", out.File, out.Bytes)
				_, _ = fmt.Fprintf(w, "Keep %s as well, but in another place: without it suppressed addresses are not recognised\nand links in letters are dead.\n", out.KeyFile)
			})
		}))
	cmd.Long = "The key file is not in the copy; both together are a backup. PostgreSQL has its own tools."
	return cmd
}

// backUp makes the file first, so that only its owner can read it and none is
// written over.
func backUp(ctx context.Context, h *app.House, name string) (out backedUp, err error) {
	// An absolute path is never taken for the address of something else.
	if out.File, err = filepath.Abs(name); err != nil {
		return out, badFile(name, err)
	}
	f, err := os.OpenFile(out.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return out, rapport.Conflictf("there is a file %s already: name a new one", name)
	}
	if err != nil {
		return out, badFile(name, err)
	}
	err = errors.Join(f.Close(), h.Store.Backup(ctx, out.File))
	if err != nil {
		return out, errors.Join(err, os.Remove(out.File))
	}
	info, err := os.Stat(out.File)
	if err != nil {
		return out, badFile(name, err)
	}
	out.Bytes = info.Size()
	out.KeyFile, err = filepath.Abs(h.KeyPath())
	return out, err
}
