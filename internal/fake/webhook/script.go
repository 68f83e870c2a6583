package webhook

import "time"

// Visit is one request as a script sees it.
type Visit struct {
	To      string // data.to of the body
	Key     string // webhook-id
	Attempt int    // how often this key has come, from 1
}

// Action is what the receiver does with one request. The zero value takes it
// and answers 204.
type Action struct {
	Status     int           // answer; 0: 204. Two hundreds mean taken
	RetryAfter string        // Retry-After header, as it is
	Location   string        // Location header, as it is
	Delay      time.Duration // wait this long before doing anything
	Endless    bool          // after the header, a body without end
	LoseReply  bool          // take it, then reset the connection
	Drop       bool          // reset the connection without taking it
	Stall      bool          // take nothing and never answer
}

// Script decides about a visit. It is called from many goroutines.
type Script func(Visit) Action

func (a Action) status() int {
	if a.Status == 0 {
		return 204
	}
	return a.Status
}

// takes says whether the message counts as delivered.
func (a Action) takes() bool {
	if a.Drop || a.Stall {
		return false
	}
	return a.LoseReply || a.status() >= 200 && a.status() < 300
}

// maxTries bounds the memory for counting attempts: two generations of this
// many keys.
const maxTries = 100_000

// tries counts how often each key has come, exactly for at least the latest
// maxTries keys.
type tries struct{ young, old map[string]int }

func (t *tries) next(key string) int {
	n, ok := t.young[key]
	if !ok {
		n = t.old[key]
	}
	if len(t.young) >= maxTries {
		t.old, t.young = t.young, nil
	}
	if t.young == nil {
		t.young = map[string]int{}
	}
	t.young[key] = n + 1
	return n + 1
}
