package email

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jhillyerd/enmime/v2"

	"rapport/channels"
	"rapport/internal/fake/smtpd"
	"rapport/internal/secret"
)

// start runs a server for the test.
func start(t testing.TB, o smtpd.Options) *smtpd.Server {
	t.Helper()
	srv, err := smtpd.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start the server: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close the server: %v", err)
		}
	})
	return srv
}

// clear is the settings of a server without TLS.
func clearText(addr string) Server {
	return Server{URL: secret.New("smtp://" + addr + "?tls=none"), Connections: 4}
}

// settings are those of a channel over these servers, in clear text.
func settings(servers ...*smtpd.Server) Settings {
	s := Settings{From: "Example Shop <news@example.com>", Timeout: channels.Duration(5 * time.Second)}
	for _, srv := range servers {
		s.Servers = append(s.Servers, clearText(srv.Addr()))
	}
	return s
}

// openChannel opens a channel for the test.
func openChannel(t testing.TB, s Settings) *channel {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatalf("settings: %v", err)
	}
	ch, err := open(channels.Env{Name: "news"}, s, time.Now)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := ch.Close(); err != nil {
			t.Errorf("close the channel: %v", err)
		}
	})
	return ch
}

// letterTo is a small marketing letter.
func letterTo(to, key string) channels.Message {
	return channels.Message{
		Key: key, To: to, Class: channels.Marketing, List: "newsletter",
		Content: map[string]string{"subject": "Hello", "html": "<p>Hello</p>", "text": "Hello"},
	}
}

// parse reads a letter with a parser that is not ours.
func parse(t testing.TB, source []byte) *enmime.Envelope {
	t.Helper()
	env, err := enmime.ReadEnvelope(bytes.NewReader(source))
	if err != nil {
		t.Fatalf("parse the letter: %v\n%s", err, source)
	}
	for _, e := range env.Errors {
		t.Errorf("the parser complains: %s", e.Error())
	}
	return env
}

// caFile writes what a server's certificate is trusted by.
func caFile(t testing.TB, srv *smtpd.Server) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, srv.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// raw is settings as the configuration would hand them over. Secrets do not
// marshal, so the URLs are given again.
func raw(t testing.TB, s Settings, urls ...string) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, u := range urls {
		text = strings.Replace(text, `"[secret]"`, `"`+u+`"`, 1)
	}
	return json.RawMessage(text)
}
