package worker

import (
	"context"
	"errors"
	"testing"

	"rapport/channels"
	"rapport/outbox"
)

// TestSuspectsAreWrittenAlone: what a dead process had claimed is noted before
// it is written and free again after it; what killed three is written no more,
// and nobody else pays for it.
func TestSuspectsAreWrittenAlone(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 200, 50)
	for id := int64(1); id <= 60; id++ {
		m.rows[id].Crashes = 1
	}
	m.rows[7].Crashes, m.rows[9].Crashes = mostCrashes, mostCrashes-1
	var noted, alone int
	var r *rig
	r = newRig(t, m, birds(l), func(o *Options) {
		o.Open = func(context.Context, outbox.Run) (Compose, error) {
			return func(_ context.Context, d outbox.Delivery) (channels.Message, error) {
				if d.ID == 7 {
					return channels.Message{}, errors.New("written once more")
				}
				if d.Crashes > 0 {
					m.set(func() {
						if m.rows[d.ID].Crashes == d.Crashes+1 {
							noted++
						}
					})
					if !r.w.desk.TryRLock() {
						alone++
					} else {
						r.w.desk.RUnlock()
					}
				}
				return channels.Message{Content: map[string]string{"verse": "to " + d.Address}}, nil
			}, nil
		}
	})
	r.start()
	a := r.done()
	if a.States[outbox.Sent] != 199 || a.States[outbox.Failed] != 1 || !a.Balanced() || len(l.twice()) > 0 {
		t.Errorf("account %v, twice %v", a.States, l.twice())
	}
	m.set(func() {
		if m.rows[7].state != outbox.Failed || m.rows[7].reason != outbox.Crashed {
			t.Errorf("the guilty one is %s %s", m.rows[7].state, m.rows[7].reason)
		}
		for id, row := range m.rows {
			if id != 7 && row.Crashes != 0 {
				t.Errorf("delivery %d is still under suspicion: %d", id, row.Crashes)
			}
		}
	})
	if noted != 59 || alone != 59 {
		t.Errorf("of 59 suspects %d were noted and %d alone while they were written", noted, alone)
	}
}

// TestSuspectsWaitForTheirNote: while the database takes no note nobody is
// written who may bring the process down.
func TestSuspectsWaitForTheirNote(t *testing.T) {
	t.Parallel()
	m, l := newModel(), newLoft()
	m.plan(marketing(1), outbox.Bulk, 1, 1)
	m.rows[1].Crashes = 1
	store := &noteless{model: m, tried: make(chan struct{}, 1)}
	r := newRig(t, store, birds(l), nil)
	r.start()
	within(t, "the note", store.tried)
	l.until2(t, func() bool { return m.account(1)[outbox.Queued] == 1 })
	if l.count() != 0 {
		t.Error("a suspect left without a note")
	}
}

type noteless struct {
	*model
	tried chan struct{}
}

func (n *noteless) Suspect(context.Context, int64, int64, int) error {
	select {
	case n.tried <- struct{}{}:
	default:
	}
	return errAway
}
