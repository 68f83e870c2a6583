package email

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// conn is one conversation with a server: dialled, encrypted, authenticated
// and ready for an envelope. It carries one letter at a time, or two where the
// server knows PIPELINING: see ride.
type conn struct {
	raw    net.Conn // the TCP connection, for ending it from outside
	client *smtp.Client

	pipelining, utf8, dsn, sizes bool
	maxSize                      int64 // octets; 0: not said

	// Of the letter whose turn it is.
	r       *bufio.Reader
	words   []byte // of the answer that is being read
	reset   bool   // RSET is due before the next envelope
	scratch []byte // room for what is written

	doubt atomic.Bool // something was not as the protocol wants it: close, do not keep

	// Guarded by the pool's mutex.
	taken   int       // letters that hold a place
	letters int       // letters it was given so far
	proven  bool      // a letter was taken over it
	out     bool      // the letter in front has its 354
	listed  bool      // it is among the server's connections with room
	idle    time.Time // since when nothing happened

	mu      sync.Mutex
	w       *bufio.Writer // of whoever set writing, or of the front
	front   *ride         // the answers that come next are its
	next    *ride         // comes behind it
	sent    bool          // the letter of the front is written
	writing bool          // somebody writes, with the mutex not held
	aborted bool
}

// arm gives the next step of the conversation its time, unless the caller has
// given up, in which case the step fails at once. Deadlines are real time,
// whatever clock the house runs on.
func (c *conn) arm(d time.Duration) { c.until(c.raw.SetDeadline, d) }

func (c *conn) until(set func(time.Time) error, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		d = -time.Second
	}
	_ = set(time.Now().Add(d)) // a failure shows in the step itself
}

// abort makes the step in hand and every later one fail.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	_ = c.raw.SetDeadline(time.Unix(1, 0))
}

// close ends the conversation without a word; with TLS only a healthy one
// gets the closing alert, which an unwilling peer could hold up.
func (c *conn) close() {
	if !c.doubt.Load() && c.client != nil {
		_ = c.client.Close()
	}
	_ = c.raw.Close()
}

// quit says goodbye and closes; a server that does not answer within a second
// is left without.
func (c *conn) quit() {
	c.arm(time.Second)
	if !c.doubt.Load() {
		_, _ = c.w.WriteString("QUIT\r\n")
		if c.w.Flush() == nil {
			_, _ = c.read(false)
		}
	}
	c.close()
}

const (
	maxReplyLines = 64
	maxReplyText  = 2048
)

var errProtocol = errors.New("the server does not speak SMTP as it should")

// read reads one reply (RFC 5321 section 4.2), bounded in lines and length.
// The words of an answer that says yes are kept when they are wanted.
func (c *conn) read(wanted bool) (reply, error) {
	var out reply
	c.words = c.words[:0]
	for range maxReplyLines {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return reply{}, fmt.Errorf("read the answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return reply{}, errProtocol
		}
		code := codeOf(line)
		if code < 200 || code > 599 || out.code != 0 && code != out.code {
			return reply{}, errProtocol
		}
		out.code = code
		if wanted || code >= 400 {
			c.listen(&out, line[min(4, len(line)):])
		}
		if len(line) == 3 || line[3] == ' ' {
			out.text = string(c.words)
			return out, nil
		}
	}
	return reply{}, errProtocol
}

// codeOf is the number of three digits that a line begins with; 0 if there is
// none.
func codeOf(line []byte) int {
	n := 0
	for _, b := range line[:3] {
		if b < '0' || b > '9' {
			return 0
		}
		n = 10*n + int(b-'0')
	}
	return n
}

// listen adds the words of a line to those of the answer.
func (c *conn) listen(r *reply, line []byte) {
	room := maxReplyText - len(c.words)
	if room <= 0 {
		return
	}
	if len(c.words) > 0 {
		c.words = append(c.words, ' ')
	}
	said := trimEnhanced(r, line)
	c.words = append(c.words, said[:min(room, len(said))]...)
}

// trimEnhanced takes the enhanced code off a line of text and remembers it.
func trimEnhanced(r *reply, line []byte) []byte {
	word, rest, _ := bytes.Cut(line, []byte(" "))
	if len(word) < 5 || len(word) > 9 || int(word[0]-'0') != r.code/100 || word[1] != '.' || bytes.Count(word, []byte(".")) != 2 {
		return line
	}
	for _, b := range word {
		if b != '.' && (b < '0' || b > '9') {
			return line
		}
	}
	if r.code >= 400 { // nobody asks for that of a yes
		r.enhanced = string(word)
	}
	return rest
}

// replyOf reads a reply out of an error of the library.
func replyOf(err error) reply {
	e, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return reply{}
	}
	r := reply{code: e.Code}
	var text []string
	for line := range strings.SplitSeq(e.Msg, "\n") {
		text = append(text, string(trimEnhanced(&r, []byte(line))))
	}
	r.text = strings.Join(text, " ")
	return r
}
