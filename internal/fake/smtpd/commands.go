package smtpd

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"rapport/internal/fake/journal"
)

func (s *session) helloCommand(ctx context.Context, extended bool, name string) error {
	if extended && s.srv.opts.NoEHLO {
		return s.say(502, "5.5.1", "EHLO is not known here")
	}
	if strings.TrimSpace(name) == "" {
		return s.say(501, "5.5.4", "who are you")
	}
	text := s.srv.opts.Name + " greets " + name
	if extended {
		text += s.extensions()
	}
	step := s.step(Hello)
	step.Hello = name
	_, err := s.play(ctx, step, reply{code: 250, text: text}, func(journal.Outcome, reply) {
		s.hello, s.extended, s.envelope = name, extended, envelope{}
	})
	return err
}

// extensions are the further lines of the answer to EHLO.
func (s *session) extensions() string {
	o := s.srv.opts
	var b strings.Builder
	offer := func(have bool, keyword string) {
		if have {
			b.WriteString("\n" + keyword)
		}
	}
	offer(o.Pipelining != Absent, "PIPELINING")
	offer(o.Size != Absent, "SIZE "+strconv.FormatInt(o.MaxSize, 10))
	offer(o.TLS != NoTLS && o.TLS != ImplicitTLS && s.tlsName == "", "STARTTLS")
	offer(s.authOffered(), "AUTH "+strings.Join(o.AuthMechanisms, " "))
	offer(o.EnhancedCodes == Works, "ENHANCEDSTATUSCODES")
	offer(o.EightBitMIME != Absent, "8BITMIME")
	offer(o.SMTPUTF8 != Absent, "SMTPUTF8")
	offer(o.DSN != Absent, "DSN")
	return b.String()
}

func (s *session) mailCommand(ctx context.Context, arg string) error {
	switch {
	case s.hello == "":
		return s.say(503, "5.5.1", "say EHLO first")
	case s.open:
		return s.say(503, "5.5.1", "there is a sender already")
	case s.srv.opts.TLSRequired && s.tlsName == "":
		return s.say(530, "5.7.0", "say STARTTLS first")
	case s.srv.opts.AuthRequired && s.user == "":
		return s.say(530, "5.7.0", "authentication required")
	}
	path, params, ok := splitPath(arg, "FROM:")
	if !ok {
		return s.say(501, "5.5.4", "expected MAIL FROM:<address>")
	}
	utf8Wanted, bad := s.checkMailParams(params)
	if bad != nil {
		return s.say(bad.code, bad.enhanced, bad.text)
	}
	if path != "" {
		if r := checkAddress(path, utf8Wanted); r != nil {
			return s.say(r.code, r.enhanced, r.text)
		}
	}
	step := s.step(Mail)
	step.From = path
	_, err := s.play(ctx, step, reply{code: 250, enhanced: "2.1.0", text: "sender noted"}, func(journal.Outcome, reply) {
		s.envelope = envelope{open: true, from: path, mailParams: params, utf8: utf8Wanted}
	})
	return s.lose(err)
}

// checkMailParams reads the parameters of MAIL and reports whether the message is
// SMTPUTF8, or what is wrong.
func (s *session) checkMailParams(params string) (utf8Wanted bool, bad *reply) {
	o := s.srv.opts
	if params != "" && !s.extended {
		return false, &reply{code: 555, enhanced: "5.5.4", text: "parameters need EHLO"}
	}
	for param := range strings.FieldsSeq(params) {
		key, value, _ := strings.Cut(param, "=")
		support := Absent
		switch strings.ToUpper(key) {
		case "BODY":
			support = o.EightBitMIME
			if v := strings.ToUpper(value); v != "7BIT" && v != "8BITMIME" {
				return false, &reply{code: 501, enhanced: "5.5.4", text: "BODY is 7BIT or 8BITMIME"}
			}
		case "SMTPUTF8":
			support, utf8Wanted = o.SMTPUTF8, true
		case "RET", "ENVID":
			support = o.DSN
		case "AUTH":
			if s.authOffered() {
				support = Works
			}
		case "SIZE":
			support = o.Size
			size, err := strconv.ParseInt(value, 10, 64)
			if err != nil || size < 0 {
				return false, &reply{code: 501, enhanced: "5.5.4", text: "SIZE is a number"}
			}
			if support == Works && size > o.MaxSize {
				return false, &reply{code: 552, enhanced: "5.3.4", text: "message too big"}
			}
		}
		if support != Works {
			return false, &reply{code: 555, enhanced: "5.5.4", text: "parameter not known: " + key}
		}
	}
	return utf8Wanted, nil
}

