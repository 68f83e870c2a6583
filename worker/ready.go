package worker

import (
	"context"

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
