package responses

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// Purpose is what a token is good for. A token of one purpose is worthless as
// any other, since each is signed with a key of its own.
type Purpose string

// The purposes.
const (
	ForClick       Purpose = "click"
	ForOpen        Purpose = "open"
	ForUnsubscribe Purpose = "unsubscribe"
	ForPreferences Purpose = "preferences"
	ForView        Purpose = "view"
	ForReturn      Purpose = "return"
	ForRequest     Purpose = "request" // Run is the number of the request
	ForForm        Purpose = "form"    // a form that was shown: Run is the second, Topic the form
	ForRenewal     Purpose = "renewal"
	ForReply       Purpose = "reply" // to end something by mail
)

func purposes() []Purpose {
	return []Purpose{ForClick, ForOpen, ForUnsubscribe, ForPreferences, ForView, ForReturn, ForRequest, ForForm, ForRenewal, ForReply}
}

// scoped says whether tokens of the purpose hold driver and topic, so that
// they work for as long as the contact exists, whatever became of the run.
func (p Purpose) scoped() bool {
	switch p {
	case ForUnsubscribe, ForPreferences, ForRenewal, ForForm, ForReply:
		return true
	case ForClick, ForOpen, ForView, ForReturn, ForRequest:
	}
	return false
}

// folded says whether tokens of the purpose survive a change of case, as mail
// servers and programs make it.
func (p Purpose) folded() bool { return p == ForReturn || p == ForReply }

// ErrToken is the answer to everything that was not signed here for that
// purpose. It does not say what is wrong.
var ErrToken = errors.New("the link is not one of ours")

// Subject is what a token is about. Contact 0 stands for nobody in particular
// (hits are counted, not attributed).
type Subject struct {
	Run, Contact  int64
	Driver, Topic string // in unsubscribe and preference tokens only
}

const (
	version  = 1
	macBytes = 16 // HMAC-SHA256 cut to 128 bits (RFC 2104 section 5)
	keyBytes = 32
	// maxToken bounds what is decoded: numbers, two names of at most 64
	// characters, the MAC.
	maxToken = 256
	maxName  = 64
)

// Tokens signs and reads tokens. It is safe for concurrent use.
type Tokens struct {
	signers  map[Purpose][]*signer // the first signs, all are believed
	spelling *base64.Encoding      // base64url without padding, with one spelling only
	folded   *base32.Encoding      // for return paths: mail servers may change the case
}

// NewTokens derives a key for each purpose from the installation's secret key
// (HKDF, RFC 5869), which must have at least 32 octets. Tokens signed with one
// of the older keys are still believed, so that a key can be changed without
// breaking the links in people's mailboxes.
func NewTokens(key []byte, older ...[]byte) (*Tokens, error) {
	t := &Tokens{
		signers:  map[Purpose][]*signer{},
		spelling: base64.RawURLEncoding.Strict(),
		folded:   base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding),
	}
	for _, secret := range append([][]byte{key}, older...) {
		if len(secret) < keyBytes {
			return nil, fmt.Errorf("the key that signs links has %d octets; it needs at least %d", len(secret), keyBytes)
		}
		for _, p := range purposes() {
			derived, err := hkdf.Key(sha256.New, secret, nil, "rapport link "+string(p), keyBytes)
			if err != nil {
				return nil, fmt.Errorf("derive the key for %s links: %w", p, err)
			}
			t.signers[p] = append(t.signers[p], newSigner(derived))
		}
	}
	return t, nil
}

// signer computes MACs with one key; the state after the key is kept.
type signer struct{ free sync.Pool }

// mac is one computation with room for what is signed, so that signing needs no
// memory of its own.
type mac struct {
	h    hash.Hash
	body [maxToken]byte
	sum  [sha256.Size]byte
}

func newSigner(key []byte) *signer {
	return &signer{free: sync.Pool{New: func() any { return &mac{h: hmac.New(sha256.New, key)} }}}
}

// sign appends the MAC over b to b, which should lie in m.body.
func (m *mac) sign(b []byte) []byte {
	m.h.Reset()
	m.h.Write(b)
	return append(b, m.h.Sum(m.sum[:0])[:macBytes]...)
}

// valid compares in constant time.
func (s *signer) valid(body, sum []byte) bool {
	m := s.free.Get().(*mac)
	want := m.sign(append(m.body[:0], body...))
	ok := hmac.Equal(want[len(body):], sum)
	s.free.Put(m)
	return ok
}

// Sign returns the token of a subject: letters, digits, - and _, and for
// return paths at most 56 lower-case letters and digits. It panics when a
// name of the subject is longer than 64 octets, which no name of the house is.
func (t *Tokens) Sign(p Purpose, s Subject) string {
	var space [2 * maxToken]byte
	return string(t.append(space[:0], p, s))
}

// append appends the token of a subject.
func (t *Tokens) append(out []byte, p Purpose, s Subject) []byte {
	signer := t.signers[p][0]
	m := signer.free.Get().(*mac)
	b := append(m.body[:0], version)
	b = binary.AppendUvarint(b, uint64(s.Run))     //nolint:gosec // numbers of rows are positive
	b = binary.AppendUvarint(b, uint64(s.Contact)) //nolint:gosec // as above
	if p.scoped() {
		b = appendName(b, s.Driver)
		b = appendName(b, s.Topic)
	}
	b = m.sign(b)
	if p.folded() {
		out = t.folded.AppendEncode(out, b)
	} else {
		out = t.spelling.AppendEncode(out, b)
	}
	signer.free.Put(m)
	return out
}

func appendName(b []byte, name string) []byte {
	if len(name) > maxName {
		panic("responses: a name in a token has more than 64 octets")
	}
	b = append(b, byte(len(name))) //nolint:gosec // at most 64
	return append(b, name...)
}

// Read returns the subject of a token of that purpose, or ErrToken.
func (t *Tokens) Read(p Purpose, token string) (Subject, error) {
	if len(token) > 2*maxToken || strings.ContainsAny(token, "\r\n") { // the decoders skip line ends
		return Subject{}, ErrToken
	}
	var b []byte
	var err error
	if p.folded() {
		b, err = t.folded.DecodeString(strings.ToLower(token))
	} else {
		b, err = t.spelling.DecodeString(token)
	}
	if err != nil || len(b) <= macBytes || p.folded() && t.folded.EncodeToString(b) != strings.ToLower(token) {
		return Subject{}, ErrToken
	}
	body, sum := b[:len(b)-macBytes], b[len(b)-macBytes:]
	ok := false
	for _, s := range t.signers[p] {
		ok = s.valid(body, sum) || ok
	}
	if !ok {
		return Subject{}, ErrToken
	}
	return parse(p, body)
}

// parse reads a body whose MAC was right.
func parse(p Purpose, b []byte) (s Subject, err error) {
	r := reader{b: b}
	if r.octet() != version {
		return s, ErrToken
	}
	s.Run, s.Contact = r.number(), r.number()
	if p.scoped() {
		s.Driver, s.Topic = r.name(), r.name()
	}
	if r.bad || len(r.b) != 0 {
		return Subject{}, ErrToken
	}
	return s, nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) octet() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || int64(v) < 0 { //nolint:gosec // the sign is what is looked at
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return int64(v) //nolint:gosec // not negative
}

func (r *reader) name() string {
	n := int(r.octet())
	if n > len(r.b) {
		r.bad = true
		return ""
	}
	v := string(r.b[:n])
	r.b = r.b[n:]
	return v
}
