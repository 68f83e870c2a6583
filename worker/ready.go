package worker

import (
	"context"
	"errors"

	"rapport"
)

// Ready says whether the queue answers. Without it messages still leave, a
// second later, as the pump hands over inside the process.
func (w *Worker) Ready(context.Context) error {
	if !w.queue.up.Load() {
		return rapport.Unavailablef(nil, "Redis does not answer")
	}
	return nil
}

// Writes says whether what leaves can be recorded in the database and in the
// spool. While it cannot, nothing leaves; it is tried again each second.
func (w *Worker) Writes(context.Context) error {
	if err := w.witness.failure(); err != nil {
		return rapport.Unavailablef(err, "sending waits, since outcomes cannot be written: %s", reason(err))
	}
	if w.spool == nil {
		return nil
	}
	if err := w.spool.check(); err != nil {
		return rapport.Unavailablef(err, "sending waits, since the spool cannot be written: %s", reason(err))
	}
	return nil
}

// reason is an error in the words for people, if it has such.
func reason(err error) string {
	if e, ok := errors.AsType[*rapport.Error](err); ok {
		return e.Msg
	}
	return err.Error()
}
