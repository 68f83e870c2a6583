package smtpd

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"rapport/internal/fake/journal"
)

func (s *session) authOffered() bool {
	return s.srv.opts.Users != nil && (!s.srv.opts.AuthAfterTLS || s.tlsName != "")
}

// authCommand is AUTH PLAIN (RFC 4616) or AUTH LOGIN.
func (s *session) authCommand(ctx context.Context, arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	switch {
	case !s.extended || s.srv.opts.Users == nil:
		return s.say(502, "5.5.1", "AUTH is not known here")
	case !s.authOffered():
		return s.say(538, "5.7.11", "say STARTTLS first")
	case s.user != "" || s.open:
		return s.say(503, "5.5.1", "not now")
	case !slices.Contains(s.srv.opts.AuthMechanisms, mechanism):
		return s.say(504, "5.5.4", "mechanism not known")
	case s.srv.opts.AuthBroken:
		return s.say(454, "4.7.0", "authentication is out of order")
	}
	var user, password string
	var err error
	switch mechanism {
	case "PLAIN":
		user, password, err = s.authPlain(initial)
	case "LOGIN":
		user, password, err = s.authLogin(initial)
	default:
		return s.say(504, "5.5.4", "mechanism not spoken")
	}
	switch {
	case errors.Is(err, errAuthText):
		return s.say(501, "5.5.2", "cancelled, or not base64")
	case errors.Is(err, errLongLine) || errors.Is(err, errBareLine):
		return s.say(500, "5.5.6", "not a line of AUTH")
	case err != nil:
		return err
	}
	r := reply{code: 535, enhanced: "5.7.8", text: "name or password is wrong"}
	want, known := s.srv.opts.Users[user]
	right := subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1 && known
	if right {
		r = reply{code: 235, enhanced: "2.7.0", text: "welcome"}
	}
	_, err = s.play(ctx, s.step(Auth), r, func(_ journal.Outcome, r reply) {
		if r.positive(Auth) {
			s.user = user
		}
	})
	return err
}

var errAuthText = errors.New("not an answer to a challenge")

// challenge sends a challenge and reads its answer.
func (s *session) challenge(text string) (string, error) {
	s.c.out = append(s.c.out, "334 "+base64.StdEncoding.EncodeToString([]byte(text))+"\r\n"...)
	line, err := s.c.line(maxAuthLine)
	if err != nil {
		return "", err
	}
	return decodeAuth(string(line))
}

func decodeAuth(text string) (string, error) {
	if text == "=" {
		return "", nil
	}
	out, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errAuthText
	}
	return string(out), nil
}

func (s *session) authPlain(initial string) (user, password string, err error) {
	var text string
	if initial == "" {
		text, err = s.challenge("")
	} else {
		text, err = decodeAuth(initial)
	}
	if err != nil {
		return "", "", err
	}
	parts := strings.Split(text, "\x00")
	if len(parts) != 3 {
		return "", "", errAuthText
	}
	return parts[1], parts[2], nil
}

func (s *session) authLogin(initial string) (user, password string, err error) {
	if initial == "" {
		user, err = s.challenge("Username:")
	} else {
		user, err = decodeAuth(initial)
	}
	if err != nil {
		return "", "", err
	}
	password, err = s.challenge("Password:")
	return user, password, err
}
