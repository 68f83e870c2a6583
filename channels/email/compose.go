package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"rapport/channels"
)

// composer writes letters. It holds what is the same in all of them and is
// safe for concurrent use.
type composer struct {
	from    string // the address alone
	utf8    bool   // from needs SMTPUTF8
	sender  string // the From field, ready
	domain  string // of from: right side of Message-ID
	bounces string // domain of the return path
	lists   string // domain of List-Id
	replyTo string // the Reply-To field of the channel, ready; empty: none
	signer  *signer
	now     func() time.Time

	// The fields that letters of a run have in common.
	subject, list, reply remembered
}

// remembered is a header field that was made last, and what it was made from.
type remembered struct {
	last atomic.Pointer[[2]string]
}

// of returns the field that is made from text.
func (r *remembered) of(text string, field func(text string) (string, error)) (string, error) {
	if last := r.last.Load(); last != nil && last[0] == text {
		return last[1], nil
	}
	made, err := field(text)
	if err == nil {
		r.last.Store(&[2]string{text, made})
	}
	return made, err
}

// letter is a composed message: what goes over the wire, and in which envelope.
type letter struct {
	from string // MAIL FROM
	to   string // RCPT TO
	key  string // for the envelope ID of RFC 3461
	utf8 bool   // needs SMTPUTF8 (RFC 6531)
	body []byte // the whole message with CR LF line ends, no line begins with a dot
}

// compose writes m into buf, which it may grow. The same message gives the
// same Message-ID each time. Errors are failures that no repeat will heal.
func (c *composer) compose(buf []byte, m channels.Message) (letter, error) {
	l := letter{to: m.To, key: idOf(m.Key), body: buf}
	if err := checkAddress(m.To); err != nil {
		return l, malformed(badAddress(err))
	}
	var err error
	if l.from, err = c.returnPath(m.Return); err != nil {
		return l, malformed(err)
	}
	reply := c.replyTo
	if m.ReplyTo != "" {
		if reply, err = c.reply.of(m.ReplyTo, replyField); err != nil {
			return l, malformed(err)
		}
	}
	l.utf8 = c.utf8 || !isASCII(l.to) || !isASCII(reply)
	buf, err = c.appendHeaders(buf, m, l.key, reply)
	if err != nil {
		return l, malformed(err)
	}
	if buf, err = appendBody(buf, m, l.key); err != nil {
		return l, malformed(err)
	}
	buf = endWithBreak(buf)
	if c.signer != nil {
		if buf, err = c.signer.sign(buf); err != nil {
			return l, &channels.Failure{Verdict: channels.Broken, Reason: refused, Err: fmt.Errorf("sign the letter with DKIM: %w", err)}
		}
	}
	l.body = buf
	return l, nil
}

func malformed(err error) *channels.Failure {
	return &channels.Failure{Verdict: channels.Malformed, Reason: refused, Err: err}
}

func badAddress(err error) error { return fmt.Errorf("write the recipient: %w", err) }

