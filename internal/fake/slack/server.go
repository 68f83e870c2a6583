package slack

import (
	"sync"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/receiver"
)

// Options says how a workspace behaves. The zero value listens on a free port
// of loopback, accepts any token and takes everything.
type Options struct {
	Listen  string           // address; empty: a free port of 127.0.0.1
	Token   string           // token that is accepted; empty: any
	Journal *journal.Journal // where what was posted is recorded; nil: one of its own
	Keep    int              // messages shown on the page; 0: 1000, below 0: none
	Script  Script           // moods; nil: none
	Now     func() time.Time // the server's clock; nil: time.Now
}

// Visit is one call as a script sees it.
type Visit struct {
	Method  string // chat.postMessage, conversations.open, users.lookupByEmail or auth.test
	To      string // the person's e-mail address if it was looked up here, else the user or conversation ID
	Key     string // key in the message's metadata; empty for other methods
	Attempt int    // how often this key has come, from 1; for other methods how often this method was called for To
}

// Action is what the server does with one call. The zero value does what Slack
// does; Error is ok:false with that code, Status an answer without JSON.
type Action = receiver.Action

// Script decides about a call. It is called from many goroutines.
type Script = func(Visit) Action

// Server is a running workspace.
type Server struct {
	receiver.Server[*Message, Visit]

	token string

	mu    sync.Mutex
	names names
	last  int64 // newest message time given, in microseconds

	answers []Answer
}

// Start starts a workspace; Close ends it.
func Start(o Options) (*Server, error) {
	s := &Server{token: o.Token}
	if err := s.Server.Start(receiver.Options{Listen: o.Listen, Journal: o.Journal, Keep: o.Keep, Now: o.Now}); err != nil {
		return nil, err
	}
	s.SetScript(o.Script)
	s.Serve(s.routes())
	return s, nil
}

// APIURL is what the channel's setting api_url must say.
func (s *Server) APIURL() string { return s.URL() + "/api/" }