func (s *session) rcptCommand(ctx context.Context, arg string) error {
	if !s.open {
		return s.say(503, "5.5.1", "say MAIL first")
	}
	path, params, ok := splitPath(arg, "TO:")
	if !ok || path == "" {
		return s.say(501, "5.5.4", "expected RCPT TO:<address>")
	}
	if params != "" && (!s.extended || s.srv.opts.DSN != Works) {
		return s.say(555, "5.5.4", "parameters not known")
	}
	for param := range strings.FieldsSeq(params) {
		if key, _, _ := strings.Cut(strings.ToUpper(param), "="); key != "NOTIFY" && key != "ORCPT" {
			return s.say(555, "5.5.4", "parameter not known: "+key)
		}
	}
	if r := checkAddress(path, s.utf8); r != nil && !strings.EqualFold(path, "postmaster") {
		return s.say(r.code, r.enhanced, r.text)
	}
	if len(s.rcpts) >= s.srv.opts.MaxRcpts {
		return s.say(452, "4.5.3", "too many recipients")
	}
	to := To{Addr: path, Attempt: s.srv.attempt(path)}
	step := s.step(Rcpt)
	step.To = to
	_, err := s.play(ctx, step, reply{code: 250, enhanced: "2.1.5", text: "recipient noted"}, func(journal.Outcome, reply) {
		s.rcpts = append(s.rcpts, to)
		s.rcptParams = append(s.rcptParams, params)
	})
	return s.lose(err)
}

func (s *session) startTLSCommand(ctx context.Context, arg string) error {
	o := s.srv.opts
	switch {
	case o.TLS == NoTLS || o.TLS == ImplicitTLS:
		return s.say(502, "5.5.1", "STARTTLS is not known here")
	case s.tlsName != "":
		return s.say(503, "5.5.1", "the connection is encrypted already")
	case arg != "":
		return s.say(501, "5.5.4", "STARTTLS has no argument")
	case o.TLS == StartTLSRefused:
		return s.say(454, "4.7.0", "TLS not available for now")
	}
	had, err := s.play(ctx, s.step(TLSStart), reply{code: 220, enhanced: "2.0.0", text: "go ahead"}, nil)
	if err != nil || !had {
		return err
	}
	if err := s.c.flush(); err != nil {
		return err
	}
	if o.TLS == StartTLSGarbage {
		s.c.out = append(s.c.out, "this is not a handshake\r\n"...)
		s.hangUp()
		return errEnd
	}
	return s.handshake(ctx)
}

// splitPath takes "FROM:<address> PARAM=value" apart. The prefix is followed by
// the bracket at once (RFC 5321 section 3.3); a source route is dropped.
func splitPath(arg, prefix string) (path, params string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", false
	}
	arg = arg[len(prefix):]
	if !strings.HasPrefix(arg, "<") {
		return "", "", false
	}
	quoted, end := false, -1
	for i := 1; i < len(arg) && end < 0; i++ {
		switch {
		case quoted && arg[i] == '\\':
			i++
		case arg[i] == '"':
			quoted = !quoted
		case arg[i] == '>' && !quoted:
			end = i
		}
	}
	if end < 0 {
		return "", "", false
	}
	path, params = arg[1:end], arg[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", false
	}
	if strings.HasPrefix(path, "@") {
		_, path, _ = strings.Cut(path, ":")
	}
	return path, strings.TrimSpace(params), true
}

// checkAddress reports what is wrong with a mailbox, nil when nothing is.
func checkAddress(addr string, utf8Allowed bool) *reply {
	at := strings.LastIndexByte(addr, '@')
	bad := &reply{code: 553, enhanced: "5.1.3", text: "not an address"}
	if at < 1 || at == len(addr)-1 || len(addr) > 254 || !utf8.ValidString(addr) {
		return bad
	}
	local := addr[:at]
	quoted := len(local) > 1 && local[0] == '"' && local[len(local)-1] == '"'
	if strings.ContainsAny(addr[at:], " \"<>(),;\\") || !quoted && strings.ContainsAny(local, " \"<>(),;:\\@") {
		return bad
	}
	if !utf8Allowed && strings.ContainsFunc(addr, func(r rune) bool { return r >= 0x80 }) {
		return &reply{code: 553, enhanced: "5.6.7", text: "the address needs SMTPUTF8"}
	}
	return nil
}
