package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"rapport/channels"
	"rapport/internal/failpoint"
)

// errNeutral tells the breaker that an attempt says nothing about the server.
var errNeutral = errors.New("says nothing about the server")

// channel is an open email channel.
type channel struct {
	compose    *composer
	pool       *pool
	dotTimeout time.Duration
	permission time.Duration // how long Depart's word holds until the letter itself is offered
	attempts   sync.Pool     // *attempt, with their buffers
}

// permissionHolds: a server may hang for minutes before it fails. Whoever says
// no meanwhile is heard: another server is only tried within this time, later
// the delivery goes home and asks again.
const permissionHolds = 10 * time.Second

// slowAnswer is how long the answer to a letter takes at a server where no
// letter rides behind another: its permission would grow old.
const slowAnswer = time.Second

// bufferKeep is the largest buffer that is kept for the next letter.
const bufferKeep = 1 << 20

// again is how often a letter takes another connection because the one it had
// was dead. One that ended with the letter before is not counted: that letter
// is through, so this comes to an end by itself.
const again = 3

// attempt is one Send under way.
type attempt struct {
	message channels.Message
	letter  letter
	ride    ride
	seat    seat
	waiter  waiter
	left    time.Time // when Depart agreed, in real time; zero: not called yet
	moves   int       // connections that were dead
}

// Concurrency is how many Sends at once keep all connections busy: behind a
// letter that is out rides the next, and a third is ready. With a pace, of the
// whole channel or of a server, each connection carries one letter, so that
// what has departed does not bunch up.
func (ch *channel) Concurrency(paced bool) int {
	n := 0
	for _, s := range ch.pool.servers {
		if paced || s.interval > 0 {
			n += s.connections
		} else {
			n += 3 * s.connections
		}
	}
	return n
}

// Send composes m and hands it to one of the servers.
func (ch *channel) Send(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	a, ok := ch.attempts.Get().(*attempt)
	if !ok {
		a = &attempt{ride: ride{turn: make(chan struct{}, 1)}, waiter: waiter{got: make(chan seat, 1)}}
		a.ride.letter = &a.letter
	}
	var err error
	if a.letter, err = ch.compose.compose(a.letter.body[:0], m); err != nil {
		ch.recycle(a)
		return channels.Receipt{}, err
	}
	a.message = m
	a.waiter.rank = general
	if m.Class == channels.Transactional {
		a.waiter.rank = personal
	}
	receipt, err := ch.deliver(ctx, a)
	ch.recycle(a)
	return receipt, err
}

// recycle keeps the buffers for another letter.
func (ch *channel) recycle(a *attempt) {
	if cap(a.letter.body) > bufferKeep {
		return
	}
	a.message, a.seat, a.left, a.moves = channels.Message{}, seat{}, time.Time{}, 0
	a.letter = letter{body: a.letter.body}
	a.waiter.tried = a.waiter.tried[:0]
	ch.attempts.Put(a)
}

// leave asks for permission, once.
func (a *attempt) leave(ctx context.Context) error {
	if !a.left.IsZero() {
		return nil
	}
	if err := a.message.Leave(ctx); err != nil {
		return err
	}
	a.left, a.waiter.rank = time.Now(), departed
	return nil
}

// mayGoOn says whether the letter may be tried over another connection.
func (ch *channel) mayGoOn(ctx context.Context, a *attempt) bool {
	return ctx.Err() == nil && (a.left.IsZero() || time.Since(a.left) < ch.permission)
}

// deliver tries one server after the other, as long as each has provably not
// taken the letter.
func (ch *channel) deliver(ctx context.Context, a *attempt) (channels.Receipt, error) {
	var worst *channels.Failure
	for {
		var err error
		if a.seat, err = ch.pool.take(ctx, &a.waiter); err != nil {
			if worst == nil {
				worst = ch.noSeat(err)
			}
			return channels.Receipt{}, worst
		}
		if worst != nil && !ch.mayGoOn(ctx, a) { // it waited long for the seat
			ch.pool.release(&a.seat, &a.ride, errNeutral, nil)
			return channels.Receipt{}, worst
		}
		out := ch.via(ctx, a)
		switch {
		case out.refused != nil:
			return channels.Receipt{}, out.refused
		case out.late:
			return channels.Receipt{}, worst
		case out.failure == nil:
			return out.receipt, nil
		}
		if worst == nil || worst.Verdict == channels.Broken || out.failure.Verdict != channels.Broken {
			worst = out.failure // one server that may recover keeps the channel from being broken
		}
		switch {
		case out.again:
		case out.moveOn && ch.mayGoOn(ctx, a):
			a.waiter.tried = append(a.waiter.tried, a.seat.server)
		default:
			return channels.Receipt{}, worst
		}
	}
}

// noSeat is the failure when no server could even be asked.
func (ch *channel) noSeat(err error) *channels.Failure {
	switch {
	case errors.Is(err, errNoServer):
		return &channels.Failure{Verdict: channels.Throttled, Reason: lostConnection, After: ch.pool.pause(), Err: err}
	case errors.Is(err, errClosed):
		return &channels.Failure{Verdict: channels.Temporary, Reason: lostConnection, Err: err}
	}
	return &channels.Failure{Verdict: channels.Temporary, Reason: timedOut, Err: fmt.Errorf("wait for a connection: %w", err)}
}

// outcome is what became of an attempt at one server: exactly one of receipt,
// failure, refused and late counts.
type outcome struct {
	receipt channels.Receipt
	failure *channels.Failure
	refused error // Depart's own error
	late    bool  // on the way here the permission grew old; what was said before counts
	moveOn  bool  // another server may be tried
	again   bool  // the connection was dead before it was used; the letter waits for another
}

