package store

import (
	"context"
	"sync"
	"time"
)

// lane says how a transaction is treated: who goes first when several wait
// for SQLite's one writer, and whether its commit waits for the disk.
type lane uint8

const (
	durable lane = iota // goes first; on the disk when it returns
	quick               // goes first; may be lost with the machine, not with the process
	bulk                // steps back for the others; may be lost with the machine
)

// lanes is the queue in front of SQLite's writer: while a hot transaction
// waits no bulk one begins, and a bulk one rests afterwards for as long as it
// took if anything hot ran lately. So an importer beside a campaign costs the
// campaign a few per cent, and runs at full speed alone.
type lanes struct {
	mu     sync.Mutex
	taken  bool
	hot    []chan struct{}
	cold   []chan struct{}
	lately time.Time // end of the last hot transaction
}

// rest is how long after a hot transaction bulk work still steps back.
const rest = 50 * time.Millisecond

// enter waits for the writer and returns how to leave it.
func (l *lanes) enter(ctx context.Context, which lane) (leave func(), err error) {
	l.mu.Lock()
	if l.taken {
		turn := make(chan struct{})
		if which == bulk {
			l.cold = append(l.cold, turn)
		} else {
			l.hot = append(l.hot, turn)
		}
		l.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			l.giveUp(turn)
			return nil, ctx.Err()
		}
	} else {
		l.taken = true
		l.mu.Unlock()
	}
	began := time.Now()
	return func() {
		took := time.Since(began)
		if busy := l.next(which); which == bulk && busy {
			time.Sleep(took)
		}
	}, nil
}

// next hands the writer on and says whether hot work ran lately.
func (l *lanes) next(which lane) (busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if which != bulk {
		l.lately = now
	}
	switch {
	case len(l.hot) > 0:
		close(l.hot[0])
		l.hot = l.hot[1:]
		return true
	case len(l.cold) > 0:
		close(l.cold[0])
		l.cold = l.cold[1:]
	default:
		l.taken = false
	}
	return now.Sub(l.lately) < rest
}

// giveUp leaves the queue; a turn that came at the same moment is passed on.
func (l *lanes) giveUp(turn chan struct{}) {
	l.mu.Lock()
	select {
	case <-turn:
		l.mu.Unlock()
		l.next(bulk)
		return
	default:
	}
	l.hot = without(l.hot, turn)
	l.cold = without(l.cold, turn)
	l.mu.Unlock()
}

func without(list []chan struct{}, turn chan struct{}) []chan struct{} {
	for i, c := range list {
		if c == turn {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}
