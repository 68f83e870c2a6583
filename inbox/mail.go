package inbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/mail"
	"strings"

	"rapport/channels"
)

// Bounds of what is read. A mail that goes beyond one is read as far as that.
const (
	MaxMail    = 10 << 20 // octets of a mail
	maxHeader  = 256 << 10
	maxFields  = 1000
	maxField   = 16 << 10 // octets of one field's value
	maxDepth   = 8        // of parts in parts
	maxParts   = 200
	maxText    = 256 << 10 // octets of a text, a report, or the header of a returned mail
	maxAddress = 200       // addresses and IDs that are looked at
)

// Mail is what is read of a mail.
type Mail struct {
	Digest    string   // the same in every copy of the mail
	MessageID string   // without < and >
	From      string   // canonical; empty unless there is exactly one
	To        []string // whom it was for, by all fields that say so
	Subject   string
	Answers   []string // IDs of In-Reply-To and References, newest first
	Automatic bool     // made by a machine
	Text      string   // what its writer wrote, without what it quotes
	Report    *Report  // of a machine about another mail
}

// header is the fields of a header: names in lower case, in their order.
type header []field

type field struct{ name, value string }

// get is the first value of a field.
func (h header) get(name string) string {
	for _, f := range h {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// all are the values of a field.
func (h header) all(name string) []string {
	var out []string
	for _, f := range h {
		if f.name == name {
			out = append(out, f.value)
		}
	}
	return out
}

// splitHeader reads a header, as well as it is one, and returns what follows.
// Lines that are no field are left out; folded lines become one.
func splitHeader(raw []byte) (h header, body []byte) {
	used := 0
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		if used += len(line) + 1; used > maxHeader {
			_, body, _ = bytes.Cut(raw, []byte("\n\n"))
			return h, body
		}
		raw = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) == 0:
			return h, raw
		case line[0] == ' ' || line[0] == '\t':
			if n := len(h); n > 0 && len(h[n-1].value)+len(line) < maxField {
				h[n-1].value += " " + clean(bytes.TrimSpace(line))
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !ok || len(name) == 0 || len(name) > 100 || bytes.ContainsAny(name, " \t") || len(h) >= maxFields {
			continue
		}
		h = append(h, field{strings.ToLower(string(name)), clean(bytes.TrimSpace(value[:min(len(value), maxField)]))})
	}
	return h, nil
}

// clean takes out what has no place in a line of text.
func clean(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), "\uFFFD"))
}

// Read takes a mail apart. It understands what it can and never fails: hostile
// input gives a Mail that says little.
func Read(raw []byte) Mail {
	raw = raw[:min(len(raw), MaxMail)]
	h, body := splitHeader(raw)
	m := Mail{
		MessageID: firstID(h.get("message-id")), From: sender(h), To: recipients(h),
		Subject: words(h.get("subject")), Answers: answers(h),
	}
	m.Digest = digest(h, body)
	w := &walker{}
	w.part(h, body, 0)
	m.Report = w.report()
	m.Automatic = automatic(h) || m.Report != nil
	if m.Report == nil {
		text := w.plain
		if strings.TrimSpace(text) == "" {
			text = textOf(w.html)
		}
		m.Text = ownWords(text)
	}
	return m
}

// digest is what all copies of a mail have in common: what its writer made,
// without what the servers on the way have added.
func digest(h header, body []byte) string {
	sum := sha256.New()
	for _, name := range []string{"message-id", "date", "from", "subject"} {
		sum.Write([]byte(strings.ToLower(strings.Join(strings.Fields(h.get(name)), " ")) + "\n"))
	}
	for line := range bytes.Lines(body) { // line ends change on the way
		sum.Write(bytes.TrimRight(line, " \t\r\n"))
		sum.Write([]byte{'\n'})
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:18])
}

// words decodes encoded words (RFC 2047).
func words(text string) string {
	dec := mime.WordDecoder{CharsetReader: charsetReader}
	out, err := dec.DecodeHeader(text)
	if err != nil {
		return text
	}
	return clean([]byte(out))
}

// sender is the one address of From.
func sender(h header) string {
	fields := h.all("from")
	if len(fields) != 1 {
		return ""
	}
	list := addresses(fields[0])
	if len(list) != 1 {
		return ""
	}
	return list[0]
}

// addresses reads a list of addresses; those that are none are left out.
func addresses(text string) []string {
	var out []string
	add := func(address string) {
		if a, err := channels.Email.Normalize(address); err == nil && len(out) < maxAddress {
			out = append(out, a)
		}
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: charsetReader}}
	if list, err := parser.ParseList(text); err == nil {
		for _, a := range list {
			add(a.Address)
		}
		return out
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t<>,;\"()", r) }) {
		if strings.Contains(word, "@") {
			add(strings.TrimPrefix(word, "mailto:"))
		}
	}
	return out
}

// recipients are all whom a mail was for: what servers write down about the
// envelope first.
func recipients(h header) []string {
	var out []string
	for _, name := range []string{"delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "resent-to", "to", "cc"} {
		for _, value := range h.all(name) {
			if len(out) < maxAddress {
				out = append(out, addresses(value)...)
			}
		}
	}
	return out
}

// answers are the IDs of the mails that this one answers, newest first.
func answers(h header) []string {
	var out []string
	for _, name := range []string{"in-reply-to", "references"} {
		list := ids(h.get(name))
		for i := len(list) - 1; i >= 0 && len(out) < maxAddress; i-- {
			out = append(out, list[i])
		}
	}
	return out
}

func firstID(text string) string {
	if list := ids(text); len(list) > 0 {
		return list[0]
	}
	return ""
}

// ids reads message IDs, with or without < and >.
func ids(text string) []string {
	var out []string
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t<>,", r) }) {
		if strings.Contains(word, "@") && len(word) <= 998 && len(out) < maxAddress {
			out = append(out, word)
		}
	}
	return out
}

// automatic says whether a machine wrote the mail: by RFC 3834 and what came
// before it, by signs of lists, and by an empty return path.
func automatic(h header) bool {
	if v := strings.ToLower(h.get("auto-submitted")); v != "" && !strings.HasPrefix(v, "no") {
		return true
	}
	switch strings.ToLower(h.get("precedence")) {
	case "bulk", "junk", "list", "auto_reply", "auto-reply":
		return true
	}
	for _, name := range []string{
		"x-autoreply", "x-autorespond", "x-auto-reply", "x-autogenerated", "x-auto-response-suppress", "x-failed-recipients",
		"list-id", "list-unsubscribe", "feedback-id", "x-loop",
	} {
		if v := h.get(name); v != "" && !strings.EqualFold(v, "no") {
			return true
		}
	}
	if path := h.all("return-path"); len(path) > 0 && strings.Trim(path[0], " <>") == "" {
		return true
	}
	local, _, _ := strings.Cut(strings.ToLower(sender(h)), "@")
	switch local {
	case "mailer-daemon", "postmaster", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply":
		return true
	}
	return false
}
