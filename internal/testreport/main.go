package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0 only if everything that should run did and
// passed.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...) //nolint:gosec // the arguments are the caller's
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = errs
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		_, _ = fmt.Fprintln(errs, "testreport:", err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		_, _ = fmt.Fprintln(errs, "testreport: start go test:", err)
		return 1
	}
	r := newReport(out)
	readErr := r.read(pipe)
	if readErr != nil {
		_, _ = fmt.Fprintln(errs, "testreport: read the output of go test:", readErr)
	}
	waitErr := cmd.Wait()
	r.close(os.Getenv, exec.LookPath)
	if os.Getenv("RAPPORT_TEST_STRICT") == "1" && r.lacking > 0 {
		_, _ = fmt.Fprintln(out, "RAPPORT_TEST_STRICT is set: a test that was not run counts as failed")
		return 1
	}
	if waitErr != nil || readErr != nil || r.failed > 0 {
		return 1
	}
	return 0
}
