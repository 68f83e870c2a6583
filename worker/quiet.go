package worker

import (
	"context"
	"time"

	"rapport/outbox"
)

// windowSpread is within which time of an opened window what waited begins.
const windowSpread = 2 * time.Minute

// calm is when people are left alone where nobody said more: the windows of
// runs only.
func (w *Worker) calm() *outbox.Calm {
	c := &outbox.Calm{Home: w.o.Zone, Zone: func(name string) *time.Location {
		z, err := w.zones.Get(context.Background(), name)
		if err != nil {
			return nil
		}
		return z
	}}
	if w.o.Jitter != nil {
		c.WindowSpread = windowSpread
	}
	return c
}

// opens is when the message may leave by the run's window and the quiet hours.
// It is asked when there is work on it, and again at the wire.
func (a *attempt) opens() outbox.Opening {
	return a.w.o.Calm.Opens(&a.info.run, &a.d, a.w.o.Now())
}
