package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrStopping is the cause of the context of Run once a stop was asked for by
// whoever called it; a part that failed is the cause otherwise.
var ErrStopping = errors.New("stopping")

// Part is something that runs. Start returns once the part is up; work that
// goes on must not end with its context, but when Stop is called. Either may
// be nil.
type Part struct {
	Name  string
	Start func(ctx context.Context) error
	Stop  func(ctx context.Context) error
	Grace time.Duration // how long Stop may take; 0: 10 seconds
}

const usualGrace = 10 * time.Second

// Fail ends Run with an error, from any goroutine; only the first counts.
type Fail func(err error)

// Run starts the parts that build returns, waits until ctx is done or a part
// fails, and stops in reverse what had started. The context build and Start
// get is done when the stop begins; context.Cause says why. The error joins
// what failed to start, to run and to stop; a stop that was asked for is none.
func Run(ctx context.Context, build func(ctx context.Context, fail Fail) []Part) error {
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(ErrStopping)
	defer context.AfterFunc(ctx, func() { stop(ErrStopping) })()

	parts := build(running, func(err error) { stop(err) })
	var errs []error
	started := 0
	for _, p := range parts {
		if running.Err() != nil {
			break
		}
		if p.Start != nil {
			if err := p.Start(running); err != nil {
				errs = append(errs, fmt.Errorf("start %s: %w", p.Name, err))
				stop(err)
				break
			}
		}
		started++
	}
	<-running.Done()
	if cause := context.Cause(running); len(errs) == 0 && !errors.Is(cause, ErrStopping) {
		errs = append(errs, cause)
	}
	for i := started - 1; i >= 0; i-- {
		if err := halt(ctx, parts[i]); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", parts[i].Name, err))
		}
	}
	return errors.Join(errs...)
}

// halt gives a part its grace; what outlasts it is left behind, so that the
// parts below it are still stopped.
func halt(ctx context.Context, p Part) error {
	if p.Stop == nil {
		return nil
	}
	grace := p.Grace
	if grace == 0 {
		grace = usualGrace
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Stop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
