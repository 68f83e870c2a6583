package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the image has no time zones of its own
)

func main() { os.Exit(start()) }

// start runs the command line with the process's own world. The first
// interrupt asks for a stop in order; the second one ends the process at once,
// which harms nothing that is in the database or in the spool.
func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}
