//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// target is what RAPPORT_FAILPOINT asks for, read once.
var target = sync.OnceValue(func() *point {
	name, n, _ := strings.Cut(os.Getenv("RAPPORT_FAILPOINT"), ":")
	p := &point{name: name}
	times, err := strconv.ParseInt(n, 10, 64)
	if err != nil || times < 1 {
		times = 1
	}
	p.left.Store(times)
	return p
})

type point struct {
	name string
	left atomic.Int64
}

// At ends the process by SIGKILL if this is the passage that was asked for.
func At(name string) {
	p := target()
	if p.name != name || p.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

// For is At for the passage of one: name and who stand in RAPPORT_FAILPOINT
// with a blank between them.
func For(name, who string) {
	if p := target(); strings.HasPrefix(p.name, name+" ") {
		At(name + " " + who)
	}
}
