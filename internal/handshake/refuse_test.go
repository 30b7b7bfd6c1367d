package handshake

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestClientCertificates is the table of the package's comment, for both versions.
func TestClientCertificates(t *testing.T) {
	site := newSite(t, "ecdsa")
	site.config.Mutual = true
	stranger := issue(t, "ecdsa", "client", issue(t, "ecdsa", "ca", nil, nil), nil)
	expired := issue(t, "ecdsa", "client", site.ca, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	early := issue(t, "ecdsa", "client", site.ca, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })
	server := issue(t, "ecdsa", "client", site.ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	noKey := issue(t, "ecdsa", "client", site.ca, nil)
	noKey.key = newKey(t, "ecdsa")
	noKeyAtAll := noKey.forClient()
	noKeyAtAll[0].Leaf = nil

	const served, refused = true, false
	type row struct {
		mode VerifyMode
		peer Peer
		// Is a client served that has no certificate, a bad one, a good one?
		none, bad, good bool
		asked           bool
	}
	for _, r := range []row{
		{VerifyNone, PeerByMode, served, served, served, false},
		{VerifyRequest, PeerByMode, served, refused, served, true},
		{VerifyRequire, PeerByMode, refused, refused, served, true},
		{VerifyOnce, PeerByMode, refused, refused, served, true},
		{VerifyNone, PeerRequired, refused, refused, served, true},
		{VerifyRequest, PeerRequired, refused, refused, served, true},
		{VerifyRequire, PeerNone, served, served, served, false},
	} {
		config := site.config
		config.VerifyMode = r.mode
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range versions {
			for _, c := range []struct {
				name         string
				certificates []tls.Certificate
				served       bool
				outcome      Outcome
				alert12      string
				alert13      string
			}{
				{"none", nil, r.none, NoCertificate, "handshake failure", "certificate required"},
				{"stranger", stranger.forClient(), r.bad, BadCertificate, "unknown certificate authority", "unknown certificate authority"},
				{"expired", expired.forClient(), r.bad, BadCertificate, "expired certificate", "expired certificate"},
				{"early", early.forClient(), r.bad, BadCertificate, "expired certificate", "expired certificate"},
				{"server's", server.forClient(), r.bad, BadCertificate, "bad certificate", "bad certificate"},
				{"without its key", noKeyAtAll, r.bad, BadCertificate, "error decrypting message", "error decrypting message"},
				{"good", site.client.forClient(), r.good, 0, "", ""},
			} {
				name := strings.Join([]string{"mode", string('0' + rune(r.mode)), "peer", string('0' + rune(r.peer)), VersionName(version), c.name}, " ")
				t.Run(name, func(t *testing.T) {
					client := site.clientConfig()
					client.MinVersion, client.MaxVersion = version, version
					client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						if !r.asked {
							t.Error("a certificate was asked for")
						}
						if c.certificates == nil {
							return &tls.Certificate{}, nil
						}
						return &c.certificates[0], nil // even if the server has not named its issuer
					}
					e := meet(t, s, r.peer, client, !c.served)
					if c.served {
						wanted := ""
						if r.asked && c.certificates != nil {
							wanted = "client"
						}
						if e.err != nil || e.clientErr != nil || e.Client != wanted {
							t.Fatalf("server: %v; client: %v; name %q", e.err, e.clientErr, e.Client)
						}
						talk(t, &e)
						return
					}
					alert := c.alert12
					if version == tls.VersionTLS13 {
						alert = c.alert13
					}
					if e.err == nil || e.Outcome != c.outcome {
						t.Fatalf("outcome %v, not %v: %v", e.Outcome, c.outcome, e.err)
					}
					wantAlert(t, e.clientErr, alert)
				})
			}
		}
	}
}

// wantAlert looks whether the error of a client is that it received an alert.
func wantAlert(t *testing.T, err error, alert string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "remote error: tls: "+alert) {
		t.Fatalf("the client's error is %v: it should have received the alert %q", err, alert)
	}
}

