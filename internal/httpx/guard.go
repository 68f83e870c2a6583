package httpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/idna"
)

// ErrForbidden is the cause when a host turned out to be in a network that
// may not be reached, or on a port other than 80 and 443.
var ErrForbidden = errors.New("this address is in a private or reserved network, or on a port other than 80 and 443; an administrator can allow it in the configuration")

// guard decides which addresses may be connected to.
type guard struct {
	public   *ssrf.Guardian
	networks []netip.Prefix
	hosts    map[string]bool // "intranet.example" or "intranet.example:8443"
	dialer   net.Dialer      // for hosts that are allowed by name
	checked  net.Dialer      // for all others: checks the connected address
}

// newGuard reads the list of allowed hosts and networks: a network as
// "10.1.0.0/16", an address as "10.1.2.3" or "fd00::1", a host by name, and
// each host or address may name one port ("hooks.example:8443").
func newGuard(private []string) (*guard, error) {
	g := &guard{public: ssrf.New(), hosts: map[string]bool{}}
	for _, entry := range private {
		if err := g.allow(strings.TrimSpace(entry)); err != nil {
			return nil, err
		}
	}
	g.dialer = net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	g.checked = g.dialer
	g.checked.Control = g.control
	return g, nil
}

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
)

func (g *guard) allow(entry string) error {
	if p, err := netip.ParsePrefix(entry); err == nil {
		g.networks = append(g.networks, p.Masked())
		return nil
	}
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		a = a.Unmap()
		g.networks = append(g.networks, netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	if entry == "" || strings.ContainsAny(entry, "/@ ?#") {
		return fmt.Errorf("%q is neither a host nor a network; write a name like hooks.intern.example, an address or a network like 10.1.0.0/16", entry)
	}
	g.hosts[canonicalHost(entry)] = true
	return nil
}

// plain connects; a host that is not allowed by name is checked after its
// name was looked up, for every address that is tried.
func (g *guard) plain(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &gateConn{Conn: conn}, nil
}

// secure connects and agrees on encryption.
func (g *guard) secure(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("read address: %w", err)
	}
	conn, err = handshake(ctx, conn, strings.TrimSuffix(host, "."))
	if err != nil {
		return nil, err
	}
	return &gateConn{Conn: conn}, nil
}

func (g *guard) connect(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	if g.hosts[canonicalHost(host)] || g.hosts[canonicalHost(address)] {
		return g.dialer.DialContext(ctx, network, address)
	}
	return g.checked.DialContext(ctx, network, address)
}

// control runs between the creation of a socket and its connection, so what
// it sees is the address that is really used, whatever a name server said
// before.
func (g *guard) control(network, address string, c syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	ip := to.Addr().Unmap().WithZone("")
	for _, p := range g.networks {
		if p.Contains(ip) {
			return nil
		}
	}
	if err := g.public.Safe(network, address, c); err != nil {
		return ErrForbidden
	}
	return nil
}

// canonicalHost folds case, spells international names as they are looked up
// and drops the dot that ends an absolute name.
func canonicalHost(hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = hostport, ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}
