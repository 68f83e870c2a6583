package email

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// signedHeaders lists what is covered by the signature. RFC 8058 section 4 asks for the
// List-Unsubscribe pair; From and Subject are named once more than they
// occur, so that nobody can add a second one.
func signedHeaders() []string {
	return []string{
		"From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type",
		"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
	}
}

// signer signs letters with DKIM (RFC 6376), relaxed both ways. Signing costs
// about as much as everything else together; it is off unless configured.
type signer struct {
	dkim *gomail.DKIMSigner
}

// newSigner reads the key and signs once, so that a bad key is seen at start
// and the library's lazy fields are set before letters are signed side by side.
func newSigner(s DKIM, now func() time.Time) (*signer, error) {
	pem, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("dkim.key_file: %w", err)
	}
	key, err := gomail.PrivKeyFromPEM(pem)
	if err != nil {
		return nil, fmt.Errorf("dkim.key_file: %s does not hold an RSA or Ed25519 private key in PEM: %w", s.KeyFile, err)
	}
	d := gomail.NewDKIMSigner(s.Domain, s.Selector, key)
	d.NowFunc = now
	d.SignHeaders(signedHeaders()...)
	d.OversignHeaders("From", "Subject")
	if _, err := d.Sign([]byte("From: a@example.com\r\n"), []byte("\r\n")); err != nil {
		return nil, fmt.Errorf("dkim: %w", err)
	}
	return &signer{dkim: d}, nil
}

// sign puts the signature before the letter.
func (s *signer) sign(letter []byte) ([]byte, error) {
	head, body, _ := bytes.Cut(letter, []byte("\r\n\r\n"))
	field, err := s.dkim.Sign(append(bytes.Clone(head), '\r', '\n'), body)
	if err != nil {
		return letter, err
	}
	return append([]byte(refold(field)), letter...), nil
}

// refold folds a signature only where the signed form has a blank, and inside
// b=, where blanks do not count. The library folds inside the list of headers
// too, which adds a blank that it did not sign.
func refold(field string) string {
	flat := strings.ReplaceAll(field, "\r\n ", "")
	i := strings.LastIndex(flat, "; b=") + len("; b=")
	out := appendHeader(nil, "DKIM-Signature", strings.TrimPrefix(flat[:i], "DKIM-Signature: "))
	out = out[:len(out)-2]
	for sig := strings.TrimSpace(flat[i:]); sig != ""; {
		n := min(len(sig), lineFold-2)
		out = append(append(out, "\r\n "...), sig[:n]...)
		sig = sig[n:]
	}
	return string(append(out, '\r', '\n'))
}
