//go:build !linux

package e2e

import "syscall"

// leash would end a child together with the test's own process; this system
// knows no such thing, and cleanups have to do.
func leash() *syscall.SysProcAttr { return nil }
