package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/smtpd"
)

// selfSigned makes a certificate for 127.0.0.1 and its key.
func selfSigned(t testing.TB) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("EC PRIVATE KEY", secret)
}

// TestRealMailServers: letters go out through Postfix, which returns one of
// them with a report of its own; answers go through Postfix into the mailbox
// that Dovecot opens. The letters themselves lie in the same mailbox, as if its
// owner had subscribed: they are nobody's answer.
func TestRealMailServers(t *testing.T) {
	t.Parallel()
	// A server further on, that knows nobody.
	gone, err := smtpd.Start(t.Context(), smtpd.Options{Script: smtpd.Reply(550, "5.1.1", "user unknown").At(smtpd.Rcpt)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gone.Close() })
	host, port, err := net.SplitHostPort(gone.Addr())
	if err != nil {
		t.Fatal(err)
	}
	p := startPostfix(t, "virtual:", fmt.Sprintf("transport_maps = inline:{ { gone.example = smtp:[%s]:%s } }\n", host, port))
	box, ca := startDovecot(t, p)
	r := newRig(t, setup{
		url:    "smtp://" + p.addr + "?tls=none",
		config: fmt.Sprintf("mailboxes:\n  - {name: answers, url: %q, address: stop@shop.example, ca_file: %s, every: 2s}\n", box, ca),
	})
	r.people.size = 0
	var rows [][]string
	for i, to := range []string{"anna@people.example", "bert@people.example", "cem@people.example", "nobody@gone.example"} {
		who := r.people.at(i)
		who.ID, who.Email, who.Consent = fmt.Sprintf("x%d", i), to, granted
		rows = append(rows, r.people.row(who))
	}
	r.must("contacts", "import", r.people.write(t, r.dir, rows...))
	r.must("templates", "put", r.letter())
	r.create("real-offers", "")
	r.serve()
	r.must("campaigns", "start", "real-offers")
	if a := r.finished("real-offers"); a.States["sent"] != 4 {
		t.Fatalf("states %v", a.States)
	}

	// The report of Postfix finds its letter.
	eventually(t, "the report is read", patience, 200*time.Millisecond, func() bool {
		return slices.Contains(r.suppressed(), "nobody@gone.example")
	})

	letters := map[string]mail.Header{}
	eventually(t, "the letters have arrived", patience, 200*time.Millisecond, func() bool {
		files, err := filepath.Glob(p.path("mail/all/*/*"))
		if err != nil {
			t.Fatal(err)
		}
		more, _ := filepath.Glob(p.path("mail/all/.Rapport/*/*"))
		for _, name := range append(files, more...) {
			f, err := os.Open(name)
			if err != nil {
				continue // it is being moved
			}
			if m, err := mail.ReadMessage(f); err == nil && m.Header.Get("List-Unsubscribe") != "" {
				letters[m.Header.Get("To")] = m.Header
			}
			_ = f.Close()
		}
		return len(letters) == 3
	})
	send := func(from, to, text string) {
		t.Helper()
		if err := smtp.SendMail(p.addr, nil, from, []string{to}, []byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	send("anna@people.example", "news@shop.example", fmt.Sprintf("From: Anna <anna@people.example>\nTo: news@shop.example\nMessage-ID: <1@people.example>\nIn-Reply-To: %s\nSubject: Re: points\n\nPlease stop.\n\nAnna\n", letters["anna@people.example"].Get("Message-Id")))
	m := aMailto.FindStringSubmatch(letters["bert@people.example"].Get("List-Unsubscribe"))
	if m == nil {
		t.Fatalf("no mailto in %v", letters["bert@people.example"])
	}
	subject, err := url.QueryUnescape(m[2])
	if err != nil {
		t.Fatal(err)
	}
	send("bert@people.example", m[1], fmt.Sprintf("From: bert@people.example\nTo: %s\nMessage-ID: <2@people.example>\nSubject: %s\n\n", m[1], subject))
	for _, to := range []string{"anna", "bert"} {
		eventually(t, to+" has left", patience, 200*time.Millisecond, func() bool {
			return r.one(fmt.Sprintf(`SELECT COUNT(*) FROM responses p JOIN addresses a ON a.contact_id = p.contact_id
				WHERE p.kind = 'unsubscribed' AND a.value = '%s@people.example'`, to)) == 1
		})
	}
	if res := r.must("consent", "show", "cem@people.example"); strings.Contains(res.stdout, withdrawn) {
		t.Errorf("somebody else has left:\n%s", res.stdout)
	}
	if strings.Contains(r.outputs(), "canary") {
		t.Error("the password of the mailbox was said")
	}
	r.well()
}
