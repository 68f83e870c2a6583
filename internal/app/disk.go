package app

import (
	"context"
	"fmt"
	"syscall"

	"rapport"
)

// leastRoom is how much of the data folder's disk must be free for all to be
// called well: a few write-ahead logs.
const leastRoom = 4 << 20

// disk is a check for operators: is there room on the disk of the data folder?
func (h *House) disk(context.Context) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(h.Config.Data, &s); err != nil {
		return fmt.Errorf("look at the disk of the data folder: %w", err)
	}
	if free := s.Bavail * uint64(s.Bsize); free < leastRoom { //nolint:gosec // a block has a size above zero
		return rapport.Unavailablef(nil, "the disk of %s is full: %d KiB are free", h.Config.Data, free>>10)
	}
	return nil
}
