package demo

import (
	"context"
	"errors"
	"net"
	"strconv"

	"rapport"
)

// tries is how many ports after a taken one are tried.
const tries = 50

// free finds where the public pages can be: the wished address, or the next
// one whose port is free. url is how a browser on this machine gets there.
func free(ctx context.Context, wish string) (address, url string, err error) {
	host, port, err := net.SplitHostPort(wish)
	first, convErr := strconv.ParseUint(port, 10, 16)
	if err != nil || convErr != nil {
		return "", "", rapport.Invalidf("listen", "%q is not an address to listen on; write it like 127.0.0.1:8080", wish)
	}
	shown := host
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified():
		shown = "127.0.0.1"
	case host == "localhost", ip != nil && ip.IsLoopback():
	default:
		return "", "", rapport.Invalidf("listen", "the demo shows itself to this machine only; write 127.0.0.1:8080, or :8080 for every interface")
	}
	var lc net.ListenConfig
	for p := int(first); p <= min(int(first)+tries, 65535); p++ {
		l, next := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if next != nil {
			err = next
			continue
		}
		_, port, splitErr := net.SplitHostPort(l.Addr().String())
		if err := errors.Join(splitErr, l.Close()); err != nil {
			return "", "", rapport.Unavailablef(err, "the address %s cannot be used: %v", wish, err)
		}
		return net.JoinHostPort(host, port), "http://" + net.JoinHostPort(shown, port), nil
	}
	return "", "", rapport.Unavailablef(err, "neither %s nor one of the %d ports after it is free: %v", wish, tries, err)
}
