package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"rapport/channels"
)

// key writes a private key and returns its file and its DNS record.
func key(t testing.TB, private crypto.Signer, kind string) (file, record string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "dkim.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	public, ok := private.Public().(ed25519.PublicKey)
	raw := []byte(public)
	if !ok {
		if raw, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
			t.Fatal(err)
		}
	}
	return file, "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(raw)
}

// TestDKIM: signatures verify with a verifier that is not ours, cover what
// they must, and no longer verify when a covered header is changed or added.
func TestDKIM(t *testing.T) {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for kind, private := range map[string]crypto.Signer{"ed25519": edKey, "rsa": rsaKey} {
		file, record := key(t, private, kind)
		c := composing(t, Settings{DKIM: &DKIM{Domain: "example.com", Selector: "s1", KeyFile: file}})
		c.signer.dkim.NowFunc = nil // the verifier knows only the real time
		m := letterTo("anna@example.org", "d1a-2b")
		m.Unsubscribe, m.ReplyTo = "https://news.example.com/u/token", "service@example.com"
		for name, body := range tortures() {
			m.Content["html"], m.Content["text"] = body, body
			l := mustCompose(t, c, m)
			if err := verify(l.body, record); err != nil {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
		}
		l := mustCompose(t, c, m)
		for _, change := range [][2]string{
			{"List-Unsubscribe: <https://news", "List-Unsubscribe: <https://evil"},
			{"Subject: Hello", "Subject: Hullo"},
			{"Subject: Hello\r\n", "Subject: Hello\r\nSubject: Second\r\n"},
			{"From: ", "From: <evil@example.net>\r\nFrom: "},
			{"To: anna@", "To: hanna@"},
			{"Message-ID: <d1a", "Message-ID: <d1b"},
			{"List-Id: <newsletter", "List-Id: <other"},
			{"Reply-To: service", "Reply-To: other"},
		} {
			changed := bytes.Replace(l.body, []byte(change[0]), []byte(change[1]), 1)
			if bytes.Equal(changed, l.body) {
				t.Fatalf("the letter has no %q", change[0])
			}
			if verify(changed, record) == nil {
				t.Errorf("%s: %q could be changed", kind, change[0])
			}
		}
	}
}

// TestDKIMSideBySide: letters are signed by many senders at once.
func TestDKIMSideBySide(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file, record := key(t, private, "ed25519")
	c := composing(t, Settings{DKIM: &DKIM{Domain: "example.com", Selector: "s1", KeyFile: file}})
	c.signer.dkim.NowFunc = nil
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := c.compose(nil, letterTo("anna@example.org", "d1a-2b"))
			if err != nil || verify(l.body, record) != nil {
				t.Errorf("signed side by side: %v", err)
			}
		})
	}
	wg.Wait()
}

type failedCheck struct{ why string }

func (f failedCheck) Error() string { return f.why }

func verify(letter []byte, record string) error {
	got, err := dkim.VerifyWithOptions(bytes.NewReader(letter), &dkim.VerifyOptions{
		LookupTXT: func(domain string) ([]string, error) {
			if domain != "s1._domainkey.example.com" {
				return nil, failedCheck{"asked for " + domain}
			}
			return []string{record}, nil
		},
	})
	switch {
	case err != nil:
		return err
	case len(got) != 1:
		return failedCheck{"not one signature"}
	case got[0].Err != nil:
		return got[0].Err
	}
	for _, name := range signedHeaders() {
		if !slices.ContainsFunc(got[0].HeaderKeys, func(k string) bool { return strings.EqualFold(k, name) }) {
			return failedCheck{name + " is not covered"}
		}
	}
	return nil
}

func TestDKIMKeys(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{none, none + ".missing"} {
		s := Settings{From: "news@example.com", DKIM: &DKIM{Domain: "example.com", Selector: "s1", KeyFile: file}}
		if _, err := newComposer(channels.Env{}, s, nil); err == nil || !strings.Contains(err.Error(), "dkim.key_file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
