//go:build !linux

package store

import "os"

// toDisk waits until what was written to a file is on the disk.
func toDisk(f *os.File) error { return f.Sync() }
