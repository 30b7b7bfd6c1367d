package handshake

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

// TestConnect lets both sides be this package's, with whole handshakes and resumed ones, and lets them talk.
func TestConnect(t *testing.T) {
	for _, version := range versions {
		t.Run(VersionName(version), func(t *testing.T) {
			site := newSite(t, "ecdsa")
			server := site.server(t)
			config := site.returning(version)
			again(t, server, PeerByMode, config, Done) // the cache has a session
			whole := config.Clone()
			whole.ClientSessionCache = nil
			for _, c := range []struct {
				config *tls.Config
				want   Outcome
			}{{whole, Done}, {config, Resumed}, {config, Resumed}} {
				near, far := dial(t)
				here := ended{conn: near}
				done := make(chan struct{})
				go func() {
					defer close(done)
					here.Result, here.err = server.Do(near, time.Now().Add(patience), PeerByMode)
				}()
				result, err := Connect(far, c.config, time.Now().Add(patience))
				<-done
				if err != nil || here.err != nil {
					t.Fatalf("client: %v; server: %v", err, here.err)
				}
				if result.Outcome != c.want || here.Outcome != c.want || result.Version != version || result.Suite != here.Suite {
					t.Errorf("client: %v; server: %v, want %v", result.Outcome, here.Outcome, c.want)
				}
				there := ended{Result: result, conn: far}
				client, back := newLine(t, &there), newLine(t, &here)
				for _, text := range []string{"one", "two", "three"} {
					client.write(text)
					if got, err := back.read(); got != text || err != nil {
						t.Fatalf("the server read %q, %v", got, err)
					}
					back.write(text)
					if got, err := client.read(); got != text || err != nil {
						t.Fatalf("the client read %q, %v", got, err)
					}
				}
			}
		})
	}
}

// TestConnectFails: the error is crypto/tls's, and there is no Result.
func TestConnectFails(t *testing.T) {
	site := newSite(t, "ecdsa")
	server := site.server(t)
	stranger := &tls.Config{RootCAs: newSite(t, "ecdsa").ca.pool(), ServerName: "server"}
	old := site.clientConfig()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	for _, c := range []struct {
		config *tls.Config
		fits   func(error) bool
	}{
		{stranger, func(err error) bool { var wrong *tls.CertificateVerificationError; return errors.As(err, &wrong) }},
		{old, func(err error) bool {
			var alert *net.OpError
			return errors.As(err, &alert) && alert.Op == "remote error"
		}},
	} {
		near, far := dial(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = server.Do(near, time.Now().Add(patience), PeerByMode)
		}()
		result, err := Connect(far, c.config, time.Now().Add(patience))
		far.Close()
		<-done
		if err == nil || !c.fits(err) || result.Secrets.Version != 0 {
			t.Errorf("%v, %+v", err, result)
		}
	}
	_, far := dial(t)
	if _, err := Connect(far, site.clientConfig(), time.Now().Add(50*time.Millisecond)); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("of a server that says nothing: %v", err)
	}
}
