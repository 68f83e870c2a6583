package slack

import "time"

// Visit is one call as a script sees it.
type Visit struct {
	Method  string // chat.postMessage, conversations.open, users.lookupByEmail or auth.test
	To      string // the person's e-mail address if it was looked up here, else the user or conversation ID
	Key     string // key in the message's metadata; empty for other methods
	Attempt int    // how often this key has come, from 1; for other methods how often this method was called for To
}

// Action is what the server does with one call. The zero value does what Slack
// does.
type Action struct {
	Error      string        // answer ok:false with this code
	Status     int           // answer this HTTP status without JSON
	RetryAfter string        // Retry-After header, as it is; with Status 0 it means 429
	Location   string        // Location header, as it is
	Raw        string        // answer 200 with this text as it is
	Delay      time.Duration // wait this long before doing anything
	LoseReply  bool          // do it, then reset the connection
	Drop       bool          // reset the connection without doing it
	Stall      bool          // do nothing and never answer
	Endless    bool          // do it, and answer without end
}

// Script decides about a call. It is called from many goroutines.
type Script func(Visit) Action

// takes says whether the call is done as Slack does it.
func (a Action) takes() bool {
	return a.Error == "" && a.Status == 0 && a.RetryAfter == "" && a.Raw == "" && !a.Drop && !a.Stall
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
