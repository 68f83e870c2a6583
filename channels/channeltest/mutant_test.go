package channeltest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"rapport/channels"
	"rapport/channels/channeltest"
)

// mutant is a sound channel with one mistake.
type mutant struct {
	channels.Channel
	send func(ctx context.Context, inner channels.Channel, m channels.Message) (channels.Receipt, error)
}

// Send sends with the mistake.
func (x *mutant) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	return x.send(ctx, x.Channel, m)
}

// mutants lists mistakes by the case that must find them.
func mutants() map[string]func(context.Context, channels.Channel, channels.Message) (channels.Receipt, error) {
	type (
		ctx = context.Context
		ch  = channels.Channel
		msg = channels.Message
		rec = channels.Receipt
	)
	return map[string]func(ctx, ch, msg) (rec, error){
		"delivers_faithfully/cuts_long_text": func(c ctx, in ch, m msg) (rec, error) {
			m.Content = map[string]string{"text": m.Content["text"][:min(998, len(m.Content["text"]))]}
			return in.Send(c, m)
		},
		"delivers_faithfully/sends_twice": func(c ctx, in ch, m msg) (rec, error) {
			again := m
			again.Depart = nil
			_, _ = in.Send(c, again)
			return in.Send(c, m)
		},
		"judges_failures/knows_no_words": func(c ctx, in ch, m msg) (rec, error) {
			r, err := in.Send(c, m)
			if err != nil {
				err = errors.New("it did not work")
			}
			return r, err
		},
		"judges_failures/hides_failures": func(c ctx, in ch, m msg) (rec, error) {
			r, _ := in.Send(c, m)
			return r, nil
		},
		"asks_before_departure/never_asks": func(c ctx, in ch, m msg) (rec, error) {
			m.Depart = nil
			return in.Send(c, m)
		},
		"asks_before_departure/asks_twice": func(c ctx, in ch, m msg) (rec, error) {
			if err := m.Leave(c); err != nil {
				return rec{}, err
			}
			return in.Send(c, m)
		},
		"asks_before_departure/asks_afterwards": func(c ctx, in ch, m msg) (rec, error) {
			late := m
			late.Depart = nil
			r, err := in.Send(c, late)
			_ = m.Leave(c)
			return r, err
		},
		"obeys_refusal/ignores_it": func(c ctx, in ch, m msg) (rec, error) {
			_ = m.Leave(c)
			m.Depart = nil
			return in.Send(c, m)
		},
		"obeys_refusal/makes_it_a_failure": func(c ctx, in ch, m msg) (rec, error) {
			r, err := in.Send(c, m)
			if err != nil {
				err = &channels.Failure{Err: err}
			}
			return r, err
		},
		"keeps_secrets/in_errors": func(c ctx, in ch, m msg) (rec, error) {
			r, err := in.Send(c, m)
			if err != nil {
				err = fmt.Errorf("with canary-token: %w", err)
			}
			return r, err
		},
		"keeps_secrets/in_logs": func(c ctx, in ch, m msg) (rec, error) {
			slog.DebugContext(c, "sending", slog.String("token", "canary-token"))
			return in.Send(c, m)
		},
		"works_side_by_side/loses_some": func(c ctx, in ch, m msg) (rec, error) {
			if strings.HasSuffix(m.Key, "-3") {
				return rec{}, m.Leave(c)
			}
			return in.Send(c, m)
		},
		"repeats_the_key/makes_its_own": func(c ctx, in ch, m msg) (rec, error) {
			m.Key = fmt.Sprintf("%p", &m)
			return in.Send(c, m)
		},
		"closes/sends_on": func(c ctx, in ch, m msg) (rec, error) {
			r, err := in.Send(c, m)
			if err != nil {
				err = m.Leave(c)
			}
			return r, err
		},
	}
}

// TestMutant is run by TestExaminationFindsMistakes in a process of its own,
// where it is expected to fail.
func TestMutant(t *testing.T) {
	send, ok := mutants()[os.Getenv("CHANNELTEST_MUTANT")]
	if !ok {
		t.Skip("does not apply: run by TestExaminationFindsMistakes")
	}
	channeltest.Run(t, func(t *testing.T) channeltest.Harness {
		h := smsHarness(t)
		sound := h.Driver
		h.Driver = channels.Define(sound, func(ctx context.Context, env channels.Env, s Settings) (channels.Channel, error) {
			ch, err := sound.Open(ctx, env, h.Settings)
			return &mutant{Channel: ch, send: send}, err
		})
		return h
	})
}

// TestExaminationFindsMistakes: an examination that nobody can fail proves
// nothing.
func TestExaminationFindsMistakes(t *testing.T) {
	if os.Getenv("CHANNELTEST_MUTANT") != "" {
		t.Skip("does not apply: not inside a mutant")
	}
	for name := range mutants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			which, _, _ := strings.Cut(name, "/")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMutant$/^"+which+"$", "-test.v")
			cmd.Env = append(os.Environ(), "CHANNELTEST_MUTANT="+name)
			out, err := cmd.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "--- FAIL: TestMutant/"+which) {
				t.Errorf("the case %s lets the mistake %q pass (%v):\n%s", which, name, err, out)
			}
		})
	}
}
