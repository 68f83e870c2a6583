package httpx

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuardChecksTheConnectedAddress(t *testing.T) {
	plain, err := newGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	allowing, err := newGuard([]string{"10.1.0.0/16", "192.168.7.7", "fd00:1::/32", "[fd00:2::5]"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string][2]bool{ // without and with the allowed networks
		"93.184.215.14:443":               {true, true},
		"93.184.215.14:80":                {true, true},
		"93.184.215.14:8080":              {false, false},
		"[2606:2800:21f:cb07::1]:443":     {true, true},
		"127.0.0.1:80":                    {false, false},
		"0.0.0.0:80":                      {false, false},
		"10.1.2.3:80":                     {false, true},
		"10.1.2.3:8080":                   {false, true},
		"10.2.2.3:80":                     {false, false},
		"192.168.7.7:9000":                {false, true},
		"192.168.7.8:80":                  {false, false},
		"172.16.0.1:80":                   {false, false},
		"169.254.169.254:80":              {false, false},
		"100.64.0.1:80":                   {false, false},
		"224.0.0.1:80":                    {false, false},
		"240.0.0.1:80":                    {false, false},
		"[::1]:80":                        {false, false},
		"[::]:80":                         {false, false},
		"[fe80::1%eth0]:80":               {false, false},
		"[fd00:1::9]:80":                  {false, true},
		"[fd00:2::5]:80":                  {false, true},
		"[fd00:3::5]:80":                  {false, false},
		"[::ffff:127.0.0.1]:80":           {false, false},
		"[::ffff:10.1.2.3]:80":            {false, true},
		"[::ffff:93.184.215.14]:80":       {false, false},
		"[64:ff9b::7f00:1]:80":            {false, false},
		"[64:ff9b::a9fe:a9fe]:80":         {false, false},
		"[2002:7f00:1::]:80":              {false, false},
		"[2001:0:4136:e378::1]:80":        {false, false},
		"not an address":                  {false, false},
		"[fd00:ec2::254]:80":              {false, false},
		"198.18.0.1:80":                   {false, false},
		"192.0.2.1:80":                    {false, false},
		"[ff02::1]:80":                    {false, false},
		"255.255.255.255:443":             {false, false},
		"[2001:db8::1]:443":               {false, false},
		"[::ffff:169.254.169.254]:443":    {false, false},
		"[::169.254.169.254]:443":         {false, false},
		"[64:ff9b:1::169.254.169.254]:80": {false, false},
	} {
		network := "tcp4"
		if address[0] == '[' {
			network = "tcp6"
		}
		for i, g := range []*guard{plain, allowing} {
			if err := g.control(network, address, nil); (err == nil) != want[i] {
				t.Errorf("%s, guard %d: error %v, want allowed %v", address, i, err, want[i])
			}
		}
	}
}

func TestHostsMayBeAllowedByName(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		private []string
		host    string
		allowed bool
	}{
		{nil, "127.0.0.1", false},
		{nil, "localhost", false},
		{nil, "2130706433", false},
		{nil, "0x7f.1", false},
		{[]string{"localhost"}, "localhost", true},
		{[]string{"LOCALHOST."}, "localhost", true},
		{[]string{"localhost:" + port}, "localhost", true},
		{[]string{"localhost:1"}, "localhost", false},
		{[]string{"other.example"}, "localhost", false},
		{[]string{"127.0.0.1"}, "127.0.0.1", true},
	} {
		client, err := New(Options{Private: c.private})
		if err != nil {
			t.Fatal(err)
		}
		_, err = post(t.Context(), t, client, "http://"+c.host+":"+port, "x")
		if (err == nil) != c.allowed {
			t.Errorf("%s with %q: error %v, want allowed %v", c.host, c.private, err, c.allowed)
		}
		if reach := client.Reach(t.Context(), "http://"+c.host+":"+port); (reach == nil) != c.allowed {
			t.Errorf("reach %s with %q: error %v, want allowed %v", c.host, c.private, reach, c.allowed)
		}
		if !c.allowed && !strings.HasPrefix(c.host, "0x") && c.host != "2130706433" && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: error %v is not ErrForbidden", c.host, err)
		}
		_ = client.Close()
	}
}

func TestHostsAreComparedInOneSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"Hooks.Example.": "hooks.example", "hooks.example:8443": "hooks.example:8443",
		"MÜLLER.example:80": "xn--mller-kva.example:80", "under_score": "under_score", "[::1]:80": "[::1]:80",
	} {
		if got := canonicalHost(in); got != want {
			t.Errorf("canonicalHost(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMistakesInTheAllowListAreNamed(t *testing.T) {
	for _, entry := range []string{"", "http://intern.example", "10.0.0.0/99", "a b", "user@host"} {
		if _, err := New(Options{Private: []string{entry}}); err == nil || !strings.Contains(err.Error(), "neither a host nor a network") {
			t.Errorf("%q: error %v", entry, err)
		}
	}
}
