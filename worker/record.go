package worker

import (
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"time"

	"rapport/outbox"
)

// recordVersion stands before every record, so that a later build can read or
// refuse what an older one wrote.
const recordVersion = 1

// Texts of a provider are cut to these lengths in the spool, in octets.
const (
	maxWord   = 190
	maxDetail = 400
	maxRecord = 2048 // upper bound of a whole record with its frame
)

var errRecord = errors.New("not a record")

// localPart finds what stands before the @ of an address.
var localPart = regexp.MustCompile(`[^\s<>"'(),:;@]+@`)

// redact takes the names out of addresses in a provider's text: the spool is
// a file beside the database and holds nothing of a person.
func redact(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return localPart.ReplaceAllString(text, "…@")
}

// appendRecord encodes an outcome: numbers, words of closed lists, and what
// the provider said with addresses made unreadable.
func appendRecord(b []byte, s outbox.Settlement) []byte {
	b = append(b, recordVersion)
	b = binary.AppendVarint(b, s.Delivery)
	b = binary.AppendVarint(b, s.Turn)
	b = appendTime(b, s.At)
	b = appendTime(b, s.NotBefore)
	var flags byte
	for i, on := range []bool{s.Charge, s.Suppress, s.Strike, s.Hold != nil} {
		if on {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = appendText(b, string(s.State), maxWord)
	b = appendText(b, string(s.Reason), maxWord)
	b = appendText(b, s.Verdict, maxWord)
	b = appendText(b, redact(s.Code), maxWord)
	b = appendText(b, redact(s.Detail), maxDetail)
	b = appendText(b, s.ProviderID, maxWord)
	b = appendText(b, s.Server, maxWord)
	if s.Hold != nil {
		b = appendText(b, s.Hold.Channel, maxWord)
		b = appendTime(b, s.Hold.Until)
		b = appendTime(b, s.Hold.Since)
		b = appendText(b, string(s.Hold.Reason), maxWord)
	}
	return b
}

// decodeRecord reads what appendRecord wrote.
func decodeRecord(b []byte) (outbox.Settlement, error) {
	r := &recordReader{rest: b}
	if r.octet() != recordVersion {
		return outbox.Settlement{}, errRecord
	}
	s := outbox.Settlement{Delivery: r.number(), Turn: r.number(), At: r.time(), NotBefore: r.time()}
	flags := r.octet()
	s.Charge, s.Suppress, s.Strike = flags&1 != 0, flags&2 != 0, flags&4 != 0
	s.State, s.Reason = outbox.State(r.text()), outbox.Reason(r.text())
	s.Verdict, s.Code, s.Detail, s.ProviderID, s.Server = r.text(), r.text(), r.text(), r.text(), r.text()
	if flags&8 != 0 {
		s.Hold = &outbox.Hold{Channel: r.text(), Until: r.time(), Since: r.time(), Reason: outbox.Reason(r.text()), Detail: s.Detail}
	}
	if r.broken {
		return outbox.Settlement{}, errRecord
	}
	return s, nil
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMicro())
}

func appendText(b []byte, s string, limit int) []byte {
	s = s[:min(len(s), limit)]
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

type recordReader struct {
	rest   []byte
	broken bool
}

func (r *recordReader) octet() byte {
	if len(r.rest) == 0 {
		r.broken = true
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

func (r *recordReader) number() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.broken = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *recordReader) time() time.Time {
	us := r.number()
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func (r *recordReader) text() string {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > uint64(len(r.rest)-n) { //nolint:gosec // n is never more than the length
		r.broken = true
		return ""
	}
	s := string(r.rest[n : n+int(v)])  //nolint:gosec // not longer than the record
	r.rest = r.rest[n+int(v):]         //nolint:gosec // the same
	return strings.ToValidUTF8(s, "…") // a text may have been cut inside a letter
}
