package store

import (
	"os"
	"syscall"
)

// toDisk waits until what was written to a file is on the disk; times of the
// file, which nobody reads, need not be.
func toDisk(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
