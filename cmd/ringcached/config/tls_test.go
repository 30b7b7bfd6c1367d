package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringcached/batch"
	"ringcached/internal/contract"
)

// TestResolveListenTLS: with -Z every TCP address is encrypted but those of notls:, and no UDP address is.
func TestResolveListenTLS(t *testing.T) {
	for typed, want := range map[string]string{
		"127.0.0.1":                    "127.0.0.1:7=tls",
		"notls:127.0.0.1,127.0.0.2:8":  "127.0.0.1:7 127.0.0.2:8=tls",
		"btls:127.0.0.1,mtls:[::1]:9":  "127.0.0.1:7=btls [::1]:9=mtls",
		"mtls:proto[ascii]:127.0.0.1":  "127.0.0.1:7=mtls-ascii",
		"proto[binary]:notls:127.1:8":  "127.0.0.1:8=binary",
		"tag[x]:mtls:proto[ascii]:0:8": "0.0.0.0:8=mtls-ascii",
	} {
		got, err := resolveWith([]string{typed}, 7, true)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v; want %s", typed, got, err, want)
		}
		items, err := parseListen([]string{typed}, true)
		if err != nil {
			t.Error(err)
		}
		all, err := resolveListen(forDatagrams(items), 7)
		if err != nil || slices.ContainsFunc(all, func(e endpoint) bool { return e.label != 0 }) {
			t.Errorf("%s for UDP: %v, %v", typed, all, err)
		}
	}
	if got, err := resolveWith(nil, 7, true); err != nil || !strings.HasPrefix(strings.Join(got, " "), "0.0.0.0:7=tls") {
		t.Errorf("without -l: %v, %v", got, err)
	}
	for typed, want := range map[string]string{
		"notls:mtls:127.0.0.1":        "mtls: behind notls:",
		"mtls:":                       "no address behind",
		"mtls":                        "can't resolve",
		"notls:127.0.0.1,127.0.0.1":   "127.0.0.1:7 is named with two protocols",
		"mtls:127.0.0.1,btls:127.1":   "127.0.0.1:7 is named with two protocols",
		"proto[ascii]:mtls:127.0.0.1": "",
	} {
		_, err := resolveWith([]string{typed}, 7, true)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", typed, err, want)
		}
	}
}

// TestLabels: each label has a name of its own, which leads back to it.
func TestLabels(t *testing.T) {
	seen := map[uint8]string{}
	for _, tls := range []string{"", "tls", "mtls", "btls"} {
		for _, protocol := range []string{"", "ascii", "binary", "negotiating"} {
			name := strings.Trim(tls+"-"+protocol, "-")
			label := Label(name)
			if other, taken := seen[label]; taken {
				t.Errorf("%q and %q have the label %d", other, name, label)
			}
			seen[label] = name
			if LabelName(label) != name || (contract.TLSLabel(label) != 0) != (tls != "") {
				t.Errorf("%q: label %d, named %q", name, label, LabelName(label))
			}
			if (label == 0) != (name == "") || (LabelWords(label) == "") != (name == "") || tls != "" && !strings.Contains(LabelWords(label), "TLS") {
				t.Errorf("%q: label %d, %q", name, label, LabelWords(label))
			}
		}
	}
	if label := Label("telepathy"); label != 0 {
		t.Errorf("telepathy: label %d", label)
	}
	if label := Label("tls-telepathy"); label != contract.LabelTLS { // a newer server's
		t.Errorf("tls-telepathy: label %d", label)
	}
}