// via carries the letter to one server and gives the seat back.
func (ch *channel) via(ctx context.Context, a *attempt) outcome {
	s := &a.seat
	defer func() {
		if s.done != nil { // a crash, in Depart or here: nobody may wait for this seat for ever
			if s.conn != nil {
				s.conn.doubt.Store(true)
			}
			ch.pool.release(s, &a.ride, errNeutral, nil)
		}
	}()
	if err := ch.pool.pace(ctx, s.server); err != nil {
		ch.pool.release(s, &a.ride, errNeutral, nil)
		return outcome{failure: ch.noSeat(err)}
	}
	if s.conn == nil {
		if end := ch.pool.dial(ctx, s); end != nil {
			return ch.failed(ctx, a, end)
		}
	}
	if f := s.conn.fits(a.letter, s.addr); f != nil {
		ch.pool.release(s, &a.ride, nil, nil)
		return outcome{failure: f}
	}
	if s.conn.doubt.Load() {
		return ch.failed(ctx, a, &ended{at: atMail, err: errBehind, behind: true})
	}
	if !a.left.IsZero() && !ch.mayGoOn(ctx, a) { // the pace or the dialling took long
		ch.pool.release(s, &a.ride, errNeutral, nil)
		return outcome{late: true}
	}
	if err := a.leave(ctx); err != nil {
		ch.pool.release(s, &a.ride, errNeutral, nil)
		return outcome{refused: err}
	}
	answer, end := ch.carry(ctx, a)
	if end != nil {
		return ch.failed(ctx, a, end)
	}
	ch.pool.release(s, &a.ride, nil, nil)
	return outcome{receipt: channels.Receipt{ProviderID: queueID(answer.text), Server: s.addr, At: ch.compose.now()}}
}

// carry takes one letter through its conversation. It returns the server's
// answer to the letter, or how the exchange ended. The octets of the letter
// follow only a 354.
func (ch *channel) carry(ctx context.Context, a *attempt) (reply, *ended) {
	s, r, c, step := &a.seat, &a.ride, a.seat.conn, ch.pool.timeout
	r.written = false
	c.appendEnvelope(r)
	stop := context.AfterFunc(ctx, func() { c.giveUp(r) })
	defer func() {
		if !stop() {
			c.doubt.Store(true)
		}
	}()
	if end := c.board(ctx, r, step, a.left.Add(ch.permission)); end != nil {
		return reply{}, end
	}
	begin := time.Now()
	defer func() { s.slow.Store(time.Since(begin) > slowAnswer) }()
	if end := c.envelope(r, step); end != nil {
		return reply{}, end
	}
	failpoint.At("after_rcpt")
	if ch.pool.open(s) {
		runtime.Gosched() // who rides behind may be ready to go out in the same write
	}
	return c.offer(r, step, ch.dotTimeout)
}

// failed judges how an exchange ended and gives the seat back. When the server
// had closed the connection before it was used, or it ended with the letter
// before, nothing of this letter was offered and the permission still holds:
// it waits for another connection.
func (ch *channel) failed(ctx context.Context, a *attempt, end *ended) outcome {
	f := failureOf(end, a.seat.addr)
	out := outcome{failure: f, moveOn: movesOn(end.at, f)}
	verdict := blame(ctx, end, f)
	var w *waiter
	dead := a.seat.used && end.at == atMail && (end.reply.code == 0 || end.reply.code == 421)
	if (dead && a.moves < again || end.behind) && ch.mayGoOn(ctx, a) {
		w, out.again, verdict = &a.waiter, true, errNeutral
		a.seat.conn.doubt.Store(true)
		if !end.behind {
			a.moves++
			ch.pool.forget(a.seat.server)
		}
	}
	switch {
	case f.Scope != channels.OneServer:
	case len(ch.pool.servers) == 1:
		f.Scope = channels.WholeChannel // nobody stands in
	case w == nil && f.After > 0:
		ch.pool.rest(a.seat.server, f.After)
	}
	ch.pool.release(&a.seat, &a.ride, verdict, w)
	return out
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
		// A domain that asks for less is not asked through another server.
		return at <= atData && f.Scope != channels.OneDomain
	case channels.Rejected, channels.Malformed, channels.Uncertain:
	}
	return false
}

// blame is what the breaker is told: only trouble with the server counts.
func blame(ctx context.Context, end *ended, f *channels.Failure) error {
	switch {
	case ctx.Err() != nil, end.behind, errors.Is(end.err, errTooOld):
		return errNeutral
	case f.Scope == channels.OneDomain: // the server only passes it on
		return nil
	case f.Verdict == channels.Throttled, f.Verdict == channels.Broken, end.reply.code == 0, end.at < atMail:
		return f
	}
	return nil
}

// String names the phase for people.
func (p phase) String() string {
	return [...]string{"the greeting", "EHLO", "TLS", "AUTH", "MAIL", "RCPT", "DATA", "the letter", "the final dot"}[p]
}

// queueID is the server's name for the letter, behind "queued as" or "id=", or
// else its words, shortened.
func queueID(text string) string {
	const most = 64
	for i := range len(text) {
		rest := text[i:]
		switch {
		case len(rest) > 9 && strings.EqualFold(rest[:9], "queued as"):
			rest = rest[9:]
		case len(rest) > 3 && strings.EqualFold(rest[:3], "id="):
			rest = rest[3:]
		default:
			continue
		}
		rest = strings.TrimLeft(rest, " \t\r\n\f")
		n := 0
		for n < min(len(rest), most) && isNameOctet(rest[n]) {
			n++
		}
		if n > 0 {
			return rest[:n]
		}
	}
	if strings.Contains(text, "@") {
		text = publicText(text)
	} else {
		text = oneLine(text)
	}
	return text[:min(len(text), 100)]
}

func isNameOctet(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._+-", c) >= 0
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
