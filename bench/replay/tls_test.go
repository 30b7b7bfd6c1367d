package replay

import (
	"crypto/tls"
	"errors"
	"testing"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
)

// TestReplayOverTLS: what a replay asks over TLS is answered as without it, and the server's certificate is checked.
func TestReplayOverTLS(t *testing.T) {
	var servers sut.ServerOptions
	servers.User = "nobody"
	if err := servers.MakeCertificate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(servers.Certificate.Remove)
	pair, err := tls.LoadX509KeyPair(servers.Certificate.Chain, servers.Certificate.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	o := replayOptions(fakeserver.StartWith(t, l, nil).Addr(), traceFile(t, asked("get a, get b, set c, get a, get c, delete a")...))
	o.Fill, o.Connections, o.Pipeline = true, 2, 4
	o.TLS = &load.TLS{CA: servers.Certificate.Chain}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Replay; r.Failed() != "" || r.Requests != 6 || r.Fills == nil || r.Fills.Done != 2 {
		t.Errorf("%+v", r)
	}
	o.TLS = &load.TLS{}
	if _, err := Run(t.Context(), o); !errors.Is(err, load.ErrHandshake) {
		t.Errorf("of an unknown certificate: %v, want %v", err, load.ErrHandshake)
	}
}
