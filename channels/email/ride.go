package email

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"rapport/internal/failpoint"
)

// ride is one letter on a connection, from its envelope to the answer to its
// final dot. Two letters may ride at once where the server knows PIPELINING:
// the answers that come are those of the one in front, and behind its final
// dot stands the envelope of the next (RFC 2920), so that a letter costs one
// round trip. The letter of the next follows only when the front has been
// answered and the next has its 354.
type ride struct {
	*letter

	envelope   []byte // MAIL, RCPT and DATA, each with its line end
	rcpt, data int    // where RCPT and DATA begin
	turn       chan struct{}
	written    bool // the envelope is on the wire; guarded by conn.mu until the turn
	writes     bool // it is being written behind another letter by its own Send; guarded by conn.mu
}

// ended is how an exchange ended otherwise than well.
type ended struct {
	at     phase
	reply  reply // the server's answer; zero when there was none
	err    error // what went wrong on our side of the answer
	behind bool  // the connection ended with the letter before; of this one nothing was offered
}

var (
	errBehind = errors.New("the connection ended with the letter before")
	errTooOld = errors.New("the letter before took so long that the permission grew old")
)

// board takes the letter's place in the conversation and waits for its turn.
// Behind a letter that is out, the envelope is written at once. Permission
// has been given, and holds until the time given.
func (c *conn) board(ctx context.Context, r *ride, step time.Duration, until time.Time) *ended {
	c.mu.Lock()
	first := c.front == nil
	if first {
		c.front = r
		c.mu.Unlock()
	} else {
		c.next = r
		mine := c.sent && !c.writing && c.pipelining
		if mine {
			r.written, r.writes, c.writing = true, true, true
		}
		c.mu.Unlock()
		if mine {
			c.follow(r, min(step, time.Until(until)))
		}
		old := time.NewTimer(time.Until(until))
		defer old.Stop()
		select {
		case <-r.turn:
		case <-old.C:
			c.doubt.Store(true) // nobody else is to wait here
			if c.stepBack(r) {
				return tooOld()
			}
			<-r.turn
		case <-ctx.Done():
			if c.stepBack(r) {
				return &ended{at: atMail, err: context.Cause(ctx)}
			}
			<-r.turn
		}
	}
	switch {
	case ctx.Err() != nil:
		c.doubt.Store(c.doubt.Load() || r.written)
		return &ended{at: atMail, err: context.Cause(ctx)}
	case c.doubt.Load():
		return &ended{at: atMail, err: errBehind, behind: true}
	case !first && time.Now().After(until):
		c.doubt.Store(c.doubt.Load() || r.written)
		return tooOld()
	}
	return nil
}

func tooOld() *ended {
	return &ended{at: atMail, err: fmt.Errorf("%w: %w", errTooOld, context.DeadlineExceeded)}
}

// follow writes an envelope behind a letter that is out. Whatever goes wrong,
// the letter before still waits for its answer: only the writing ends.
func (c *conn) follow(r *ride, within time.Duration) {
	c.until(c.raw.SetWriteDeadline, within)
	if err := c.put(r.envelope); err != nil {
		c.doubt.Store(true)
	}
	c.mu.Lock()
	r.writes, c.writing = false, false
	c.mu.Unlock()
}

// stepBack gives the place behind up; false when the turn has come meanwhile.
// An envelope without its letter is taken back by closing.
func (c *conn) stepBack(r *ride) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != r {
		return false
	}
	c.next = nil
	if r.written {
		c.doubt.Store(true)
	}
	return true
}

// pass gives the turn to the letter behind, if r has it.
func (c *conn) pass(r *ride) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.front != r {
		return
	}
	c.front, c.next, c.sent = c.next, nil, false
	if c.front != nil {
		c.front.turn <- struct{}{}
	}
}

// giveUp makes the step in hand and every later one fail, if it is r's turn.
// Of an envelope that its own Send is writing behind another letter only the
// writing fails; the writing of the letter in front does not.
func (c *conn) giveUp(r *ride) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.front == r:
		c.aborted = true
		_ = c.raw.SetDeadline(time.Unix(1, 0))
	case c.next == r && r.writes:
		_ = c.raw.SetWriteDeadline(time.Unix(1, 0))
	}
}