func TestNothingShared(t *testing.T) {
	site := newSite(t, "ecdsa")
	for _, c := range []struct {
		name    string
		server  Config
		client  func(*tls.Config)
		outcome Outcome
		alert   string
	}{
		{"TLS 1.1", Config{}, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, NoSharedVersion, "protocol version not supported"},
		{"TLS 1.2, 1.3 wanted", Config{MinVersion: tls.VersionTLS13}, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, NoSharedVersion, "protocol version not supported"},
		{"suite", Config{Ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256"}, func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}, NoSharedCipher, "handshake failure"},
		{"CBC", Config{}, func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, NoSharedCipher, "handshake failure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.Files = site.config.Files
			server, err := New(c.server)
			if err != nil {
				t.Fatal(err)
			}
			client := site.clientConfig()
			c.client(client)
			e := meet(t, server, PeerByMode, client, true)
			if e.err == nil || e.Outcome != c.outcome {
				t.Fatalf("outcome %v, not %v: %v", e.Outcome, c.outcome, e.err)
			}
			wantAlert(t, e.clientErr, c.alert)
		})
	}
}

func TestClientRefuses(t *testing.T) {
	site := newSite(t, "ecdsa")
	server := site.server(t)
	for _, version := range versions {
		client := site.clientConfig()
		client.MinVersion, client.MaxVersion = version, version
		client.ServerName = "somebody"
		if e := meet(t, server, PeerByMode, client, true); e.Outcome != ClientAlert || e.err == nil {
			t.Errorf("%v: %v", e.Outcome, e.err)
		}
	}
}

// TestStrangeClients sends bytes that are no handshake, or the beginning of one.
func TestStrangeClients(t *testing.T) {
	server := newSite(t, "ecdsa").server(t)
	binary := make([]byte, 24)
	binary[0], binary[1] = 0x80, 0x0b
	for _, c := range []struct {
		name    string
		sent    string
		hangUp  bool
		outcome Outcome
	}{
		{"text protocol", "get a\r\n", false, NotTLS},
		{"text protocol, one byte", "v", true, Disconnected},
		{"binary protocol", string(binary), false, NotTLS},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", false, NotTLS},
		{"nothing", "", false, Timeout},
		{"nothing at all", "", true, Disconnected},
		{"half a header", "\x16\x03\x01", false, Timeout},
		{"half a record", "\x16\x03\x01\x02\x00\x01\x00\x01", false, Timeout},
		{"half a record, then gone", "\x16\x03\x01\x02\x00\x01\x00\x01", true, Disconnected},
		{"a record of no length", "\x16\x03\x01\x00\x00", false, ProtocolViolation},
		{"another message", "\x16\x03\x01\x00\x04\x14\x00\x00\x00", false, ProtocolViolation},
		{"a hello of nothing", "\x16\x03\x01\x00\x04\x01\x00\x00\x00", false, ProtocolViolation},
		{"an oversized record", "\x16\x03\x01\x50\x00", false, ProtocolViolation},
		{"an alert", "\x15\x03\x01\x00\x02\x02\x28", false, ClientAlert},
		{"close_notify", "\x15\x03\x01\x00\x02\x01\x00", false, Disconnected},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := dial(t)
			before := server.Counts()
			done := make(chan []byte, 1)
			go func() {
				_, _ = io.WriteString(far, c.sent)
				if c.hangUp {
					_ = far.CloseWrite()
				}
				got, _ := io.ReadAll(far)
				far.Close()
				done <- got
			}()
			deadline := time.Now().Add(patience)
			if c.outcome == Timeout {
				deadline = time.Now().Add(20 * time.Millisecond)
			}
			result, err := server.Do(near, deadline, PeerByMode)
			near.CloseWrite()
			got := <-done
			if err == nil || result.Outcome != c.outcome {
				t.Fatalf("%v: %v", result.Outcome, err)
			}
			if result.Leftover != nil || result.Secrets.Version != 0 {
				t.Fatal("a failure has leftovers or secrets")
			}
			if alert := len(got) == 7 && got[0] == 21 && got[5] == 2; c.outcome == ProtocolViolation && !alert {
				t.Fatalf("the client got %x, which is no alert", got)
			}
			after := server.Counts()
			before[c.outcome]++
			if after != before {
				t.Fatalf("counts %v, not %v", after, before)
			}
		})
	}
}

// brokenKey is a key whose owner can't reach it any more.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no")
}

func TestInternal(t *testing.T) {
	site := newSite(t, "ecdsa")
	server := site.server(t)
	files := *server.files.Load()
	certificate := files.certificates[0]
	certificate.PrivateKey = brokenKey{site.serverCert.key}
	files.certificates = []tls.Certificate{certificate}
	server.files.Store(&files)
	for version, alert := range map[uint16]string{tls.VersionTLS12: "handshake failure", tls.VersionTLS13: "internal error"} {
		client := site.clientConfig()
		client.MinVersion, client.MaxVersion = version, version
		e := meet(t, server, PeerByMode, client, true)
		if e.Outcome != Internal {
			t.Errorf("%v: %v", e.Outcome, e.err)
		}
		wantAlert(t, e.clientErr, alert)
	}
	counts := server.Counts()
	if counts.Failed() != 2 || counts[Internal] != 2 {
		t.Errorf("%v", counts)
	}
}

func TestClosedWhileItRuns(t *testing.T) {
	server := newSite(t, "ecdsa").server(t)
	near, _ := dial(t)
	time.AfterFunc(10*time.Millisecond, func() { near.Close() })
	if r, err := server.Do(near, time.Time{}, PeerByMode); r.Outcome != Disconnected || err == nil {
		t.Fatalf("%v: %v", r.Outcome, err)
	}
	if r, err := server.Do(near, time.Time{}, PeerByMode); r.Outcome != Disconnected || err == nil {
		t.Fatalf("%v: %v", r.Outcome, err)
	}
}
