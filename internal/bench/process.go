package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rapport"
)

// process is a sending process, started as an operator would.
type process struct {
	cmd   *exec.Cmd
	admin string        // URL of its metrics
	up    time.Duration // from start to ready
	busy  time.Duration // processor time it had used when it was ready
}

// start starts serve, or work with a folder of its own, and waits until it is
// ready.
func (b *Bench) start(ctx context.Context, number int) (*process, error) {
	args := []string{"--config", b.file, "serve"}
	if b.o.Database != "" {
		args = []string{"--config", b.file, "--data", fmt.Sprintf("%s/worker-%d", b.dir, number), "work"}
	}
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(ctx), b.o.Binary, args...)} //nolint:gosec // ourselves
	out, err := p.cmd.StderrPipe()
	began := time.Now()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, rapport.Unavailablef(err, "a sending process cannot be started: %v", err)
	}
	said := bufio.NewScanner(out)
	var all []string
	for said.Scan() {
		line := said.Text()
		all = append(all, line)
		if m := adminPattern.FindStringSubmatch(line); m != nil {
			p.admin, p.up = m[1], time.Since(began)
			go func() { // it ends with the process
				for said.Scan() {
					continue // what it says later must be read all the same
				}
			}()
			p.busy = CPU(p.cmd)
			return p, nil
		}
	}
	err = p.cmd.Wait()
	return nil, rapport.Unavailablef(err, "a sending process did not start: %s", strings.Join(all, "; "))
}

var adminPattern = regexp.MustCompile(`Report and metrics: (http://[^ ]+?)/?(?: |$)`)

// stop asks for a stop in order and waits.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("a sending process: %w", err)
	}
	return nil
}

// kill ends it at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed, as asked
}

// mallocs is how many objects it has allocated so far.
func (p *process) mallocs(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("ask for metrics: %w", err)
	}
	client := &http.Client{Timeout: 5 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for metrics: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "go_memstats_mallocs_total "); ok {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return 0, fmt.Errorf("read the metrics: %w", err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("the metrics of %s say nothing of memory", p.admin)
}
