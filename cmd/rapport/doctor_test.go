package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"rapport/channels"
	"rapport/channels/all"
	"rapport/config"
	"rapport/internal/app"
	"rapport/internal/fake/imapd"
)

// records is what the DNS server of a test knows.
type records struct {
	txt  map[string][]string
	mx   map[string]string
	mute bool // it fails at every question
}

// dnsServer answers on loopback until the test ends.
func dnsServer(t *testing.T, r records) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := r.answer(buf[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (r records) answer(question []byte) []byte {
	var q dnsmessage.Message
	if q.Unpack(question) != nil || len(q.Questions) != 1 {
		return nil
	}
	name := strings.TrimSuffix(strings.ToLower(q.Questions[0].Name.String()), ".")
	out := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true}, Questions: q.Questions}
	head := dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60}
	if q.Questions[0].Type == dnsmessage.TypeTXT {
		for _, text := range r.txt[name] {
			out.Answers = append(out.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.TXTResource{TXT: []string{text}}})
		}
	}
	if host := r.mx[name]; host != "" && q.Questions[0].Type == dnsmessage.TypeMX {
		out.Answers = append(out.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(host)}})
	}
	switch {
	case r.mute:
		out.RCode = dnsmessage.RCodeServerFailure
	case len(out.Answers) == 0:
		out.RCode = dnsmessage.RCodeNameError
	}
	b, err := out.Pack()
	if err != nil {
		return nil
	}
	return b
}

func TestDoctorReadsDNS(t *testing.T) {
	good := records{
		txt: map[string][]string{
			"bounce.shop.dev":         {"some other record", "v=spf1 include:mail.dev -all"},
			"s1._domainkey.shop.dev":  {"v=DKIM1; k=rsa; p=MIIB"},
			"_dmarc.shop.dev":         {"v=DMARC1; p=reject"},
			"two.dev":                 {"v=spf1 -all", "v=spf1 ~all"},
			"open.dev":                {"v=spf1 +all"},
			"s1._domainkey.empty.dev": {"v=DKIM1; k=rsa"},
		},
		mx: map[string]string{"bounce.shop.dev": "mx.shop.dev."},
	}
	signed := `, "dkim": {"domain": "shop.dev", "selector": "s1", "key_file": "x"}`
	for _, c := range []struct {
		name, settings string
		dns            records
		want           []string // parts of findings, as "state check: what"
	}{
		{"all there", `{"from": "Shop <news@mail.shop.dev>", "return_path": "bounce.shop.dev"` + signed + `}`, good, []string{
			"ok spf bounce.shop.dev: v=spf1 include:mail.dev -all", "ok dkim s1._domainkey.shop.dev: a key", "ok dmarc mail.shop.dev: v=DMARC1", "ok mx bounce.shop.dev: mx.shop.dev.",
		}},
		{"nothing there", `{"from": "news@none.dev"}`, good, []string{
			"warning spf none.dev: no SPF", "note dkim none.dev: letters are not signed", "warning dmarc none.dev: no DMARC", "warning mx none.dev: nobody takes mail",
		}},
		{"two policies", `{"from": "news@two.dev"}`, good, []string{"error spf two.dev: 2 SPF records"}},
		{"everybody may", `{"from": "news@open.dev"}`, good, []string{"warning spf open.dev: it lets everybody send"}},
		{"foreign signature", `{"from": "news@none.dev"` + signed + `}`, good, []string{"warning dkim s1._domainkey.shop.dev: the signature is of shop.dev"}},
		{"no key published", `{"from": "news@none.dev", "dkim": {"domain": "none.dev", "selector": "s1"}}`, good, []string{"error dkim s1._domainkey.none.dev: no key"}},
		{"record without key", `{"from": "news@empty.dev", "dkim": {"domain": "empty.dev", "selector": "s1"}}`, good, []string{"error dkim s1._domainkey.empty.dev: the record holds no key"}},
		{"no DNS", `{"from": "news@shop.dev"}`, records{mute: true}, []string{"skipped spf shop.dev: DNS gave no answer", "skipped mx shop.dev: DNS gave no answer"}},
		{"not public", `{"from": "news@shop.test"}`, good, []string{"skipped dns shop.test: the domain exists on no public server"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			drivers, err := channels.NewRegistry(all.Drivers()...)
			if err != nil {
				t.Fatal(err)
			}
			d := &doctor{c: &cli{drivers: drivers, now: time.Now}, resolver: dnsServer(t, c.dns)}
			h := &app.House{Drivers: drivers, Config: config.Config{Channels: []config.Channel{{Name: "news", Driver: "email", Raw: []byte(c.settings)}}}}
			d.dns(t.Context(), h)
			var said []string
			for _, f := range d.list {
				said = append(said, f.State+" "+f.Check+": "+f.What)
			}
			text := strings.Join(said, "\n")
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("not said: %s\nsaid:\n%s", w, text)
				}
			}
		})
	}
}

