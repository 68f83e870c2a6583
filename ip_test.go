package rapport_test

import (
	"testing"

	"rapport"
)

func TestNetworksKeepNoMoreThanTheySay(t *testing.T) {
	for _, c := range []struct {
		how      rapport.Networks
		in, want string
	}{
		{rapport.FullNetworks, "198.51.100.77", "198.51.100.77"},
		{rapport.FullNetworks, "somewhere", "somewhere"},
		{rapport.ShortNetworks, "198.51.100.77", "198.51.100.0"},
		{rapport.ShortNetworks, "::ffff:198.51.100.77", "198.51.100.0"},
		{rapport.ShortNetworks, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
		{rapport.ShortNetworks, "fe80::1%eth0", "fe80::"},
		{rapport.ShortNetworks, "somewhere", ""},
		{rapport.ShortNetworks, "", ""},
		{"", "198.51.100.77", "198.51.100.0"},
		{rapport.NoNetworks, "198.51.100.77", ""},
	} {
		if got := c.how.Keep(c.in); got != c.want {
			t.Errorf("%q keeps %q of %q, want %q", c.how, got, c.in, c.want)
		}
	}
}
