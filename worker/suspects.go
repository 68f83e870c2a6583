package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"rapport/channels"
	"rapport/outbox"
)

// A message can bring down the whole process while it is written: memory runs
// out, or the language ends the program in a way that nothing recovers. All
// that the process had claimed is then under suspicion (Seats.Reclaim notes 1).
// A suspect is written alone, with a note in the database before and its
// withdrawal after: so it is only the guilty one whose number grows, and those
// that were merely in the same chunk are free again when they have been
// written. What was never under suspicion pays nothing for it.

// mostCrashes is how many processes may die of a message before it is failed.
const mostCrashes = 3

var (
	errFatal = errors.New("the process died each time this message was written")
	// errNote is why a suspect is not written now.
	errNote = errors.New("a suspect cannot be written before it is noted")
)

// alone writes a message that may have brought a process down.
func (a *attempt) alone(ctx context.Context) (channels.Message, error) {
	if a.d.Crashes >= mostCrashes {
		return channels.Message{}, errFatal
	}
	a.w.suspects.Lock()
	defer a.w.suspects.Unlock()
	if err := a.note(ctx, a.d.Crashes+1); err != nil {
		return channels.Message{}, err
	}
	m, err := func() (channels.Message, error) {
		a.w.desk.Lock() // whatever happens now, it was this one
		defer a.w.desk.Unlock()
		return a.write(ctx)
	}()
	if late := a.note(ctx, 0); late != nil {
		return m, errors.Join(late, err)
	}
	a.d.Crashes = 0
	return m, err
}

// note says how many processes have died of this message, or will have if the
// process dies now.
func (a *attempt) note(ctx context.Context, crashes int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	if err := a.w.o.Seats.Suspect(ctx, a.d.ID, a.d.Turn, crashes); err != nil {
		return fmt.Errorf("%w: %w", errNote, err)
	}
	return nil
}

// fatal deals with what only suspects meet; false for every other error.
func (a *attempt) fatal(err error) bool {
	switch {
	case errors.Is(err, errFatal):
		a.w.meter.panics.Inc()
		a.w.log.Error("a message is set aside: the process died each time it was written", slog.String("campaign", a.info.run.Name), slog.Int64("run", a.d.Run), slog.Int64("delivery", a.d.ID))
		a.settle(outbox.Settlement{
			Delivery: a.d.ID, Turn: a.d.Turn, State: outbox.Failed, Reason: outbox.Crashed, At: a.w.o.Now(),
			Verdict: channels.Malformed.String(), Detail: brief(err.Error()), Charge: true,
		}, nil)
	case errors.Is(err, errNote):
		a.w.troubled("the database takes no note of a suspect: it waits", err)
		a.back(a.d, outbox.WaitRetry, a.w.o.Now().Add(renderAgain))
	default:
		return false
	}
	return true
}
