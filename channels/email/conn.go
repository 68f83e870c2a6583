package email

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"rapport/internal/failpoint"
)

// conn is one conversation with a server: dialled, encrypted, authenticated
// and ready for an envelope. It belongs to one Send at a time.
type conn struct {
	raw    net.Conn // the TCP connection, for ending it from outside
	client *smtp.Client
	r      *bufio.Reader
	w      *bufio.Writer

	pipelining, utf8, dsn, sizes bool
	maxSize                      int64 // octets; 0: not said

	letters int       // offered so far
	used    bool      // it was kept after an earlier letter
	reset   bool      // RSET is due before the next envelope
	doubt   bool      // something was not as the protocol wants it: close, do not keep
	idle    time.Time // since when nothing happened

	mu      sync.Mutex
	aborted bool
}

// arm gives the next step of the conversation its time, unless the caller has
// given up, in which case the step fails at once. Deadlines are real time,
// whatever clock the house runs on.
func (c *conn) arm(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		d = -time.Second
	}
	_ = c.raw.SetDeadline(time.Now().Add(d)) // a failure shows in the step itself
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
	if !c.doubt && c.client != nil {
		_ = c.client.Close()
	}
	_ = c.raw.Close()
}

// quit says goodbye and closes; a server that does not answer within a second
// is left without.
func (c *conn) quit() {
	c.arm(time.Second)
	if !c.doubt {
		_, _ = c.w.WriteString("QUIT\r\n")
		if c.w.Flush() == nil {
			_, _ = c.read()
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
func (c *conn) read() (reply, error) {
	var out reply
	var text []byte
	for range maxReplyLines {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return reply{}, fmt.Errorf("read the answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return reply{}, errProtocol
		}
		code, err := strconv.Atoi(string(line[:3]))
		if err != nil || code < 200 || code > 599 || out.code != 0 && code != out.code {
			return reply{}, errProtocol
		}
		out.code = code
		rest := line[min(4, len(line)):]
		if room := maxReplyText - len(text); room > 0 {
			if len(text) > 0 {
				text = append(text, ' ')
			}
			said := trimEnhanced(&out, rest)
			text = append(text, said[:min(room, len(said))]...)
		}
		if len(line) == 3 || line[3] == ' ' {
			out.text = string(text)
			return out, nil
		}
	}
	return reply{}, errProtocol
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
	r.enhanced = string(word)
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

// ended is how an exchange ended otherwise than well.
type ended struct {
	at    phase
	reply reply // the server's answer; zero when there was none
	err   error // what went wrong on our side of the answer
}

// exchange carries one letter. It returns the server's answer to the letter,
// or how the exchange ended. The octets of the letter follow only a 354.
func (c *conn) exchange(ctx context.Context, l letter, step, dot time.Duration) (reply, *ended) {
	stop := context.AfterFunc(ctx, c.abort)
	defer func() {
		if !stop() {
			c.doubt = true
		}
	}()
	if end := c.envelope(l, step); end != nil {
		return reply{}, end
	}
	failpoint.At("after_rcpt")
	return c.offer(l, step, dot)
}

// envelope sends MAIL, RCPT and DATA, in one write where the server allows it
// (RFC 2920), and reads their answers.
func (c *conn) envelope(l letter, step time.Duration) *ended {
	if end := c.inStep(atMail); end != nil {
		return end
	}
	steps := make([]string, 0, 4)
	phases := make([]phase, 0, 4)
	if c.reset {
		steps, phases = append(steps, "RSET\r\n"), append(phases, atMail)
	}
	steps = append(steps, c.mailFrom(l), c.rcptTo(l), "DATA\r\n")
	phases = append(phases, atMail, atRcpt, atData)
	if !c.pipelining {
		for i := range steps {
			if end := c.group(steps[i:i+1], phases[i:i+1], step); end != nil {
				return end
			}
		}
		return nil
	}
	return c.group(steps, phases, step)
}

// inStep makes sure that no answer is waiting that nobody asked for: it would
// be taken for the answer to what comes next, in the worst case to the letter.
func (c *conn) inStep(at phase) *ended {
	if c.r.Buffered() == 0 {
		return nil
	}
	c.doubt = true
	return &ended{at: at, err: errProtocol}
}

// group writes commands together and reads all their answers. The first
// refusal is the one that counts.
func (c *conn) group(steps []string, phases []phase, step time.Duration) *ended {
	c.arm(step)
	for _, s := range steps {
		_, _ = c.w.WriteString(s) // Flush tells
	}
	if err := c.w.Flush(); err != nil {
		c.doubt = true
		return &ended{at: phases[0], err: fmt.Errorf("write the envelope: %w", err)}
	}
	var first *ended
	for i, at := range phases {
		r, err := c.read()
		if err != nil {
			c.doubt = true
			if first == nil {
				first = &ended{at: at, err: err}
			}
			return first
		}
		want := r.ok()
		if at == atData {
			want = r.code == 354
		}
		if want && first != nil && at == atData {
			c.doubt = true // it would now read a letter that has no recipient
		}
		if !want {
			c.doubt = c.doubt || r.code < 400 || r.code == 421
			if first == nil {
				first = &ended{at: at, reply: r}
			}
		}
		if want && steps[i] == "RSET\r\n" {
			c.reset = false
		}
	}
	if first != nil {
		c.reset = true
	}
	return first
}

func (c *conn) mailFrom(l letter) string {
	cmd := "MAIL FROM:<" + l.from + ">"
	if c.sizes {
		cmd += " SIZE=" + strconv.Itoa(len(l.body))
	}
	if l.utf8 {
		cmd += " BODY=8BITMIME SMTPUTF8"
	}
	if c.dsn {
		cmd += " RET=HDRS ENVID=" + xtext(l.key)
	}
	return cmd + "\r\n"
}

func (c *conn) rcptTo(l letter) string {
	cmd := "RCPT TO:<" + l.to + ">"
	if c.dsn {
		cmd += " NOTIFY=FAILURE,DELAY"
		if !l.utf8 {
			cmd += " ORCPT=rfc822;" + xtext(l.to)
		}
	}
	return cmd + "\r\n"
}

// xtext is the encoding of RFC 3461 section 4.
func xtext(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if b := s[i]; b > ' ' && b <= '~' && b != '+' && b != '=' {
			out = append(out, b)
		} else {
			out = append(out, '+', upperHex[b>>4], upperHex[b&15])
		}
	}
	return string(out)
}

// slowest is the octets a second that a server must at least read.
const slowest = 4096

// offer sends the letter with its final dot and waits for the verdict. Until
// the last octet is written the server cannot have taken the letter; from
// then on, until it answers, it may have.
func (c *conn) offer(l letter, step, dot time.Duration) (reply, *ended) {
	if end := c.inStep(atData); end != nil {
		return reply{}, end
	}
	c.letters++
	c.arm(step + time.Duration(len(l.body)/slowest)*time.Second)
	_, err := c.w.Write(append(stuff(l.body), ".\r\n"...)) // one write: the dot follows in the same segment
	if err == nil {
		err = c.w.Flush()
	}
	if err != nil {
		c.doubt = true
		return reply{}, c.early(err)
	}
	failpoint.At("after_data_sent")
	c.arm(dot)
	r, err := c.read()
	switch {
	case err != nil:
		c.doubt = true
		return reply{}, &ended{at: atDot, err: err}
	case r.ok():
		c.reset = false
		return r, nil
	case r.code/100 < 4:
		c.doubt = true
	}
	c.doubt = c.doubt || r.code == 421
	return reply{}, &ended{at: atDot, reply: r}
}

// early looks for what a server said before it closed in the middle of a
// letter: the refusal tells more than the broken connection.
func (c *conn) early(cause error) *ended {
	c.arm(time.Second)
	if r, err := c.read(); err == nil && r.code >= 400 {
		return &ended{at: atBody, reply: r}
	}
	return &ended{at: atBody, err: fmt.Errorf("write the letter: %w", cause)}
}

// stuff doubles a dot at the beginning of a line (RFC 5321 section 4.5.2).
// The composer leaves none; what other composers write is made safe here.
func stuff(body []byte) []byte {
	if bytes.HasPrefix(body, []byte(".")) {
		body = append([]byte("."), body...)
	}
	if bytes.Contains(body, []byte("\n.")) {
		body = bytes.ReplaceAll(body, []byte("\n."), []byte("\n.."))
	}
	return body
}
