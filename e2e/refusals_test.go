package e2e

import (
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
)

// TestSecondServeIsRefused: one sender on a data folder (decision 5).
func TestSecondServeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.serve()
	second := r.start("second", "serve", "RAPPORT_LISTEN=127.0.0.1:"+freePort(t), "RAPPORT_ADMIN=off")
	if code := second.wait(); code != 4 {
		t.Errorf("exit %d, want 4", code)
	}
	if said := second.out.String(); !strings.Contains(said, "rapport: ") || strings.Contains(said, "goroutine ") {
		t.Errorf("no sentence:\n%s", said)
	}
	if res, err := r.get("/readyz"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the first one suffers: %v, %v", res, err)
	}
}

// TestWorkNeedsServers: workers are many, so they need what is shared.
func TestWorkNeedsServers(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.refused(2, "redis", "work")
}

// TestOldSchema: PostgreSQL is brought up to date on purpose only, and a
// program that finds an old one says how.
func TestOldSchema(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.database = newDatabase(t)
	for _, command := range [][]string{{"serve"}, {"contacts", "import", r.people.write(t, r.dir)}} {
		r.refused(6, "rapport migrate", append([]string{"--config", r.file("pg.yaml", "data: ./data\ndatabase: "+r.database+"\n")}, command...)...)
	}
}

// TestSecretsNeverShow: passwords and keys of the configuration appear in no
// output, at no level of the log, and in no file of the data folder (P19).
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	canaries := map[string]string{
		"password of the mail server": "canary-smtp-Pa55/word+9",
		"token of Slack":              "xoxb-canary-0123456789-slack",
		"secret of the webhook":       "whsec_" + base64.StdEncoding.EncodeToString([]byte("canary-webhook-secret-32-octets!")),
	}
	r := newRig(t, setup{
		people: 20,
		mail:   smtpd.Options{TLS: smtpd.StartTLS, Users: map[string]string{"shop": "another"}, AuthRequired: true},
		url:    "smtp://shop:" + url.QueryEscape(canaries["password of the mail server"]) + "@{{addr}}?tls=require",
		config: "log: {level: debug}",
	})
	ca := r.file("ca.pem", string(r.mail.RootPEM()))
	r.append("    ca_file: " + ca + "\n" +
		"  - name: team\n    driver: slack\n    token: " + canaries["token of Slack"] + "\n" +
		"  - name: shop\n    driver: webhook\n    url: https://127.0.0.1:" + freePort(t) + "/hooks\n    secret: " + canaries["secret of the webhook"] + "\n")
	r.must("config", "check")
	r.must("config", "print")
	r.stock("one-offers")
	r.must("campaigns", "start", "one-offers")
	p := r.serve()
	// The server refuses the password: the channel is held and people are told.
	r.await("one-offers", "held", func(a account) bool { return a.Planned > 0 && a.Waiting["held"] == a.Planned })
	for _, args := range [][]string{
		{"doctor"},
		{"doctor", "--json"},
		{"channels", "list"},
		{"channels", "describe", "email"},
		{"channels", "test", "news", "--to", "someone@mail.example"},
		{"channels", "test", "team", "--to", "U0123456"},
		{"channels", "test", "shop", "--to", "someone"},
		{"campaigns", "status", "one-offers"},
		{"deliveries", "list", "one-offers"},
		{"campaigns", "check", "one-offers"},
	} {
		r.run(args...) // whatever it says about the broken channels
	}
	r.file("broken.yaml", strings.ReplaceAll(r.read(r.config), "driver: email", "driver: emial")+"unknown: key\n")
	r.refused(2, "emial", "--config", r.path("broken.yaml"), "config", "check")
	p.stop()

	said := r.outputs()
	if len(said) < 2000 {
		t.Fatalf("only %d octets were said; the log is missing", len(said))
	}
	for what, canary := range canaries {
		for _, form := range forms(canary) {
			if i := strings.Index(said, form); i >= 0 {
				t.Errorf("the %s is in the output: …%s…", what, said[max(0, i-80):i])
			}
			r.search(what, form)
		}
	}
}

// forms are the spellings in which a secret may slip out.
func forms(s string) []string {
	return []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("\x00shop\x00" + s))}
}

// search looks for a secret in every file of the data folder.
func (r *rig) search(what, form string) {
	r.t.Helper()
	err := filepath.WalkDir(r.path("data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), form) {
			r.t.Errorf("the %s is in %s", what, path)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// append adds lines to the configuration.
func (r *rig) append(lines string) {
	r.t.Helper()
	r.file(filepath.Base(r.config), r.read(r.config)+lines)
}

func (r *rig) read(path string) string {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
