package rapport

import "net/netip"

// Networks is how much of a network address is kept as evidence: "full",
// "short" (the network without the connection: the first 24 bits of IPv4, the
// first 48 of IPv6) or "none".
type Networks string

// The three ways. Whatever else is written counts as ShortNetworks.
const (
	FullNetworks  Networks = "full"
	ShortNetworks Networks = "short"
	NoNetworks    Networks = "none"
)

const (
	shortIPv4 = 24
	shortIPv6 = 48
)

// Keep is what is kept of an address. What is no address is kept whole only by
// "full": nothing can be said about how much it tells.
func (n Networks) Keep(address string) string {
	switch n {
	case FullNetworks:
		return address
	case NoNetworks:
		return ""
	case ShortNetworks:
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	bits := shortIPv6
	if ip.Is4() {
		bits = shortIPv4
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return network.Addr().String()
}
