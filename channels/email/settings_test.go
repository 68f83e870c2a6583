package email

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rapport/channels"
	"rapport/internal/secret"
)

func TestServerURLs(t *testing.T) {
	for text, want := range map[string]endpoint{
		"smtp://mail.example.com":                         {addr: "mail.example.com:25", tls: tlsRequire},
		"smtp://shop:p%40ss@mail.example.com":             {addr: "mail.example.com:587", user: "shop", tls: tlsRequire},
		"smtps://shop:pass@mail.example.com":              {addr: "mail.example.com:465", user: "shop", tls: tlsImplicit},
		"smtp://mail.example.com:2525?tls=none":           {addr: "mail.example.com:2525", tls: tlsNone},
		"smtp://[::1]:25?tls=opportunistic":               {addr: "[::1]:25", tls: tlsOpportunistic},
		"smtp://shop%40example.com:x@mail.example.com:25": {addr: "mail.example.com:25", user: "shop@example.com", tls: tlsRequire},
	} {
		got, err := Server{URL: secret.New(text)}.parse()
		if err != nil || got.addr != want.addr || got.user != want.user || got.tls != want.tls || got.connections != defaultConnections {
			t.Errorf("%s: %+v: %v", text, got, err)
		}
	}
	e, err := Server{URL: secret.New("smtp://shop:p%40ss@mail.example.com"), Connections: 3, Rate: "600/m"}.parse()
	if err != nil || e.password() != "p@ss" || e.connections != 3 || e.interval != 100*time.Millisecond {
		t.Errorf("%+v: %v", e, err)
	}
}

// TestBadSettings: each mistake has a sentence that names the key, and no
// sentence has the password.
func TestBadSettings(t *testing.T) {
	good := func() Settings {
		return Settings{From: "news@example.com", Servers: []Server{{URL: secret.New("smtp://shop:s3cret@mail.example.com")}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	server := func(s Server) func(*Settings) { return func(x *Settings) { x.Servers[0] = s } }
	atURL := func(u string) func(*Settings) { return server(Server{URL: secret.New(u)}) }
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"no sender":           {func(s *Settings) { s.From = "Example Shop" }, "from:"},
		"two senders":         {func(s *Settings) { s.From = "a@example.com, b@example.com" }, "from:"},
		"sender with a break": {func(s *Settings) { s.From = "\"A\r\nBcc: x\" <a@example.com>" }, "from:"},
		"no server":           {func(s *Settings) { s.Servers = nil }, "servers:"},
		"no url":              {atURL(""), "servers[0].url:"},
		"not a url":           {atURL("smtp://shop:s3cret@mail.example.com:port"), "servers[0].url:"},
		"broken escape":       {atURL("smtp://shop:s3cret%zz@mail.example.com"), "servers[0].url:"},
		"other scheme":        {atURL("http://shop:s3cret@mail.example.com"), "smtp://"},
		"path":                {atURL("smtp://shop:s3cret@mail.example.com/in"), "servers[0].url:"},
		"user alone":          {atURL("smtp://s3cret@mail.example.com"), "both a user and a password"},
		"password in clear":   {atURL("smtp://shop:s3cret@mail.example.com?tls=none"), "clear text"},
		"unknown tls":         {atURL("smtp://shop:s3cret@mail.example.com?tls=maybe"), "opportunistic"},
		"unknown parameter":   {atURL("smtp://shop:s3cret@mail.example.com?ssl=1"), "ssl"},
		"smtps in clear":      {atURL("smtps://shop:s3cret@mail.example.com?tls=none"), "always encrypted"},
		"connections":         {server(Server{URL: secret.New("smtp://a.example"), Connections: -1}), "connections:"},
		"rate":                {server(Server{URL: secret.New("smtp://a.example"), Rate: "fast"}), "rate:"},
		"rate of nothing":     {server(Server{URL: secret.New("smtp://a.example"), Rate: "0/s"}), "rate:"},
		"helo":                {func(s *Settings) { s.Helo = "a b" }, "helo:"},
		"return path":         {func(s *Settings) { s.ReturnPath = "a@b" }, "return_path:"},
		"list domain":         {func(s *Settings) { s.ListDomain = "a>b" }, "list_domain:"},
		"timeout":             {func(s *Settings) { s.Timeout = -1 }, "timeout:"},
		"per connection":      {func(s *Settings) { s.PerConnection = -1 }, "max_per_connection:"},
		"dkim":                {func(s *Settings) { s.DKIM = &DKIM{Domain: "example.com"} }, "dkim:"},
	} {
		s := good()
		c.change(&s)
		err := s.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") && name != "user alone" {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

// TestSettingsAsConfigured: the keys are those of the configuration file.
func TestSettingsAsConfigured(t *testing.T) {
	text := `{"from": "Example Shop <news@example.com>", "helo": "a.example.com", "return_path": "b.example.com", "list_domain": "l.example.com",
		"timeout": "30s", "dot_timeout": "5m", "idle_timeout": "1m", "max_per_connection": 100,
		"servers": [{"url": "smtp://user:pass@smtp.example.com:587", "connections": 10, "rate": "50/s"}]}`
	if err := Driver.CheckSettings(json.RawMessage(text)); err != nil {
		t.Error(err)
	}
	ch, err := Driver.Open(t.Context(), channels.Env{Name: "news"}, json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
	for name, env := range map[string]channels.Env{"reply_to": {Name: "news", ReplyTo: "nobody"}} {
		if _, err := Driver.Open(t.Context(), env, json.RawMessage(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text = strings.Replace(text, `"timeout"`, `"ca_file": "/does/not/exist", "timeout"`, 1)
	if _, err := Driver.Open(t.Context(), channels.Env{Name: "news"}, json.RawMessage(text)); err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("ca_file: %v", err)
	}
}