// put writes in one piece.
func (c *conn) put(b []byte) error {
	_, err := c.putSome(b)
	return err
}

// putSome also tells how many octets may have reached the server when it fails.
func (c *conn) putSome(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if err == nil {
		err = c.w.Flush()
	}
	return n - c.w.Buffered(), err
}

// command is one line of an envelope.
type command struct {
	text []byte // nil: RSET
	at   phase
}

func (l command) append(dst []byte) []byte {
	if l.text == nil {
		return append(dst, "RSET\r\n"...)
	}
	return append(dst, l.text...)
}

// envelope sends what is not written yet of RSET, MAIL, RCPT and DATA, in one
// write where the server allows it, and reads the answers. The first refusal is
// the one that counts.
func (c *conn) envelope(r *ride, step time.Duration) *ended {
	lines := [4]command{
		{nil, atMail}, {r.envelope[:r.rcpt], atMail}, {r.envelope[r.rcpt:r.data], atRcpt}, {r.envelope[r.data:], atData},
	}
	todo := lines[1:]
	if !r.written {
		if end := c.inStep(atMail); end != nil {
			return end
		}
		if c.reset {
			todo = lines[:]
		}
		if c.pipelining {
			c.scratch = c.scratch[:0]
			for _, l := range todo {
				c.scratch = l.append(c.scratch)
			}
			if end := c.say(c.scratch, atMail, step); end != nil {
				return end
			}
		}
	}
	if c.pipelining {
		c.until(c.raw.SetReadDeadline, step)
	}
	return c.answers(todo, step)
}

// say writes commands.
func (c *conn) say(text []byte, at phase, step time.Duration) *ended {
	c.arm(step)
	if err := c.put(text); err != nil {
		c.doubt.Store(true)
		return &ended{at: at, err: fmt.Errorf("write the envelope: %w", err)}
	}
	return nil
}

// answers reads the answer to each line; without PIPELINING it also writes
// the line first, and no more after a refusal.
func (c *conn) answers(lines []command, step time.Duration) *ended {
	var first *ended
	nobody := false // the recipient was refused
	for _, l := range lines {
		if !c.pipelining {
			c.scratch = l.append(c.scratch[:0])
			if end := c.say(c.scratch, l.at, step); end != nil {
				return end
			}
		}
		r, err := c.read(false)
		if err != nil {
			c.doubt.Store(true)
			if first == nil {
				first = &ended{at: l.at, err: err}
			}
			return first
		}
		yes := r.ok()
		if l.at == atData {
			yes = r.code == 354
		}
		switch {
		case yes && l.at == atData && first != nil:
			c.takeBack(nobody, step)
		case yes && l.text == nil:
			c.reset = false
		case !yes:
			if first == nil {
				first = &ended{at: l.at, reply: r}
			}
			nobody = nobody || l.at == atRcpt && r.code >= 400
			if r.code < 400 || r.code == 421 {
				c.doubt.Store(true)
				return first
			}
		}
		if first != nil && !c.pipelining {
			break
		}
	}
	if first != nil {
		c.reset = true
	}
	return first
}

// takeBack ends a letter that the server asks for although the envelope was
// refused. Nobody is in the envelope, so a lone dot ends it (RFC 2920 section
// 3.1) and reaches nobody, whatever the server says to it. When the recipient
// was not refused, the empty letter could reach them: then the connection is
// closed instead.
func (c *conn) takeBack(nobody bool, step time.Duration) {
	if !nobody || c.r.Buffered() > 0 || c.say([]byte(".\r\n"), atData, step) != nil {
		c.doubt.Store(true)
		return
	}
	if r, err := c.read(false); err != nil || r.code == 421 || r.code/100 == 3 {
		c.doubt.Store(true)
	}
}

// inStep makes sure that no answer is waiting that nobody asked for: it would
// be taken for the answer to what comes next, in the worst case to the letter.
func (c *conn) inStep(at phase) *ended {
	if c.r.Buffered() == 0 {
		return nil
	}
	c.doubt.Store(true)
	return &ended{at: at, err: errProtocol}
}

