package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"rapport/channels"
)

// errNeutral tells the breaker that an attempt says nothing about the server.
var errNeutral = errors.New("says nothing about the server")

// channel is an open email channel.
type channel struct {
	compose    *composer
	pool       *pool
	dotTimeout time.Duration
	permission time.Duration // how long Depart's word holds until the letter itself is offered anew
	buffers    sync.Pool     // *[]byte, for letters
}

// permissionHolds: a server may hang for minutes before it fails. Whoever says
// no meanwhile is heard: another server is only tried within this time, later
// the delivery goes home and asks again.
const permissionHolds = 10 * time.Second

// bufferKeep is the largest buffer that is kept for the next letter.
const bufferKeep = 1 << 20

// Send composes m and hands it to one of the servers.
func (ch *channel) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	buf, ok := ch.buffers.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	l, err := ch.compose.compose((*buf)[:0], m)
	if err != nil {
		return channels.Receipt{}, err
	}
	defer func() {
		if cap(l.body) <= bufferKeep {
			*buf = l.body
			ch.buffers.Put(buf)
		}
	}()
	return ch.deliver(ctx, &attempt{message: m, letter: l})
}

// attempt is one Send under way.
type attempt struct {
	message channels.Message
	letter  letter
	left    time.Time // when Depart agreed, in real time; zero: not called yet
}

// leave asks for permission, once.
func (a *attempt) leave(ctx context.Context) error {
	if !a.left.IsZero() {
		return nil
	}
	if err := a.message.Leave(ctx); err != nil {
		return err
	}
	a.left = time.Now()
	return nil
}

// mayGoOn says whether the letter may be tried over another connection.
func (ch *channel) mayGoOn(ctx context.Context, a *attempt) bool {
	return ctx.Err() == nil && (a.left.IsZero() || time.Since(a.left) < ch.permission)
}

// deliver tries one server after the other, as long as each has provably not
// taken the letter.
func (ch *channel) deliver(ctx context.Context, a *attempt) (channels.Receipt, error) {
	var tried []*server
	var worst *channels.Failure
	for {
		s, err := ch.pool.take(ctx, tried)
		if err != nil {
			if worst == nil {
				worst = noSeat(err)
			}
			return channels.Receipt{}, worst
		}
		out := ch.via(ctx, s, a)
		switch {
		case out.refused != nil:
			return channels.Receipt{}, out.refused
		case out.failure == nil:
			return out.receipt, nil
		}
		if worst == nil || worst.Verdict == channels.Broken || out.failure.Verdict != channels.Broken {
			worst = out.failure // one server that may recover keeps the channel from being broken
		}
		if !out.moveOn || !ch.mayGoOn(ctx, a) {
			return channels.Receipt{}, worst
		}
		tried = append(tried, s.server)
	}
}

// noSeat is the failure when no server could even be asked.
func noSeat(err error) *channels.Failure {
	switch {
	case errors.Is(err, errNoServer):
		return &channels.Failure{Verdict: channels.Throttled, Reason: lostConnection, After: restFor, Err: err}
	case errors.Is(err, errClosed):
		return &channels.Failure{Verdict: channels.Temporary, Reason: lostConnection, Err: err}
	}
	return &channels.Failure{Verdict: channels.Temporary, Reason: timedOut, Err: fmt.Errorf("wait for a connection: %w", err)}
}

// outcome is what became of an attempt at one server: exactly one of receipt,
// failure and refused counts.
type outcome struct {
	receipt channels.Receipt
	failure *channels.Failure
	refused error // Depart's own error
	moveOn  bool  // another server may be tried
}

// via carries the letter to one server and gives the seat back.
func (ch *channel) via(ctx context.Context, s seat, a *attempt) outcome {
	if err := ch.pool.pace(ctx, s.server); err != nil {
		ch.pool.release(s, nil, errNeutral)
		return outcome{failure: noSeat(err)}
	}
	c, end := ch.pool.connect(ctx, s.server)
	var answer reply
	for end == nil {
		if f := c.fits(a.letter, s.addr); f != nil {
			ch.pool.release(s, c, nil)
			return outcome{failure: f}
		}
		if err := a.leave(ctx); err != nil {
			ch.pool.release(s, c, errNeutral)
			return outcome{refused: err}
		}
		answer, end = c.exchange(ctx, a.letter, ch.pool.timeout, ch.dotTimeout)
		if end == nil || !c.wasDead(end) || !ch.mayGoOn(ctx, a) {
			break
		}
		// The server had closed this connection before we used it. Nothing of
		// the letter was offered, so the permission still holds.
		c, end = ch.pool.reconnect(ctx, s.server, c)
	}
	if end == nil {
		ch.pool.release(s, c, nil)
		return outcome{receipt: channels.Receipt{ProviderID: queueID(answer.text), Server: s.addr, At: ch.compose.now()}}
	}
	f := failureOf(end, s.addr)
	ch.pool.release(s, c, blame(ctx, end, f))
	return outcome{failure: f, moveOn: movesOn(end.at, f)}
}

