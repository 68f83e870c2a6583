package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMailboxes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "box")
	if err := os.WriteFile(file, []byte("imap://anna:canary@127.0.0.1:1143?tls=none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(yaml string) (Config, error) {
		t.Helper()
		path := filepath.Join(dir, "rapport.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(path, nil, nil)
	}
	c, err := load("mailboxes:\n  - {name: bounces, url: 'imaps://anna%40example.com:c%40nary@imap.example.com', address: Stop@Example.com}\n  - {name: local, url_file: " + file + ", done: off, every: 10s}\n")
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Mailboxes[0], c.Mailboxes[1]
	if a.Folder != "INBOX" || a.Done != "Rapport" || a.Every.Or(0) != time.Minute || b.Done != "" || b.Every.Or(0) != 10*time.Second {
		t.Errorf("%+v\n%+v", a, b)
	}
	one, err := a.Login()
	if err != nil || one.Addr != "imap.example.com:993" || one.User != "anna@example.com" || one.Password() != "c@nary" || one.StartTLS || one.Plain {
		t.Errorf("%+v, %v", one, err)
	}
	two, err := b.Login()
	if err != nil || two.Addr != "127.0.0.1:1143" || !two.Plain {
		t.Errorf("%+v, %v", two, err)
	}
	if m, ok := c.MailboxOf("any"); !ok || m.Name != "bounces" {
		t.Errorf("%+v, %t", m, ok)
	}
	shown, err := Print(c, nil)
	if err != nil || strings.Contains(string(shown), "nary") {
		t.Errorf("printed %s, %v", shown, err)
	}

	for _, bad := range []struct{ yaml, want string }{
		{"{name: a}", "mailboxes[0].url: is required"},
		{"{name: a, url: 'https://a:canary@b'}", "must begin with imaps://"},
		{"{name: a, url: 'imaps://canary'}", "needs a user and a password"},
		{"{name: a, url: 'imap://a:canary@example.com?tls=none'}", "never sent in clear text"},
		{"{name: a, url: 'imaps://a:canary@b', address: nobody}", "is not an address"},
		{"{name: a, url: 'imaps://a:canary@b', channels: [x]}", "channels[0]"},
		{"{name: a, url: 'imaps://a:canary@b', done: INBOX}", "another, or none"},
		{"{name: a, url: 'imaps://a:canary@b', every: 1ms}", "between 1s and 1h"},
		{"{name: a, url: 'imaps://a:canary@b', url_file: " + file + "}", "keep one of the two"},
		{"{name: a, url_file: /nowhere}", "does not exist"},
	} {
		_, err := load("mailboxes: [" + bad.yaml + "]\n")
		if err == nil || !strings.Contains(err.Error(), bad.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", bad.yaml, err)
		}
	}
}
