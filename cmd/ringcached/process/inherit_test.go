package process

import "testing"

// TestSocketNames: a socket that is handed over keeps its protocol, and whoever has made it.
func TestSocketNames(t *testing.T) {
	for _, want := range []struct {
		protocol string
		own      bool
	}{{"", true}, {"ascii", true}, {"mtls-binary", true}, {"", false}, {"tls", false}} {
		if protocol, own := protocolOf(socketName(want.own, want.protocol), true); own != want.own || protocol != want.protocol {
			t.Errorf("%+v: own %v, protocol %q", want, own, protocol)
		}
	}
	for _, name := range []string{"ringcached.socket", "socket-tls", "socket", ""} {
		if protocol, own := protocolOf(name, false); own || protocol != "" {
			t.Errorf("systemd's socket %q: own %v, protocol %q", name, own, protocol)
		}
	}
}
