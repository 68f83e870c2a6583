package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"rapport"
	"rapport/internal/fake/journal"
	"rapport/internal/fake/relay"
	"rapport/internal/fake/smtpd"
)

// SinkCommand is the hidden command of the program that runs Sink.
const SinkCommand = "bench-sink"

// taken is what a receiver has counted.
type taken struct {
	Messages int `json:"messages"`
	People   int `json:"people"`
}

// oneWay is how long the long way to the receiver takes in each direction.
const oneWay = 10 * time.Millisecond

// Sink takes mail and only counts it, until in ends. It prints two addresses on
// a line of their own, its own and one that is 20 ms away, and answers each line of in with what it has counted so
// far, as a line of JSON; the count begins anew after each answer.
func Sink(ctx context.Context, in io.Reader, out io.Writer) error {
	j, err := journal.New(journal.Options{CountOnly: true})
	if err != nil {
		return fmt.Errorf("open the count: %w", err)
	}
	s, err := smtpd.Start(ctx, smtpd.Options{Keep: smtpd.KeepNothing, Journal: j})
	if err != nil {
		return fmt.Errorf("start the receiver: %w", err)
	}
	defer func() { _ = s.Close() }()
	far, err := relay.Start(ctx, s.Addr())
	if err != nil {
		return fmt.Errorf("start the long way: %w", err)
	}
	defer func() { _ = far.Close() }()
	far.Delay(oneWay)
	if _, err := fmt.Fprintln(out, s.Addr(), far.Addr()); err != nil {
		return fmt.Errorf("tell the address: %w", err)
	}
	before := map[string]int{}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		now := j.Recipients()
		var t taken
		for to, n := range now {
			if more := n - before[to]; more > 0 {
				t.Messages += more
				t.People++
			}
		}
		before = now
		if err := json.NewEncoder(out).Encode(t); err != nil {
			return fmt.Errorf("tell the count: %w", err)
		}
	}
	return nil
}

// sink is a receiver in a process of its own.
type sink struct {
	near, far string // addresses

	cmd *exec.Cmd
	ask io.WriteCloser
	say *bufio.Reader
}

func startSink(ctx context.Context, binary string) (*sink, error) {
	s := &sink{cmd: exec.CommandContext(context.WithoutCancel(ctx), binary, SinkCommand)}
	var err error
	if s.ask, err = s.cmd.StdinPipe(); err != nil {
		return nil, rapport.Unavailablef(err, "the receiver cannot be started: %v", err)
	}
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, rapport.Unavailablef(err, "the receiver cannot be started: %v", err)
	}
	s.say = bufio.NewReader(out)
	line, err := s.say.ReadString('\n')
	if err != nil {
		_ = s.stop()
		return nil, rapport.Unavailablef(err, "the receiver did not start: %v", err)
	}
	near, far, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		return nil, errors.Join(fmt.Errorf("the receiver says %q and no two addresses", line), s.stop())
	}
	s.near, s.far = near, far
	return s, nil
}

// count is what came since the last count.
func (s *sink) count() (t taken, err error) {
	if _, err := io.WriteString(s.ask, "\n"); err != nil {
		return t, fmt.Errorf("ask the receiver: %w", err)
	}
	line, err := s.say.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &t)
	}
	if err != nil {
		return t, fmt.Errorf("read what the receiver counted: %w", err)
	}
	return t, nil
}

// stop ends it by ending what it reads.
func (s *sink) stop() error {
	_ = s.ask.Close() // it may have ended already
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the receiver: %w", err)
	}
	return nil
}
