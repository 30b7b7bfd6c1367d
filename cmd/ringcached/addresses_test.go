package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestResolveListen(t *testing.T) {
	everywhere := "0.0.0.0:11211"
	if hasIPv6() {
		everywhere += " [::]:11211"
	}
	for _, test := range []struct {
		hosts string // separated by commas
		port  int
		want  string // separated by spaces
	}{
		{"", 11211, everywhere},
		{"127.0.0.1", 11211, "127.0.0.1:11211"},
		{"127.0.0.1:1", 11211, "127.0.0.1:1"},
		{"127.0.0.1,127.0.0.2:5, 127.0.0.1", 4, "127.0.0.1:4 127.0.0.2:5"},
		{"::1", 7, "[::1]:7"},
		{"[::1]", 7, "[::1]:7"},
		{"[::1]:8", 7, "[::1]:8"},
		{"::ffff:127.0.0.1", 7, "127.0.0.1:7"},
		{"fe80::1%lo", 7, "[fe80::1%lo]:7"},
		{"127.0.0.1", anyPort, "127.0.0.1:0"},
		{"127.0.0.1", 0, ""},
		{"", 0, ""},
		{"127.0.0.1:5", 0, ""},
	} {
		got, err := resolveListen(split(test.hosts), test.port)
		if err != nil {
			t.Errorf("%q: %v", test.hosts, err)
			continue
		}
		var want []netip.AddrPort
		for text := range strings.FieldsSeq(test.want) {
			want = append(want, netip.MustParseAddrPort(text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, port %d: %v, want %v", test.hosts, test.port, got, want)
		}
	}
}

func TestResolveListenRefuses(t *testing.T) {
	for hosts, want := range map[string]string{
		"127.0.0.1:":      "want a port from 1 to 65535",
		"127.0.0.1:0":     "want a port from 1 to 65535",
		"127.0.0.1:70000": "want a port from 1 to 65535",
		"127.0.0.1:http":  "want a port from 1 to 65535",
		"[::1":            "is not host, host:port or [v6]:port",
		"[::1]x":          "is not host, host:port or [v6]:port",
		"[no such host]":  "can't resolve",
		"no such host:5":  "can't resolve",
	} {
		_, err := resolveListen(split(hosts), 11211)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "-l") {
			t.Errorf("%q: %v, want %q", hosts, err, want)
		}
	}
}

func split(hosts string) []string {
	if hosts == "" {
		return nil
	}
	return strings.Split(hosts, ",")
}