// wasDead says whether a kept connection turned out to be closed: lost, or
// told goodbye with 421, at the very first answer.
func (c *conn) wasDead(end *ended) bool {
	return c.used && end.at == atMail && (end.reply.code == 0 || end.reply.code == 421)
}

// fits refuses a letter that this server has said it cannot take.
func (c *conn) fits(l letter, addr string) *channels.Failure {
	f := &channels.Failure{Verdict: channels.Malformed, Server: addr}
	switch {
	case l.utf8 && !c.utf8:
		f.Reason, f.Err = noSMTPUTF8, fmt.Errorf("%s does not offer SMTPUTF8, which an address outside ASCII needs", addr)
	case c.maxSize > 0 && int64(len(l.body)) > c.maxSize:
		f.Reason, f.Err = tooLarge, fmt.Errorf("the letter has %d octets and %s takes at most %d", len(l.body), addr, c.maxSize)
	default:
		return nil
	}
	return f
}

// failureOf judges how an exchange ended and puts it into words.
func failureOf(end *ended, addr string) *channels.Failure {
	f := judge(end.at, end.reply)
	f.Server = addr
	if end.reply.code != 0 {
		f.Err = fmt.Errorf("%s refused at %s: %s", addr, end.at, publicText(end.reply.text))
		return &f
	}
	f.Err = fmt.Errorf("%s, at %s: %w", addr, end.at, end.err)
	switch {
	case errors.Is(end.err, os.ErrDeadlineExceeded), errors.Is(end.err, context.DeadlineExceeded), errors.Is(end.err, context.Canceled):
		f.Reason = timedOut
	case end.at == atTLS:
		f.Reason = tlsTrouble
		if isTLSTrouble(end.err) {
			f.Verdict = channels.Broken
		}
	case errors.Is(end.err, errClearText), errors.Is(end.err, errNoAuth):
		f.Verdict, f.Reason = channels.Broken, authentication
	}
	return &f
}

// isTLSTrouble tells a server that cannot be trusted from a connection that
// broke by chance.
func isTLSTrouble(err error) bool {
	if errors.Is(err, errNoTLS) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.AlertError](err)
	return ok
}

// movesOn says whether another server may be tried: only when this one has
// provably not taken the letter, and when the trouble is the server's rather
// than the recipient's or the letter's.
func movesOn(at phase, f *channels.Failure) bool {
	switch f.Verdict {
	case channels.Temporary:
		return at <= atMail || at <= atData && f.Code == ""
	case channels.Throttled, channels.Broken:
		return at <= atData
	case channels.Rejected, channels.Malformed, channels.Uncertain:
	}
	return false
}

// blame is what the breaker is told: only trouble with the server counts.
func blame(ctx context.Context, end *ended, f *channels.Failure) error {
	switch {
	case ctx.Err() != nil:
		return errNeutral
	case f.Verdict == channels.Throttled, f.Verdict == channels.Broken, end.reply.code == 0, end.at < atMail:
		return f
	}
	return nil
}

// String names the phase for people.
func (p phase) String() string {
	return [...]string{"the greeting", "EHLO", "TLS", "AUTH", "MAIL", "RCPT", "DATA", "the letter", "the final dot"}[p]
}

// queuePattern finds the name a server gives a letter it has taken.
var queuePattern = regexp.MustCompile(`(?i)(?:queued as|id=)\s*([A-Za-z0-9._+-]{1,64})`)

// queueID is the server's name for the letter, or its words, shortened.
func queueID(text string) string {
	if m := queuePattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	text = publicText(text)
	return text[:min(len(text), 100)]
}

// Check talks to each server up to the point where an envelope would follow.
// One that would have us is enough.
func (ch *channel) Check(ctx context.Context) error {
	var errs []error
	for _, s := range ch.pool.servers {
		c, end := s.dial(ctx, ch.pool.helo, s.cfg, ch.pool.timeout)
		if end == nil {
			c.quit()
			return nil
		}
		errs = append(errs, failureOf(end, s.addr))
	}
	return errors.Join(errs...)
}

// Close lets the kept connections go.
func (ch *channel) Close() error {
	ch.pool.close()
	return nil
}
