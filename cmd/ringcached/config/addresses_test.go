package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// resolve is what -l and a port make: each address, with its protocol behind it if it has one.
func resolve(values []string, port int) (texts []string, err error) {
	return resolveWith(values, port, false)
}

// resolveWith is the same with -Z or without.
func resolveWith(values []string, port int, encrypted bool) (texts []string, err error) {
	places, err := parseListen(values, encrypted)
	if err != nil {
		return nil, err
	}
	all, err := resolveListen(places, port)
	for _, e := range all {
		text := e.addr.String()
		if name := LabelName(e.label); name != "" {
			text += "=" + name
		}
		texts = append(texts, text)
	}
	return texts, err
}

func TestResolveListen(t *testing.T) {
	everywhere := "0.0.0.0:11211"
	if canBind6(netip.IPv6Unspecified()) {
		everywhere += " [::]:11211"
	}
	for _, test := range []struct {
		hosts string // of one -l
		port  int
		want  string // separated by spaces
	}{
		{"*", 11211, everywhere},
		{"*:11211", 7, everywhere},
		{":11211", 7, everywhere},
		{"127.0.0.1", 11211, "127.0.0.1:11211"},
		{"127.0.0.1:1", 11211, "127.0.0.1:1"},
		{"127.0.0.1: +1", 11211, "127.0.0.1:1"},
		{"[127.0.0.1]:1", 11211, "127.0.0.1:1"},
		{"127.0.0.1,127.0.0.2:5, 127.0.0.1", 4, "127.0.0.1:4 127.0.0.2:5"},
		{"127.0.0.1;127.0.0.2:5 ; ::1", 4, "127.0.0.1:4 127.0.0.2:5 [::1]:4"},
		{",;127.0.0.1,", 4, "127.0.0.1:4"},
		{"0.0.0.0,::", 4, "0.0.0.0:4 [::]:4"},
		{"::1", 7, "[::1]:7"},
		{"[::1]", 7, "[::1]:7"},
		{"[::1]:8", 7, "[::1]:8"},
		{"::ffff:127.0.0.1", 7, "127.0.0.1:7"},
		{"fe80::1%lo", 7, "[fe80::1%lo]:7"},
		{"[fe80::1%1]:8", 7, "[fe80::1%lo]:8"},
		{"127.0.0.1", anyPort, "127.0.0.1:0"},
		{"127.0.0.1:0", 7, "127.0.0.1:0"},
		{"127.0.0.1", 0, ""},
		{"127.0.0.1:5", 0, ""},
		// As inet_aton(3) reads them.
		{"127.1", 7, "127.0.0.1:7"},
		{"0", 7, "0.0.0.0:7"},
		{"0x7f000001:8", 7, "127.0.0.1:8"},
		{"2130706433", 7, "127.0.0.1:7"},
		{"0177.0.0.0x1", 7, "127.0.0.1:7"},
		// What memcached has before an address.
		{"proto[ascii]:127.0.0.1:1", 7, "127.0.0.1:1=ascii"},
		{"proto[binary]:tag[services]:127.0.0.1:1,proto[ascii]:tag_tools_:127.0.0.1:2", 7, "127.0.0.1:1=binary 127.0.0.1:2=ascii"},
		{"tag[x]:proto[negotiating]:[::1]:1;tag_12345678_:127.0.0.1", 7, "[::1]:1=negotiating 127.0.0.1:7"},
		{"proto[auto]:127.0.0.1,proto[]:127.0.0.2,proto[ASCII]:127.0.0.3", 7, "127.0.0.1:7 127.0.0.2:7 127.0.0.3:7"},
		{"proto[binary]:127.0.0.1;proto[ascii]:127.0.0.1", anyPort, "127.0.0.1:0=binary 127.0.0.1:0=ascii"},
	} {
		got, err := resolve([]string{test.hosts}, test.port)
		if want := strings.Fields(test.want); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, port %d: %v, %v; want %v", test.hosts, test.port, got, err, want)
		}
	}
	if got, err := resolve(nil, 11211); err != nil || strings.Join(got, " ") != everywhere {
		t.Errorf("without -l: %v, %v; want %s", got, err, everywhere)
	}
}

func TestResolveListenRefuses(t *testing.T) {
	for hosts, want := range map[string]string{
		"127.0.0.1:":                           "want a port from 0",
		"127.0.0.1:70000":                      "want a port from 0",
		"127.0.0.1:-1":                         "want a port from 0",
		"127.0.0.1:http":                       "want a port from 0",
		"[::1":                                 "not host, host:port or [v6]:port",
		"[::1]x":                               "not host, host:port or [v6]:port",
		"[]:1":                                 "not host, host:port or [v6]:port",
		"[no such host]":                       "can't resolve",
		"no such host:5":                       "can't resolve",
		"::1:22001:x":                          "can't resolve",
		"0b1":                                  "can't resolve",
		"256.1":                                "can't resolve",
		"fe80::1%nowhere":                      "there is no network interface nowhere",
		"lo":                                   "is a network interface",
		"":                                     "no address in",
		" ,;":                                  "no address in",
		"unix:/run/ringcached":                 "a unix socket is listened on with -s",
		"/run/ringcached":                      "a unix socket is listened on with -s",
		"notls:127.0.0.1":                      "notls: needs -Z, --enable-ssl",
		"mtls:proto[ascii]:127.0.0.1":          "mtls: needs -Z, --enable-ssl",
		"proto[ascii]:btls:127.0.0.1":          "btls: needs -Z, --enable-ssl",
		"proto[ascii]:":                        "no address behind",
		"tag[x]":                               "no address behind",
		"proto[ascii]127.0.0.1":                "want a colon behind proto[ascii]",
		"proto[ascii:127.0.0.1":                "no ] behind proto[",
		"proto[proxy]:127.0.0.1":               "there is no proxy here",
		"proto[ascii]:proto[binary]:127.0.0.1": "proto[ twice",
		"tag[]:127.0.0.1":                      "a tag has 1 to 8",
		"tag[123456789]:127.0.0.1":             "a tag has 1 to 8",
		"tag_x:127.0.0.1":                      "no _ behind tag_",
		"proto[ascii]:[::1]:5,[::1]:5":         "[::1]:5 is named with two protocols",
		"proto[ascii]:127.0.0.1,tag[a]:127.0.0.1": "127.0.0.1:11211 is named with two protocols",
	} {
		_, err := resolve([]string{hosts}, 11211)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "-l, --listen: ") {
			t.Errorf("%q: %v, want %q", hosts, err, want)
		}
	}
}

// TestListenWithoutIPv6: a name with addresses of both kinds, and every interface, are what the machine has of them.
func TestListenWithoutIPv6(t *testing.T) {
	without := netip.MustParseAddr("2001:db8::1") // no machine's
	local := netip.MustParseAddr("127.0.0.1")
	for _, test := range [][2][]netip.Addr{
		{{without, local}, {local}},
		{{without}, {without}}, // the error tells
	} {
		if got := withoutMissing(test[0]); !slices.Equal(got, test[1]) {
			t.Errorf("%v: %v, want %v", test[0], got, test[1])
		}
	}
}
