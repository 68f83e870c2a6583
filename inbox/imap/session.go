package imap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"rapport/inbox"
)

// session is one connection with the folder open.
type session struct {
	r        *Reader
	conn     net.Conn
	client   *imapclient.Client
	validity uint32
	fresh    chan struct{} // the server said that something came
	folder   bool          // the folder for what is done is there
}

// errSlow ends a conversation whose server does not answer in time.
var errSlow = errors.New("the server does not answer in time")

// within runs a command and closes the connection if it takes too long: the
// library waits without end in places.
func (s *session) within(ctx context.Context, most time.Duration, do func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, errSlow)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	err := do()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// open connects, logs in and opens the folder.
func (r *Reader) open(ctx context.Context) (*session, error) {
	s := &session{r: r, fresh: make(chan struct{}, 1)}
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(ctx, "tcp", r.s.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s.conn = conn
	if err := s.within(ctx, dialTime+commandTime, func() error { return s.enter(ctx) }); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) enter(ctx context.Context) error {
	set := s.r.s
	o := &imapclient.Options{TLSConfig: set.tls(), UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				select {
				case s.fresh <- struct{}{}:
				default:
				}
			}
		},
	}}
	switch set.Security {
	case Implicit:
		c := set.tls()
		c.NextProtos = []string{"imap"}
		secure := tls.Client(s.conn, c)
		if err := secure.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		s.client = imapclient.New(secure, o)
	case StartTLS:
		client, err := imapclient.NewStartTLS(s.conn, o)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		s.client = client
	case None:
		s.client = imapclient.New(s.conn, o)
	}
	if err := s.client.WaitGreeting(); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if err := s.client.Login(set.User, set.Password()).Wait(); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	data, err := s.client.Select(set.Folder, nil).Wait()
	if err != nil {
		return fmt.Errorf("open folder %s: %w", set.Folder, err)
	}
	s.validity = data.UIDValidity
	return nil
}

func (s *session) close() {
	_ = s.conn.Close()
	if s.client != nil {
		_ = s.client.Close() // it only says how the connection ended
	}
}

// work reads what is there, and waits for more, until the connection ends.
func (s *session) work(ctx context.Context) error {
	for {
		if err := s.drain(ctx); err != nil {
			return err
		}
		s.r.well()
		if err := s.rest(ctx); err != nil {
			return err
		}
	}
}

// rest waits until the server says that something came, or it is time to look.
func (s *session) rest(ctx context.Context) error {
	every := min(s.r.s.Every, idleTime)
	timer := time.NewTimer(every)
	defer timer.Stop()
	if !s.client.Caps().Has(imap.CapIdle) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.client.Closed():
			return io.ErrUnexpectedEOF
		case <-timer.C:
		}
		return s.within(ctx, commandTime, func() error { return s.client.Noop().Wait() })
	}
	var idle *imapclient.IdleCommand
	err := s.within(ctx, commandTime, func() (err error) {
		idle, err = s.client.Idle()
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for mails: %w", err)
	}
	var gone error
	select {
	case <-ctx.Done():
		gone = ctx.Err()
	case <-s.client.Closed():
		gone = io.ErrUnexpectedEOF
	case <-timer.C:
	case <-s.fresh:
	}
	err = s.within(context.WithoutCancel(ctx), commandTime, func() error { return errors.Join(idle.Close(), idle.Wait()) })
	return errors.Join(gone, err)
}

// drain deals with all mails after the cursor, the oldest first.
func (s *session) drain(ctx context.Context) error {
	for {
		n, err := s.page(ctx)
		if err != nil || n < mostAtOnce {
			return err
		}
	}
}