func TestDoctorLooksAtTheFolder(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "secret.key")
	for _, err := range []error{os.WriteFile(key, []byte("x"), 0o600), os.Chmod(dir, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func() string {
		d := &doctor{c: &cli{now: time.Now}}
		d.folder(config.Config{Data: dir})
		var said []string
		for _, f := range d.list {
			said = append(said, f.State+" "+f.What+" "+f.Do)
		}
		return strings.Join(said, "\n")
	}
	if text := look(); !strings.HasPrefix(text, "ok") || strings.Contains(text, "warning") {
		t.Errorf("a folder in order: %s", text)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if text := look(); !strings.Contains(text, "warning others may read or change "+key) || !strings.Contains(text, "chmod go-rwx") {
		t.Errorf("a key that others may read: %s", text)
	}
	old := dir
	dir = filepath.Join(old, "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if text := look(); !strings.Contains(text, "is not a folder") {
		t.Errorf("a file as data folder: %s", text)
	}
	dir = filepath.Join(old, "nowhere")
	if text := look(); !strings.Contains(text, "will be made") {
		t.Errorf("no folder: %s", text)
	}
}

func TestTablesAreCleanAndAligned(t *testing.T) {
	var b bytes.Buffer
	tab := newTable("NAME", "NOTE")
	tab.row("a", "x\x1b[31mred\x1b[0m\nnext")
	tab.row("långt namn", "-")
	tab.write(&b)
	want := "NAME        NOTE\na           x·[31mred·[0m·next\nlångt namn  -\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

func TestMoments(t *testing.T) {
	c := &cli{zone: readerZone("Europe/Berlin")}
	for text, want := range map[string]string{
		"2026-12-01T09:00":          "2026-12-01T08:00:00Z",
		"2026-12-01 09:00:30":       "2026-12-01T08:00:30Z",
		"2026-07-01":                "2026-06-30T22:00:00Z",
		"2026-12-01T09:00:00-05:00": "2026-12-01T14:00:00Z",
		"2027-03-28T02:30":          "2027-03-28T01:00:00Z", // does not exist: the first moment after the gap
	} {
		got, err := c.moment(text)
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v, want %s", text, got.UTC(), err, want)
		}
	}
	if _, err := c.moment("tomorrow"); err == nil {
		t.Error("tomorrow was understood")
	}
}

func TestProgressWithoutATerminal(t *testing.T) {
	var b bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &cli{stderr: &b, now: func() time.Time { return now }}
	m := c.meter("import")
	m.set(10, 100, "10 rows")
	now = now.Add(everyLine)
	m.set(50, 100, "50 rows")
	m.set(60, 100, "60 rows")
	now = now.Add(everyLine)
	m.set(70, 0, "70 rows")
	m.end()
	if want := "import: 50 rows (50%)\nimport: 70 rows\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	c.quiet = true
	m = c.meter("import")
	now = now.Add(everyLine)
	m.set(1, 2, "1 row")
	if b.Len() > 0 {
		t.Errorf("--quiet says %q", b.String())
	}
}

func TestDoctorOpensMailboxes(t *testing.T) {
	server, err := imapd.Start(imapd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	dir := t.TempDir()
	file := filepath.Join(dir, "rapport.yaml")
	text := "data: " + dir + "\nmailboxes:\n  - {name: here, url: 'imap://" + imapd.User + ":" + imapd.Password + "@" + server.Addr() + "?tls=none'}\n" +
		"  - {name: gone, url: 'imap://" + imapd.User + ":" + imapd.Password + "@127.0.0.1:1?tls=none'}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"doctor", "--quick", "--config", file}, nil, strings.NewReader(""), &out, &errs)
	said := out.String()
	if code == 0 || !strings.Contains(said, "mailbox here") || !strings.Contains(said, "can be opened (nothing was read)") || !strings.Contains(said, "mailbox gone") {
		t.Errorf("code %d:\n%s%s", code, said, errs.String())
	}
	if strings.Contains(said+errs.String(), imapd.Password) {
		t.Error("the password is said")
	}
}
