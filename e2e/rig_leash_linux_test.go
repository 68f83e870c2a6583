package e2e

import "syscall"

// leash ends a child when the test's own process ends, however that comes
// about.
func leash() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