// page deals with the next mails after the cursor, and says how many there were.
func (s *session) page(ctx context.Context) (int, error) {
	cursor, err := s.r.o.Cursors.MailCursor(ctx, s.r.s.key())
	if err != nil {
		return 0, err
	}
	first := cursor.Validity == 0
	if cursor.Validity != s.validity {
		cursor.Validity, cursor.UID = s.validity, 0 // the folder was made anew: copies are known by their digest
	}
	list, err := s.after(ctx, cursor.UID, first)
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(list, group) {
		n, err := s.some(ctx, some)
		if n > 0 {
			cursor.UID = uint32(some[n-1])
			err = errors.Join(err, s.r.o.Cursors.PutMailCursor(context.WithoutCancel(ctx), cursor))
		}
		if err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// after lists the first UIDs above one. A folder that was never read before is begun
// with the mails of the last two weeks.
func (s *session) after(ctx context.Context, uid uint32, first bool) ([]imap.UID, error) {
	if uid == 1<<32-1 {
		return nil, nil
	}
	var set imap.UIDSet
	set.AddRange(imap.UID(uid+1), 0) // 0 is "*", the last one
	criteria := &imap.SearchCriteria{UID: []imap.UIDSet{set}}
	if first {
		criteria.Since = s.r.o.Now().Add(-firstLook)
	}
	var list []imap.UID
	err := s.within(ctx, commandTime, func() error {
		data, err := s.client.UIDSearch(criteria, nil).Wait()
		if err != nil {
			return fmt.Errorf("look for mails: %w", err)
		}
		all, _ := data.All.(imap.UIDSet) // of mails there are none where it is no such set
		list, err = lowest(all, uid)
		return err
	})
	return list, err
}

// lowest returns the lowest numbers of a set that are above one, in order, at
// most mostAtOnce. The set is what the server says, and may name more than there
// is memory for; "7:*" means the last one too, whatever its number.
func lowest(all imap.UIDSet, above uint32) ([]imap.UID, error) {
	ranges := slices.Clone(all)
	for i, r := range ranges {
		if r.Start == 0 || r.Stop == 0 {
			return nil, errors.New("look for mails: the server does not say which there are")
		}
		ranges[i].Start, ranges[i].Stop = min(r.Start, r.Stop), max(r.Start, r.Stop)
	}
	slices.SortFunc(ranges, func(a, b imap.UIDRange) int { return cmp.Compare(a.Start, b.Start) })
	var list []imap.UID
	next := uint64(above) + 1 // one more than the highest UID does not overflow
	for _, r := range ranges {
		next = max(next, uint64(r.Start))
		for ; next <= uint64(r.Stop) && len(list) < mostAtOnce; next++ {
			list = append(list, imap.UID(next)) //nolint:gosec // not above Stop
		}
	}
	return list, nil
}

// some deals with a few mails, puts them away, and says how many were dealt
// with before something went wrong.
func (s *session) some(ctx context.Context, list []imap.UID) (n int, err error) {
	var done, doubtful imap.UIDSet
	for _, uid := range list {
		var out inbox.Outcome
		if out, err = s.one(ctx, uid); err != nil {
			break
		}
		n++
		switch {
		case out == inbox.Doubtful:
			doubtful.AddNum(uid)
		case out != "" && out.Done():
			done.AddNum(uid)
		}
	}
	if len(done) == 0 && len(doubtful) == 0 {
		return n, err
	}
	return n, errors.Join(err, s.within(context.WithoutCancel(ctx), commandTime, func() error { return s.putAway(ctx, done, doubtful) }))
}

// one deals with one mail; empty when somebody has taken it away.
func (s *session) one(ctx context.Context, uid imap.UID) (inbox.Outcome, error) {
	raw, err := s.fetch(ctx, uid)
	if err != nil || raw == nil {
		return "", err
	}
	return s.r.take(ctx, uid, raw)
}

// fetch reads a mail, at most inbox.MaxMail of it, without marking it as read.
func (s *session) fetch(ctx context.Context, uid imap.UID) (raw []byte, err error) {
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: 0, Size: inbox.MaxMail}}
	err = s.within(ctx, fetchTime, func() error {
		cmd := s.client.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			for item := msg.Next(); item != nil; item = msg.Next() {
				body, ok := item.(imapclient.FetchItemDataBodySection)
				if !ok || body.Literal == nil || raw != nil {
					continue
				}
				raw, err = io.ReadAll(io.LimitReader(body.Literal, inbox.MaxMail+1))
				if err == nil && len(raw) > inbox.MaxMail {
					_ = s.conn.Close() // more than was asked for: do not read the rest
					return fmt.Errorf("mail %d: the server sends more than was asked for", uid)
				}
				if err != nil {
					return fmt.Errorf("read mail %d: %w", uid, err)
				}
			}
		}
		if err := cmd.Close(); err != nil {
			return fmt.Errorf("read mail %d: %w", uid, err)
		}
		return nil
	})
	return raw, err
}

// putAway moves or marks what was dealt with, and points people to what they
// have to read. That it fails is told and stops nothing: the mails count
// already, and once.
func (s *session) putAway(ctx context.Context, done, doubtful imap.UIDSet) error {
	if len(doubtful) > 0 {
		if err := s.mark(doubtful, imap.FlagFlagged); err != nil {
			s.r.grumble(ctx, "mails that may ask for an end could not be flagged", err)
		}
	}
	if len(done) == 0 {
		return nil
	}
	err := s.mark(done, imap.FlagSeen)
	if err == nil && s.r.s.Done != "" {
		err = s.move(done)
	}
	if err != nil {
		s.r.grumble(ctx, "mails that were dealt with could not be put away", err)
	}
	return nil
}

func (s *session) mark(set imap.UIDSet, flag imap.Flag) error {
	return s.client.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{flag}}, nil).Close()
}

// move takes mails to the other folder. Without MOVE they are copied first,
// and deleted only when the copy is there and nothing else is deleted with them.
func (s *session) move(set imap.UIDSet) error {
	if !s.folder {
		_ = s.client.Create(s.r.s.Done, nil).Wait() // it may be there
		s.folder = true
	}
	if s.client.Caps().Has(imap.CapMove) {
		_, err := s.client.Move(set, s.r.s.Done).Wait()
		return err
	}
	if !s.client.Caps().Has(imap.CapUIDPlus) {
		return nil
	}
	if _, err := s.client.Copy(set, s.r.s.Done).Wait(); err != nil {
		return err
	}
	if err := s.mark(set, imap.FlagDeleted); err != nil {
		return err
	}
	return s.client.UIDExpunge(set).Close()
}
