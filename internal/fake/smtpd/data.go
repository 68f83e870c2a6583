package smtpd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"strings"

	"rapport/internal/fake/journal"
)

// maxHeader is how much of a header block is looked at.
const maxHeader = 256 << 10

// letter gathers what is to be kept of a message while it comes in.
type letter struct {
	keep   Keep
	max    int64
	size   int64
	digest hash.Hash
	text   []byte // the whole message, or its beginning up to maxHeader
}

func (l *letter) take(piece []byte) {
	l.size += int64(len(piece))
	if l.keep == KeepNothing {
		return
	}
	l.digest.Write(piece)
	room := l.max
	if l.keep == KeepHeaders {
		room = maxHeader
	}
	room -= int64(len(l.text))
	l.text = append(l.text, piece[:min(int64(len(piece)), max(room, 0))]...)
}

// scratch is the memory of the last message for the next one, unless it was large.
func scratch(text []byte) []byte {
	if cap(text) > 1<<20 {
		return nil
	}
	return text[:0]
}

func (s *session) dataCommand(ctx context.Context, arg string) error {
	switch {
	case arg != "":
		return s.say(501, "5.5.4", "DATA has no argument")
	case !s.open:
		return s.say(503, "5.5.1", "say MAIL first")
	case len(s.rcpts) == 0 && !s.srv.opts.DataAlways:
		return s.say(554, "5.5.1", "no valid recipients")
	}
	had, err := s.play(ctx, s.messageStep(Data, 0), reply{code: 354, text: "end with a dot on a line of its own"}, nil)
	if err != nil || !had {
		return err
	}
	return s.message(ctx)
}

// message reads the body, and takes or refuses the message.
func (s *session) message(ctx context.Context) error {
	o := s.srv.opts
	l := &letter{keep: o.Keep, max: o.MaxSize, text: s.scratch}
	defer func() { s.scratch = scratch(l.text) }()
	if o.Keep != KeepNothing {
		l.digest = sha256.New()
	}
	in := body{wire: s.c, maxLine: o.MaxLine, limit: bufferSize, take: l.take}
	if o.Script != nil {
		in.limit = scriptChunk
		in.before = func() error { return s.playBody(ctx, s.messageStep(Body, l.size)) }
		if err := in.before(); err != nil {
			return err
		}
	}
	fault, err := in.read()
	if err != nil {
		return err
	}
	step := s.messageStep(Dot, l.size)
	s.messages++
	defer func() { s.envelope = envelope{} }()
	r := refusal(fault, l.size, o.MaxSize)
	if r == nil && len(s.rcpts) == 0 {
		r = &reply{code: 554, enhanced: "5.5.1", text: "no valid recipients"}
	}
	if r != nil {
		s.record(step, journal.Refused, *r)
		return s.say(r.code, r.enhanced, r.text)
	}
	_, err = s.play(ctx, step, reply{code: 250, enhanced: "2.0.0", text: "taken"}, func(told journal.Outcome, r reply) {
		s.accept(l, told, r)
	})
	return err
}

func refusal(fault bodyFault, size, limit int64) *reply {
	switch {
	case fault == bareNewline:
		return &reply{code: 554, enhanced: "5.6.11", text: "the message has a bare CR or LF"}
	case fault == longLine:
		return &reply{code: 554, enhanced: "5.6.0", text: "the message has a line that is too long"}
	case size > limit:
		return &reply{code: 552, enhanced: "5.3.4", text: "message too big"}
	}
	return nil
}

// playBody lets the script act inside the body, where only waiting and ending
// make sense: an answer of its own is given at once and ends the session.
func (s *session) playBody(ctx context.Context, step Step) error {
	a := s.srv.opts.Script(step)
	if err := s.wait(ctx, a.before+a.drip); err != nil {
		return err
	}
	switch {
	case a.answers():
		r := reply{code: a.code, enhanced: a.enhanced, text: a.text, raw: a.raw}
		s.record(step, journal.Refused, r)
		if err := s.answer(ctx, r, a.drip); err != nil {
			return err
		}
		s.hangUp()
		return errEnd
	case a.end == goOn:
		return nil
	case a.end == silent || a.end == stalled:
		return s.vanish(ctx, stalled, step)
	}
	return s.vanish(ctx, a.end, step)
}

