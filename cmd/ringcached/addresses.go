package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// resolveListen turns the values of -l into addresses without repeats. port, as
// given to -p or -U, is for those that name none; 0 means no addresses at all. No
// host means every interface.
func resolveListen(hosts []string, port int) ([]netip.AddrPort, error) {
	if port == 0 {
		return nil, nil
	}
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	var addrs []netip.AddrPort
	for _, typed := range hosts {
		host, port, err := splitListen(strings.TrimSpace(typed), port)
		if err != nil {
			return nil, err
		}
		found, err := lookup(host)
		if err != nil {
			return nil, fmt.Errorf("-l, --listen: can't resolve %q: %w", host, err)
		}
		for _, addr := range found {
			addrs = append(addrs, netip.AddrPortFrom(addr, uint16(max(port, 0))))
		}
	}
	return unique(addrs), nil
}

// splitListen splits host, host:port, v6 and [v6]:port. Where no port is named it
// is the given one.
func splitListen(typed string, port int) (host string, _ int, err error) {
	switch {
	case typed == "":
		return "", port, nil
	case strings.Count(typed, ":") > 1 && typed[0] != '[': // a bare IPv6 address
		return typed, port, nil
	case typed[0] == '[' && typed[len(typed)-1] == ']':
		return typed[1 : len(typed)-1], port, nil
	case !strings.Contains(typed, ":"):
		return typed, port, nil
	}
	host, digits, err := net.SplitHostPort(typed)
	if err != nil {
		return "", 0, fmt.Errorf("-l, --listen: %q is not host, host:port or [v6]:port", typed)
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("-l, --listen: %q: want a port from 1 to 65535", typed)
	}
	return host, port, nil
}

// lookup finds the addresses of a host; "" is every interface.
func lookup(host string) ([]netip.Addr, error) {
	if host == "" {
		if hasIPv6() {
			return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
		}
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, nil
}

// hasIPv6 tells whether this kernel can bind the IPv6 wildcard: with IPv6
// switched off, listening on "every interface" must still work.
func hasIPv6() bool {
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
	return syscall.Bind(fd, &syscall.SockaddrInet6{}) == nil
}

// unique drops repeats, such as those of a host that /etc/hosts names twice.
// Free ports are never repeats of each other, but one per address is enough.
func unique(addrs []netip.AddrPort) []netip.AddrPort {
	var kept []netip.AddrPort
	for _, addr := range addrs {
		if !slices.Contains(kept, addr) {
			kept = append(kept, addr)
		}
	}
	return kept
}
