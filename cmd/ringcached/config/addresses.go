package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

var (
	errAddress = errors.New("not host, host:port or [v6]:port")
	errPort    = errors.New("want a port from 0, any free one, to 65535")
)

// endpoint is an address and its label.
type endpoint struct {
	addr  netip.AddrPort
	label uint8
}

// resolveListen turns the items of -l into endpoints without repeats, such as those of a host that /etc/hosts names twice. port, as
// given to -p or -U, is for items that name none; 0 means nothing at all.
func resolveListen(items []listenItem, port int) (all []endpoint, err error) {
	if port == 0 {
		return nil, nil
	}
	for _, p := range items {
		found, err := lookup(p.host)
		if err != nil {
			return nil, fmt.Errorf("-l, --listen: can't resolve %q: %w", p.host, err)
		}
		if p.port == noPort {
			p.port = port
		}
		for _, host := range found {
			e := endpoint{netip.AddrPortFrom(host, uint16(max(p.port, 0))), p.label()}
			if slices.Contains(all, e) {
				continue
			}
			if p.port > 0 && slices.ContainsFunc(all, func(o endpoint) bool { return o.addr == e.addr }) {
				return nil, fmt.Errorf("-l, --listen: %v is named with two protocols", e.addr)
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// splitEndpoints makes two slices of the endpoints.
func splitEndpoints(all []endpoint) (addrs []netip.AddrPort, labels []uint8) {
	for _, e := range all {
		addrs, labels = append(addrs, e.addr), append(labels, e.label)
	}
	return addrs, labels
}

// lookup finds the addresses of a host; "" is every interface.
func lookup(host string) ([]netip.Addr, error) {
	if host == "" {
		return withoutMissing([]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr, err = withZone(addr.Unmap())
		return []netip.Addr{addr}, err
	}
	if addr, ok := numericAddr(host); ok {
		return []netip.Addr{addr}, nil
	}
	if strings.ContainsAny(host, ":% ") { // no name has these
		return nil, errAddress
	}
	found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil && strings.EqualFold(host, "localhost") { // an empty container has no /etc/hosts; RFC 6761 fixes what the name means
		found, err = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	if _, noInterface := net.InterfaceByName(host); err != nil && noInterface == nil {
		return nil, errors.New("it is a network interface: -l wants one of its addresses")
	}
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return withoutMissing(found), nil
}

// withoutMissing leaves out the IPv6 addresses that this machine can't bind, if there are others: where IPv6 is switched off
// "every interface" and "localhost" must still work.
func withoutMissing(addrs []netip.Addr) []netip.Addr {
	left := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return a.Is6() && !canBind6(a) })
	if len(left) == 0 {
		return addrs
	}
	return left
}

func canBind6(addr netip.Addr) bool {
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
	return syscall.Bind(fd, &syscall.SockaddrInet6{Addr: addr.As16()}) == nil
}

// withZone gives the address the name of its zone's interface, which may be known by its number.
func withZone(addr netip.Addr) (netip.Addr, error) {
	if addr.Zone() == "" {
		return addr, nil
	}
	if _, err := net.InterfaceByName(addr.Zone()); err == nil {
		return addr, nil
	}
	if number, err := strconv.Atoi(addr.Zone()); err == nil {
		if named, err := net.InterfaceByIndex(number); err == nil {
			return addr.WithZone(named.Name), nil
		}
	}
	return addr, fmt.Errorf("there is no network interface %s", addr.Zone())
}

// numericAddr reads the IPv4 addresses that inet_aton(3) knows beside a.b.c.d: fewer parts, of which the last fills the rest,
// and parts in octal and in hexadecimal.
func numericAddr(host string) (addr netip.Addr, ok bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return addr, false
	}
	var sum uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		n, err := strconv.ParseUint(part, 0, bits)
		if err != nil || strings.ContainsAny(part, "_oO") || strings.HasPrefix(part, "0b") || strings.HasPrefix(part, "0B") {
			return addr, false // Go's own ways to write numbers
		}
		sum |= n << (8*(4-i) - bits)
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}