// accept keeps a message and records it, before the sender is answered.
func (s *session) accept(l *letter, told journal.Outcome, r reply) {
	o := s.srv.opts
	entry := journal.Entry{
		Time: o.Now(), Session: s.number, Peer: s.peer, From: s.from, Size: l.size, Outcome: told, Code: r.code,
	}
	if told == journal.ReplyLost {
		entry.Code = 0
	}
	if o.Keep != KeepNothing {
		header := headerBlock(l.text)
		entry.Digest = hex.EncodeToString(l.digest.Sum(nil))
		entry.Meta = s.meta()
		for name, value := range fields(header) {
			if strings.EqualFold(name, "Message-ID") {
				entry.Key = value
			}
			for _, want := range o.JournalHeaders {
				if !strings.EqualFold(name, want) {
					continue
				}
				if before, twice := entry.Meta[want]; twice {
					value = before + "\n" + value
				}
				entry.Meta[want] = value
			}
		}
		s.srv.box.add(newMessage(entry, s.rcpts, header, l))
	}
	for i, to := range s.rcpts {
		e := entry
		e.To = to.Addr
		if p := s.rcptParams[i]; p != "" && e.Meta != nil {
			e.Meta = maps.Clone(e.Meta)
			e.Meta["rcpt"] = p
		}
		o.Journal.Add(e)
	}
}

// meta is what the journal says of the session beside the message.
func (s *session) meta() map[string]string {
	m := map[string]string{"hello": s.hello}
	if s.tlsName != "" {
		m["tls"] = s.tlsName
	}
	if s.user != "" {
		m["user"] = s.user
	}
	if s.mailParams != "" {
		m["mail"] = s.mailParams
	}
	return m
}

// record writes what was not taken to the journal, once for each recipient it
// was for. Stages without a recipient leave no trace.
func (s *session) record(step Step, outcome journal.Outcome, r reply) {
	to := step.All
	switch step.Stage {
	case Rcpt:
		to = []To{step.To}
	case Data, Body, Dot:
	default:
		return
	}
	for _, rcpt := range to {
		e := journal.Entry{
			Time: s.srv.opts.Now(), Session: s.number, Peer: s.peer, From: step.From, To: rcpt.Addr,
			Size: step.Read, Outcome: outcome, Code: r.code,
		}
		if s.srv.opts.Keep != KeepNothing {
			e.Meta = s.meta()
			e.Meta["stage"] = step.Stage.String()
			if r.text != "" {
				e.Meta["reply"] = strings.TrimSpace(r.enhanced + " " + r.text)
			}
		}
		s.srv.opts.Journal.Add(e)
	}
}

// headerBlock is the header of a message without the empty line after it.
func headerBlock(text []byte) []byte {
	if bytes.HasPrefix(text, []byte("\r\n")) {
		return nil
	}
	if i := bytes.Index(text, []byte("\r\n\r\n")); i >= 0 {
		return text[:i+2]
	}
	return text
}

// fields yields the header fields as name and unfolded value, in order. Lines
// that are no field are passed over.
func fields(header []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		var name string
		var value []byte
		have := false
		for line := range bytes.SplitSeq(header, []byte("\r\n")) {
			if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
				value = append(value, line...)
				continue
			}
			if have && !yield(name, string(bytes.TrimSpace(value))) {
				return
			}
			n, v, ok := bytes.Cut(line, []byte{':'})
			name, value, have = string(bytes.TrimSpace(n)), bytes.Clone(v), ok && len(n) > 0
		}
		if have {
			yield(name, string(bytes.TrimSpace(value)))
		}
	}
}