// TestSocketLabel: -Z encrypts sockets that somebody else has opened; those of a server stay what they were.
func TestSocketLabel(t *testing.T) {
	for _, test := range []struct {
		enabled, handedOver bool
		name, want          string
	}{
		{false, false, "", ""},
		{true, false, "", "tls"},
		{true, true, "", ""},
		{true, true, "mtls-ascii", "mtls-ascii"},
		{false, true, "tls", "tls"},
	} {
		c := New()
		c.TLS.Enabled = test.enabled
		if got := LabelName(c.SocketLabel(test.name, test.handedOver)); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

// TestHandedSockets: what was encrypted must stay so, and what was not stays so with a warning.
func TestHandedSockets(t *testing.T) {
	n := newNetwork()
	n.Addrs = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:2"), netip.MustParseAddrPort("127.0.0.1:3")}
	n.Labels = []uint8{Label("tls"), Label("ascii"), Label("mtls-ascii")}
	if err := n.checkHanded(false); err == nil || err.Error() != "the server that hands over serves 127.0.0.1:1, 127.0.0.1:3 over TLS, and -Z, --enable-ssl is missing" {
		t.Error(err)
	}
	if err := n.checkHanded(true); err != nil {
		t.Error(err)
	}
	c := New()
	c.Network, c.TLS.Enabled = n, true
	if got, want := explained(c), "warning: -Z, --enable-ssl: [::1]:2 is served without TLS, as by the server that hands over; after a restart it is not\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestHandedPlainAsAsked: there is no warning of an address that -l wants without TLS.
func TestHandedPlainAsAsked(t *testing.T) {
	for _, test := range []struct {
		listen string
		port   int
		warned bool
	}{
		{"notls:127.0.0.1:7", 11211, false},
		{"notls:127.0.0.1", 7, false},
		{"notls:127.0.0.1", anyPort, false},
		{"notls:proto[ascii]:127.0.0.1:7", 11211, false},
		{"mtls:127.0.0.2:7,notls:127.0.0.1:7", 11211, false},
		{"127.0.0.1:7", 11211, true},
		{"notls:127.0.0.1:8", 11211, true},
		{"notls:127.0.0.2:7,127.0.0.1:7", 11211, true},
		{"notls:[", 11211, true}, // a mistake in words that have no effect
	} {
		c := New()
		n := &c.Network
		c.TLS.Enabled, n.Port, n.Inherited = true, test.port, &batch.Inherited{}
		if err := n.Hosts.Set(test.listen); err != nil {
			t.Fatal(err)
		}
		n.adopt(true)
		n.Addrs, n.Labels = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:7")}, []uint8{0}
		if err := n.checkHanded(true); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(explained(c), "127.0.0.1:7 is served without TLS"); got != test.warned {
			t.Errorf("-l %s with port %d: warned %v", test.listen, test.port, got)
		}
	}
}

// explained is what ExplainTLS says whatever the verbosity.
func explained(c *Config) (said string) {
	c.ExplainTLS(func(level int, format string, args ...any) {
		if level == 0 {
			said += fmt.Sprintf(format, args...) + "\n"
		}
	})
	return said
}

func TestExplainTLS(t *testing.T) {
	for _, test := range []struct {
		options, unix string
		enabled, udp  bool
		want          string
	}{
		{"", "", false, true, ""},
		{"", "", true, false, ""},
		{"modern,ssl_key=/x,ssl_wbuf_size=16", "", false, false, "warning: -o ssl_key=/x,ssl_wbuf_size=16: without -Z, --enable-ssl there is no TLS\n"},
		{"ssl_key=/x", "/x", true, false, "warning: -Z, --enable-ssl: the unix socket is served without TLS\n"},
		{"ssl_key=/x", "", true, true, "warning: -Z, --enable-ssl: datagrams are not encrypted (-U)\n"},
	} {
		c := New()
		c.TLS.Enabled, c.Network.Unix = test.enabled, test.unix
		if test.udp {
			c.Network.UDPAddrs = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
		}
		if err := (extendedValue{&c.Extended}).Set(test.options); err != nil {
			t.Fatal(err)
		}
		if got := explained(c); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

// TestTLSPaths: the key may be in the file of the certificates, and paths become absolute, for daemons.
func TestTLSPaths(t *testing.T) {
	for options, want := range map[string][3]string{
		"ssl_chain_cert=both.pem":                         {"both.pem", "both.pem", ""},
		"ssl_chain_cert=/a/chain,ssl_key=k,ssl_ca_cert=c": {"/a/chain", "k", "c"},
	} {
		c := New()
		c.TLS.Enabled = true
		if err := (extendedValue{&c.Extended}).Set(options); err != nil {
			t.Fatal(err)
		}
		if err := c.resolveTLS(); err != nil {
			t.Fatal(err)
		}
		for i, path := range want {
			if path != "" {
				want[i], _ = filepath.Abs(path)
			}
		}
		if o := c.Extended.TLS; want != [3]string{o.Chain, o.Key, o.CA} {
			t.Errorf("%s: %+v", options, o)
		}
	}
}
