package imap

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"rapport"
	"rapport/inbox"
)

// Taker deals with mails; *inbox.Desk does.
type Taker interface {
	Take(ctx context.Context, raw []byte) (inbox.Outcome, error)
}

// Cursors remembers how far folders have been read.
type Cursors interface {
	MailCursor(ctx context.Context, mailbox string) (inbox.Cursor, error)
	PutMailCursor(ctx context.Context, c inbox.Cursor) error
}

// Options is what a Reader is made of besides its Settings.
type Options struct {
	Taker   Taker
	Cursors Cursors
	Now     func() time.Time
	Log     *slog.Logger
}

// Reader reads one folder, for as long as it is started.
type Reader struct {
	s Settings
	o Options

	stop context.CancelFunc
	done chan struct{}

	stuck imap.UID // the mail that could not be dealt with, and how often
	tries int

	mu    sync.Mutex
	state State
}

// State is how a Reader fares.
type State struct {
	Looked time.Time // when it last saw the folder to its end
	Err    error     // why it cannot now; nil: it can
}

// New makes a reader.
func New(s Settings, o Options) *Reader {
	return &Reader{s: s, o: o, done: make(chan struct{})}
}

// Name is the mailbox's name.
func (r *Reader) Name() string { return r.s.Name }

// State says how the reader fares.
func (r *Reader) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Start begins to read. The work ends with Stop, not with ctx.
func (r *Reader) Start(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	go func() {
		defer close(r.done)
		r.loop(running)
	}()
	return nil
}

// Stop ends the work, after the mail that is being dealt with.
func (r *Reader) Stop(ctx context.Context) error {
	if r.stop == nil {
		return nil
	}
	r.stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Check connects, logs in and opens the folder, and reads nothing.
func (r *Reader) Check(ctx context.Context) error {
	s, err := r.open(ctx)
	if err != nil {
		return fmt.Errorf("mailbox %s: %w", r.s.Name, err)
	}
	s.close()
	return nil
}

// loop keeps a session open: after a failure it waits, longer each time, and
// tries again.
func (r *Reader) loop(ctx context.Context) {
	wait := backoffMin
	for ctx.Err() == nil {
		began := time.Now()
		err := r.session(ctx)
		if ctx.Err() != nil {
			return
		}
		r.failed(ctx, err)
		if time.Since(began) > steady {
			wait = backoffMin
		}
		timer := time.NewTimer(wait + time.Duration(rand.Int64N(int64(wait)/4+1))) //nolint:gosec // spreads tries
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, backoffMax)
	}
}

func (r *Reader) session(ctx context.Context) error {
	s, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	return s.work(ctx)
}

// take hands a mail over. A database that is away ends the session, so that
// the mail is given again; any other trouble is the mail's own, which then waits
// for a person and holds up no other.
func (r *Reader) take(ctx context.Context, uid imap.UID, raw []byte) (inbox.Outcome, error) {
	out, err := r.o.Taker.Take(ctx, raw)
	if err == nil || ctx.Err() != nil || rapport.KindOf(err) == rapport.Unavailable {
		return out, err
	}
	if r.stuck != uid {
		r.stuck, r.tries = uid, 0
	}
	if r.tries++; rapport.KindOf(err) == rapport.Internal && r.tries < mostTries {
		return out, err
	}
	r.grumble(ctx, "a mail could not be dealt with and is left for people", err)
	return inbox.Doubtful, nil
}

func (r *Reader) well() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = State{Looked: r.o.Now()}
}

// failed tells once when the mailbox cannot be read any more.
func (r *Reader) failed(ctx context.Context, err error) {
	r.mu.Lock()
	news := r.state.Err == nil
	r.state.Err = err
	r.mu.Unlock()
	if news {
		r.grumble(ctx, "the mailbox cannot be read for now; it is tried again", err)
	}
}

func (r *Reader) grumble(ctx context.Context, what string, err error) {
	r.o.Log.WarnContext(ctx, what, slog.String("mailbox", r.s.Name), slog.Any("error", err)) //nolint:sloglint // few constant messages
}
