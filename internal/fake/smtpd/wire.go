package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	bufferSize  = 32 << 10
	scriptChunk = 4 << 10 // the largest reading of a body while a script is asked
	maxCommand  = 2048    // RFC 5321 asks for 512 and more for extensions
	maxAuthLine = 12288   // RFC 4954 section 4
)

var (
	errLongLine = errors.New("line too long")
	errBareLine = errors.New("line does not end with CR LF")
)

// wire is the connection with its two buffers. Answers gather in out and go out
// when there is nothing left to read, so that a pipelining sender gets them in
// one packet (RFC 2920 section 3.2).
type wire struct {
	conn net.Conn
	idle time.Duration
	in   []byte
	r, w int // in[r:w] has been read and not consumed
	out  []byte
}

func newWire(conn net.Conn, idle time.Duration) *wire {
	return &wire{conn: conn, idle: idle, in: make([]byte, bufferSize)}
}

// buffered is what has been read and not consumed.
func (c *wire) buffered() []byte { return c.in[c.r:c.w] }

// flush sends the gathered answers.
func (c *wire) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	return nil
}

// fill sends the gathered answers and reads at most limit octets more. The
// buffer must have room.
func (c *wire) fill(limit int) error {
	if err := c.flush(); err != nil {
		return err
	}
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return fmt.Errorf("set read deadline: %w", err)
	}
	n, err := c.conn.Read(c.in[c.w:min(len(c.in), c.w+limit)])
	c.w += n
	if n == 0 && err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// line reads one command line and returns it without its CR LF, valid until the
// next reading. A line that is too long or has a bare CR or LF is consumed up to
// its LF and reported as errLongLine or errBareLine.
func (c *wire) line(limit int) ([]byte, error) {
	tooLong := false
	for {
		buf := c.buffered()
		i := bytes.IndexByte(buf, '\n')
		if i < 0 && len(buf) > limit {
			tooLong = true
			c.r = c.w
		}
		if i < 0 {
			if err := c.fill(bufferSize); err != nil {
				return nil, err
			}
			continue
		}
		c.r += i + 1
		switch {
		case tooLong || i+1 > limit:
			return nil, errLongLine
		case i == 0 || buf[i-1] != '\r' || bytes.IndexByte(buf[:i-1], '\r') >= 0:
			return nil, errBareLine
		}
		return buf[:i-1], nil
	}
}

// body is the machine that finds the end of a message. It hands on the octets
// between two stuffed dots in one piece and never looks at them again.
type body struct {
	wire    *wire
	maxLine int
	limit   int            // the largest reading
	before  func() error   // asked before each reading; nil when nobody wants it
	take    func(b []byte) // gets the message in pieces, dots unstuffed
	lineLen int            // octets of the current line that are already handed on
	last    byte           // the octet before the current position
	fault   bodyFault      // the first fault found
	crs     int            // all CR seen
	crlfs   int            // all CR LF seen
}

type bodyFault uint8

const (
	noFault bodyFault = iota
	bareNewline
	longLine
)

// read consumes the message and its final dot. Only CR LF dot CR LF ends it
// (RFC 5321 section 4.1.1.4); a dot between bare line ends is content.
func (b *body) read() (bodyFault, error) {
	c := b.wire
	b.last = '\n'
	lineStart := true
	for {
		buf := c.buffered()
		span, pos := 0, 0
		for {
			i := bytes.IndexByte(buf[pos:], '\n')
			if i < 0 {
				break
			}
			end := pos + i + 1
			if lineStart && b.lineLen == 0 && buf[pos] == '.' {
				b.hand(buf[span:pos])
				if end-pos == 3 && buf[pos+1] == '\r' {
					c.r += end
					return b.verdict(), nil
				}
				span = pos + 1
				b.lineLen-- // the stuffed dot does not count
			}
			lineStart = b.endLine(buf, pos, end)
			pos = end
		}
		// What is left is the start of a line. It waits for its end, unless it
		// fills the buffer.
		if len(buf)-pos >= len(c.in)/2 {
			if lineStart && b.lineLen == 0 && buf[pos] == '.' {
				b.hand(buf[span:pos])
				span = pos + 1
				b.lineLen--
			}
			b.lineLen += len(buf) - pos
			pos = len(buf)
		}
		b.hand(buf[span:pos])
		c.r += pos
		if b.before != nil {
			if err := b.before(); err != nil {
				return b.fault, err
			}
		}
		if err := c.fill(b.limit); err != nil {
			return b.fault, err
		}
	}
}

// endLine judges the line buf[pos:end], whose beginning may have been handed on
// before, and reports whether the next octet starts a line by the rules.
func (b *body) endLine(buf []byte, pos, end int) bool {
	if b.lineLen+end-pos > b.maxLine && b.fault == noFault {
		b.fault = longLine
	}
	b.lineLen = 0
	before := b.last
	if end-pos > 1 {
		before = buf[end-2]
	}
	b.last = '\n'
	if before != '\r' {
		b.fault = bareNewline
		return false
	}
	b.crlfs++
	return true
}

func (b *body) hand(piece []byte) {
	if len(piece) == 0 {
		return
	}
	b.last = piece[len(piece)-1]
	b.crs += bytes.Count(piece, []byte{'\r'})
	b.take(piece)
}

func (b *body) verdict() bodyFault {
	if b.crs != b.crlfs {
		b.fault = bareNewline
	}
	return b.fault
}