// appendEnvelope writes what comes before the letter, as this server likes it.
func (c *conn) appendEnvelope(r *ride) {
	b := append(append(append(r.envelope[:0], "MAIL FROM:<"...), r.from...), '>')
	if c.sizes {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(len(r.body)), 10)
	}
	if r.utf8 {
		b = append(b, " BODY=8BITMIME SMTPUTF8"...)
	}
	if c.dsn {
		b = appendXtext(append(b, " RET=HDRS ENVID="...), r.key)
	}
	b = append(b, '\r', '\n')
	r.rcpt = len(b)
	b = append(append(append(b, "RCPT TO:<"...), r.to...), '>')
	if c.dsn {
		b = append(b, " NOTIFY=FAILURE,DELAY"...)
		if !r.utf8 {
			b = appendXtext(append(b, " ORCPT=rfc822;"...), r.to)
		}
	}
	b = append(b, '\r', '\n')
	r.data = len(b)
	r.envelope = append(b, "DATA\r\n"...)
}

// appendXtext is the encoding of RFC 3461 section 4.
func appendXtext(dst []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b > ' ' && b <= '~' && b != '+' && b != '=' {
			dst = append(dst, b)
		} else {
			dst = append(dst, '+', upperHex[b>>4], upperHex[b&15])
		}
	}
	return dst
}

// slowest is the octets a second that a server must at least read.
const slowest = 4096

// offer sends the letter with its final dot, and behind it the envelope of the
// next if there is one, and waits for the verdict. Until the final dot is
// written the server cannot have taken the letter; from then on, until it
// answers, it may have.
func (c *conn) offer(r *ride, step, dot time.Duration) (reply, *ended) {
	if end := c.inStep(atData); end != nil {
		return reply{}, end
	}
	r.body = append(r.body, ".\r\n"...) // no line of it begins with a dot
	whole := len(r.body)
	c.arm(step + time.Duration(whole/slowest)*time.Second)
	c.mu.Lock()
	c.writing = true
	r.body = c.takeNext(r.body)
	c.mu.Unlock()
	n, err := c.putSome(r.body)
	r.body = r.body[:whole]
	if n < whole && err != nil {
		c.doubt.Store(true)
		return reply{}, c.early(err)
	}
	c.behind(err)
	failpoint.At("after_data_sent")
	c.until(c.raw.SetReadDeadline, dot)
	answer, err := c.read(true)
	switch {
	case err != nil:
		c.doubt.Store(true)
		return reply{}, &ended{at: atDot, err: err}
	case answer.ok():
		return answer, nil
	case answer.code/100 < 4, answer.code == 421:
		c.doubt.Store(true)
	}
	return reply{}, &ended{at: atDot, reply: answer}
}

// takeNext appends the envelope of the letter behind, if it waits to be
// written. The mutex is held.
func (c *conn) takeNext(dst []byte) []byte {
	if c.next == nil || c.next.written || !c.pipelining {
		return dst
	}
	c.next.written = true
	return append(dst, c.next.envelope...)
}

// behind writes what the letter behind handed in while the one in front was
// being written, and leaves the writing to whoever comes later.
func (c *conn) behind(err error) {
	for {
		c.mu.Lock()
		if err != nil {
			c.doubt.Store(true) // the letter is out, what is behind it is not
		}
		c.scratch = c.scratch[:0]
		if err == nil {
			c.scratch = c.takeNext(c.scratch)
		}
		if len(c.scratch) == 0 {
			c.sent, c.writing = true, false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		err = c.put(c.scratch)
	}
}

// early looks for what a server said before it closed in the middle of a
// letter: the refusal tells more than the broken connection.
func (c *conn) early(cause error) *ended {
	c.arm(time.Second)
	if r, err := c.read(false); err == nil && r.code >= 400 {
		return &ended{at: atBody, reply: r}
	}
	return &ended{at: atBody, err: fmt.Errorf("write the letter: %w", cause)}
}
