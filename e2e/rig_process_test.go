package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before the test gives up. It decides
// nothing but when a broken program is called broken.
const patience = 90 * time.Second

// record is what a process says, while it says it.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// tail is the end of a text, for messages.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// process is a program that keeps running, started by the test and ended by it.
type process struct {
	t    testing.TB
	what string
	cmd  *exec.Cmd
	out  record
	done chan struct{}
}

// surroundings is the environment of what the test starts: settings of the
// program that happen to be set are none of its business.
func surroundings() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RAPPORT_") })
}

// launch starts a program and sees to it that it has ended when the test ends.
func launch(t testing.TB, what, dir string, env []string, path string, args ...string) *process {
	t.Helper()
	return launchAs(t, what, dir, env, leash(), path, args...)
}

func launchAs(t testing.TB, what, dir string, env []string, attr *syscall.SysProcAttr, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, what: what, done: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(surroundings(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = attr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", what, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s (%s) said:\n%s", what, p.cmd.ProcessState, tail(p.out.String(), 60))
		}
	})
	return p
}

// ended says whether the process has ended by itself or by us.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process as a power cut would: SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// signal sends a signal without waiting.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("signal %s: %v", p.what, err)
	}
}

// stop asks the process to end (SIGTERM) and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait()
}

// wait returns the exit code once the process has ended; -1 stands for a
// signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // shows where it stands
		<-p.done
		p.t.Fatalf("%s has not ended within %v:\n%s", p.what, patience, tail(p.out.String(), 200))
		return 0
	}
}

// result is what a command that has ended said.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
	cpu            time.Duration
	peak           int64
}

// once runs a program to its end.
func once(t testing.TB, limit time.Duration, dir string, env []string, path string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(surroundings(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = leash()
	began := time.Now()
	err := cmd.Run()
	r := result{stdout: stdout.String(), stderr: stderr.String(), took: time.Since(began)}
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit || ctx.Err() != nil {
		t.Fatalf("%s %s: %v, %v\n%s", filepath.Base(path), strings.Join(args, " "), err, ctx.Err(), tail(r.stderr, 40))
	}
	r.code = cmd.ProcessState.ExitCode()
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.peak = usage.Maxrss << 10
	}
	return r
}
