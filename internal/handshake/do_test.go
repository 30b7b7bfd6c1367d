package handshake

import (
	"crypto/tls"
	"testing"
)

// versions are those that are offered.
var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// TestSuites does a handshake with every suite and kind of key that fit, and goes on with what it leaves.
func TestSuites(t *testing.T) {
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		site := newSite(t, kind)
		server := site.server(t)
		for _, suite := range Suites() {
			t.Run(kind+" "+suite.OpenSSL, func(t *testing.T) {
				config := site.clientConfig()
				config.MinVersion, config.MaxVersion = suite.Version, suite.Version
				config.CipherSuites = []uint16{suite.ID} // of no effect in TLS 1.3
				forRSA := hasWord(suite.keywords, "aRSA")
				fits := suite.Version == tls.VersionTLS13 || forRSA == (kind == "rsa")
				e := meet(t, server, PeerByMode, config, !fits)
				if !fits {
					if e.Outcome != NoSharedCipher || e.err == nil {
						t.Fatalf("%v, %v", e.Outcome, e.err)
					}
					return
				}
				if e.err != nil || e.clientErr != nil {
					t.Fatalf("server: %v; client: %v", e.err, e.clientErr)
				}
				if e.Outcome != Done || e.Version != suite.Version || e.Secrets.Version != suite.Version || e.Secrets.Suite != e.Suite {
					t.Fatalf("%v, version %#x, suite %#x", e.Outcome, e.Version, e.Suite)
				}
				if suite.Version == tls.VersionTLS12 && e.Suite != suite.ID {
					t.Fatalf("suite %s", tls.CipherSuiteName(e.Suite))
				}
				talk(t, &e)
			})
		}
	}
}