// idOf is the left side of Message-ID. Delivery IDs are used as they are; a
// key of another shape is replaced by its hash, which is as stable.
func idOf(key string) string {
	if isToken(key, localMax) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

const (
	bouncePrefix = "bounce+"
	maxMediaType = 200 // octets, with its parameters
)

// returnPath is the envelope sender: with a token, an address of its own for
// each delivery, by which a bounce finds it.
func (c *composer) returnPath(token string) (string, error) {
	if token == "" {
		return c.from, nil
	}
	if !isToken(token, localMax-len(bouncePrefix)) {
		return "", fmt.Errorf("the return token is not 1 to %d letters, digits, dots, hyphens or underscores", localMax-len(bouncePrefix))
	}
	return bouncePrefix + token + "@" + c.bounces, nil
}

func (c *composer) appendHeaders(dst []byte, m channels.Message, id, reply string) ([]byte, error) {
	subject, err := c.subject.of(m.Content["subject"], subjectField)
	if err != nil {
		return dst, err
	}
	dst = append(dst, c.sender...)
	dst = append(append(append(dst, "To: "...), m.To...), "\r\n"...)
	dst = append(dst, subject...)
	dst = append(dst, "Date: "...)
	dst = c.now().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 -0700")
	dst = append(dst, "\r\nMessage-ID: <"...)
	dst = append(append(append(append(dst, id...), '@'), c.domain...), ">\r\n"...)
	dst = append(dst, reply...)
	dst, err = c.appendList(dst, m)
	return append(dst, "MIME-Version: 1.0\r\n"...), err
}

func subjectField(text string) (string, error) {
	text = encodeText(text)
	return string(appendHeader(make([]byte, 0, len(text)+lineFold), "Subject", text)), nil
}

func replyField(text string) (string, error) {
	reply, err := parseReplyTo(text)
	return string(appendHeader(nil, "Reply-To", reply)), err
}

func (c *composer) listField(name string) (string, error) {
	if !isToken(name, localMax) {
		return "", fmt.Errorf("the list name is not 1 to %d letters, digits, dots, hyphens or underscores", localMax)
	}
	return string(appendHeader(nil, "List-Id", "<"+name+"."+c.lists+">")), nil
}

// appendList writes what tells a campaign from a personal letter: RFC 2369,
// RFC 2919 and RFC 8058 for the one, RFC 3834 for the other.
func (c *composer) appendList(dst []byte, m channels.Message) ([]byte, error) {
	if m.List != "" {
		list, err := c.list.of(m.List, c.listField)
		if err != nil {
			return dst, err
		}
		dst = append(dst, list...)
	}
	if m.Class == channels.Transactional {
		return append(dst, "Auto-Submitted: auto-generated\r\n"...), nil
	}
	if m.Unsubscribe != "" {
		if err := checkLink(m.Unsubscribe); err != nil {
			return dst, err
		}
		dst = append(append(append(dst, "List-Unsubscribe: <"...), m.Unsubscribe...), '>')
		if m.UnsubscribeMail != "" {
			if !isMailto(m.UnsubscribeMail) {
				return dst, errors.New("the address to unsubscribe by mail is not like mailto:name@example.com?subject=word")
			}
			dst = append(append(append(dst, ",\r\n <"...), m.UnsubscribeMail...), '>')
		}
		dst = append(dst, "\r\n"...)
		dst = append(dst, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"...)
	}
	return append(dst, "Precedence: bulk\r\nX-Auto-Response-Suppress: OOF, AutoReply\r\n"...), nil
}

func parseReplyTo(text string) (string, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || oneLine(text) != strings.TrimSpace(text) {
		return "", errors.New("the reply address is not an address; write it like service@example.com")
	}
	if a.Address, err = channels.Email.Normalize(a.Address); err != nil {
		return "", errors.New("the reply address is not an address; write it like service@example.com")
	}
	return formatAddress(a), nil
}

// checkLink refuses a link that cannot stand between < and > in a header.
func checkLink(link string) error {
	if isPlainLink(link) {
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(link) > tokenMax ||
		strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' || r == '"' }) {
		return fmt.Errorf("the unsubscribe link is not an http(s) address of at most %d plain characters", tokenMax)
	}
	return nil
}

// isPlainLink knows most good links without taking them apart.
func isPlainLink(link string) bool {
	rest, ok := strings.CutPrefix(link, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(link, "http://")
	}
	host := strings.IndexByte(rest, '/')
	if !ok || host < 1 || len(link) > tokenMax {
		return false
	}
	for i := range len(rest) {
		c := rest[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' &&
			(i < host || strings.IndexByte("/_~?=&", c) < 0) {
			return false
		}
	}
	return true
}

// isMailto says whether text is a mailto address that can stand between < and >
// in a header: an address and maybe a subject, of plain characters.
func isMailto(text string) bool {
	rest, ok := strings.CutPrefix(text, "mailto:")
	if !ok || len(text) > tokenMax || strings.Count(rest, "@") != 1 {
		return false
	}
	for i := range len(rest) {
		c := rest[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("@._+-=?%", c) < 0 {
			return false
		}
	}
	return true
}

// appendBody writes the parts from the outside in:
// mixed(alternative(text, related(html, images)), attachments), leaving out
// each level that has nothing to hold together.
func appendBody(dst []byte, m channels.Message, id string) ([]byte, error) {
	var images, attachments []channels.File
	for _, f := range m.Files {
		if f.ID != "" {
			images = append(images, f)
		} else {
			attachments = append(attachments, f)
		}
	}
	if len(attachments) == 0 {
		return appendAlternative(dst, m, images, id)
	}
	dst = openMultipart(dst, "mixed", id)
	dst = nextPart(dst, "mixed", id)
	dst, err := appendAlternative(dst, m, images, id)
	for _, f := range attachments {
		if err == nil {
			dst, err = appendFile(nextPart(dst, "mixed", id), f)
		}
	}
	return closeMultipart(dst, "mixed", id), err
}

func appendAlternative(dst []byte, m channels.Message, images []channels.File, id string) ([]byte, error) {
	text := m.Content["text"]
	if m.Content["html"] == "" {
		return dst, errors.New("the letter has no html part")
	}
	if text == "" {
		return appendRelated(dst, m, images, id)
	}
	dst = openMultipart(dst, "alternative", id)
	dst = appendText(nextPart(dst, "alternative", id), "text/plain", text, m.Fixed["text"])
	dst, err := appendRelated(nextPart(dst, "alternative", id), m, images, id)
	return closeMultipart(dst, "alternative", id), err
}

func appendRelated(dst []byte, m channels.Message, images []channels.File, id string) ([]byte, error) {
	html, fixed := m.Content["html"], m.Fixed["html"]
	if len(images) == 0 {
		return appendText(dst, "text/html", html, fixed), nil
	}
	dst = openMultipart(dst, "related", id)
	dst = appendText(nextPart(dst, "related", id), "text/html", html, fixed)
	var err error
	for _, f := range images {
		if err == nil {
			dst, err = appendFile(nextPart(dst, "related", id), f)
		}
	}
	return closeMultipart(dst, "related", id), err
}

// endWithBreak adds the line break that a message ends with, if it has none.
func endWithBreak(b []byte) []byte {
	if bytes.HasSuffix(b, []byte("\r\n")) {
		return b
	}
	return append(b, '\r', '\n')
}

// Boundaries contain "=_", which neither quoted-printable nor base64 can
// produce, so no content can hold one.
func appendBoundary(dst []byte, kind, id string) []byte {
	return append(append(append(append(dst, "=_"...), kind[0]), '_'), id...)
}

func openMultipart(dst []byte, kind, id string) []byte {
	dst = append(append(dst, "Content-Type: multipart/"...), kind...)
	if kind == "related" {
		dst = append(dst, `; type="text/html"`...)
	}
	dst = append(dst, ";\r\n boundary=\""...)
	return append(appendBoundary(dst, kind, id), "\"\r\n"...)
}

// nextPart begins with the line break that belongs to the boundary (RFC 2046
// section 5.1.1); for the first part it is the empty line after the headers.
func nextPart(dst []byte, kind, id string) []byte {
	return append(appendBoundary(append(dst, "\r\n--"...), kind, id), '\r', '\n')
}

func closeMultipart(dst []byte, kind, id string) []byte {
	return append(appendBoundary(append(dst, "\r\n--"...), kind, id), "--\r\n"...)
}

func appendText(dst []byte, mediaType, text string, fixed []channels.Span) []byte {
	dst = append(append(dst, "Content-Type: "...), mediaType...)
	dst = append(dst, "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"...)
	return appendQP(dst, text, fixed)
}

func appendFile(dst []byte, f channels.File) ([]byte, error) {
	mediaType, params, err := mime.ParseMediaType(f.Type)
	switch {
	case f.Type == "":
		mediaType = "application/octet-stream"
	case err != nil || len(f.Type) > maxMediaType:
		return dst, fmt.Errorf("file %q: its type is not a media type; write it like image/png", fileName(f.Name))
	case strings.HasPrefix(mediaType, "multipart/"), strings.HasPrefix(mediaType, "message/"):
		mediaType, params = "application/octet-stream", nil // these may not be in base64 (RFC 2045 section 6.4)
	}
	if f.ID != "" && !isToken(strings.ReplaceAll(f.ID, "@", "."), tokenMax) {
		return dst, fmt.Errorf("file %q: the content ID may hold letters, digits and . _ - = @ only", fileName(f.Name))
	}
	name := fileName(f.Name)
	if params == nil {
		params = map[string]string{}
	}
	disposition := "attachment"
	if f.ID != "" {
		disposition = "inline"
	}
	params["name"] = name
	dst = appendHeader(dst, "Content-Type", mime.FormatMediaType(mediaType, params))
	dst = appendHeader(dst, "Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": name}))
	if f.ID != "" {
		dst = appendHeader(dst, "Content-ID", "<"+f.ID+">")
	}
	dst = append(dst, "Content-Transfer-Encoding: base64\r\n\r\n"...)
	return appendBase64(dst, f.Data), nil
}

// fileName keeps a name that every system can save: one line, no path, of a
// length that fits into a header.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, oneLine(name))
	const head, tail = 150, 50 // octets; encoded each may become three
	if len(name) > head+tail {
		name = strings.ToValidUTF8(name[:head], "") + strings.ToValidUTF8(name[len(name)-tail:], "") // keeps the ending
	}
	if strings.Trim(name, ". ") == "" {
		return "file"
	}
	return name
}
