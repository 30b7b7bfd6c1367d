package handshake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestErrorsNameFileAndReason gives New every kind of bad file and setting, and Refresh of a running server every bad file.
func TestErrorsNameFileAndReason(t *testing.T) {
	site := newSite(t, "rsa")
	put := func(name string, data []byte) string { return write(t, site.dir, name, data) }
	other := issue(t, "ecdsa", "other", site.ca, nil)
	expired := issue(t, "rsa", "server", site.ca, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	early := issue(t, "rsa", "server", site.ca, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })
	short := issue(t, "rsa1024", "server", site.ca, nil)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224DER, err := x509.MarshalECPrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, headers map[string]string, data []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: data})
	}
	rsaDER := x509.MarshalPKCS1PrivateKey(site.serverCert.key.(*rsa.PrivateKey))
	chain := site.serverCert.pem()

	type change func(c *Config)
	chainIs := func(data []byte) change { return func(c *Config) { c.Files.Chain = put("chain2.pem", data) } }
	keyIs := func(data []byte) change { return func(c *Config) { c.Files.Key = put("key2.pem", data) } }
	caIs := func(data []byte) change { return func(c *Config) { c.Files.CA = put("ca2.pem", data) } }
	for _, c := range []struct {
		change change
		file   string
		reason string
	}{
		{func(c *Config) { c.Files.Chain = "" }, "ssl_chain_cert", "names no file"},
		{func(c *Config) { c.Files.Chain = site.dir + "/missing.pem" }, "missing.pem", "no such file or directory"},
		{func(c *Config) { c.Files.Chain = site.dir }, site.dir, "is a directory"},
		{chainIs(nil), "chain2.pem", "there is no certificate in PEM"},
		{chainIs([]byte("nonsense")), "chain2.pem", "there is no certificate in PEM"},
		{chainIs(site.serverCert.keyPEM(t)), "chain2.pem", "there is no certificate in PEM"},
		{chainIs(block("CERTIFICATE", nil, []byte("nonsense"))), "chain2.pem", "number 1 in it: x509"},
		{chainIs(append(chain[:len(chain):len(chain)], block("CERTIFICATE", nil, []byte("nonsense"))...)), "chain2.pem", "number 2 in it: x509"},
		{chainIs(expired.pem()), "chain2.pem", "it expired at " + expired.NotAfter.UTC().Format(time.RFC3339)},
		{chainIs(early.pem()), "chain2.pem", "it is not valid before"},
		{chainIs(short.pem()), "chain2.pem", "an RSA key of 1024 bits: 2048 is the least"},
		{func(c *Config) { c.Files.Key = site.dir + "/missing.pem" }, "missing.pem", "no such file or directory"},
		{func(c *Config) { c.Files.Key = "" }, "chain.pem", "there is no private key in PEM"},
		{keyIs(chain), "key2.pem", "there is no private key in PEM"},
		{keyIs(site.serverCert.keyDER(t)), "key2.pem", "there is no private key in PEM"},
		{keyIs(block("PRIVATE KEY", nil, []byte("nonsense"))), "key2.pem", "it can't be read as a private key"},
		{keyIs(block("ENCRYPTED PRIVATE KEY", nil, []byte("nonsense"))), "key2.pem", "it is encrypted"},
		{keyIs(block("RSA PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, rsaDER)), "key2.pem", "it is encrypted"},
		{keyIs(short.keyPEM(t)), "key2.pem", "an RSA key of 1024 bits: 2048 is the least"},
		{keyIs(block("EC PRIVATE KEY", nil, p224DER)), "key2.pem", "P-224"},
		{keyIs(other.keyPEM(t)), "key2.pem", "it is not that of the certificate in " + site.config.Files.Chain},
		{func(c *Config) { c.KeyFormat = FormatDER }, "key.pem", "it is PEM, and ssl_keyformat says DER"},
		{func(c *Config) { c.KeyFormat, c.Files.Key = FormatDER, put("key.der", []byte("nonsense")) }, "key.der", "it can't be read as a private key"},
		{func(c *Config) { c.KeyFormat, c.Files.Key = FormatDER, "" }, "", "ssl_keyformat is DER: such a key needs a file of its own"},
		{func(c *Config) { c.KeyFormat = 3 }, "", "ssl_keyformat 3"},
		{func(c *Config) { c.Files.CA = site.dir + "/missing.pem" }, "missing.pem", "no such file or directory"},
		{caIs([]byte("nonsense")), "ca2.pem", "there is no certificate in PEM"},
		{caIs(block("CERTIFICATE", nil, []byte("nonsense"))), "ca2.pem", "number 1 in it: x509"},
		{func(c *Config) { c.VerifyMode = 4 }, "", "ssl_verify_mode 4"},
		{func(c *Config) { c.VerifyMode, c.Files.CA = VerifyRequire, "" }, "", "needs ssl_ca_cert: "},
		{func(c *Config) { c.VerifyMode, c.Files.CA = VerifyOnce, "" }, "", "needs ssl_ca_cert: "},
		{func(c *Config) { c.Mutual, c.Files.CA = true, "" }, "", "needs ssl_ca_cert: "},
		{func(c *Config) { c.MinVersion = tls.VersionTLS11 }, "", "ssl_min_version: TLS 1.1 is not offered"},
		{func(c *Config) { c.Ciphers = "RC4" }, "", `"RC4" is not offered`},
		{func(c *Config) { c.Ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }, "chain.pem", "no client of TLS 1.2 could connect"},
	} {
		config := site.config
		c.change(&config)
		server, err := New(config)
		if err == nil || server != nil {
			t.Errorf("%q: no error", c.reason)
			continue
		}
		if text := err.Error(); !strings.Contains(text, c.file) || !strings.Contains(text, c.reason) || strings.Contains(text, "\n") {
			t.Errorf("the error is %q: it should name %q and say %q", text, c.file, c.reason)
		}

		if c.file == "" || config.Files.Chain == "" || config.Ciphers != "" {
			continue // a setting, which Refresh does not change
		}
		running := site.server(t)
		loaded := running.Loaded()
		running.config.Files, running.config.KeyFormat = config.Files, config.KeyFormat
		if refresh := running.Refresh(); refresh == nil || refresh.Error() != err.Error() || running.Loaded() != loaded {
			t.Errorf("Refresh says %v, and New %v", refresh, err)
		}
	}
}

// TestKeysInAnyEncoding: PEM and DER, PKCS #8, PKCS #1 and SEC 1, beside the certificate or in its file.
func TestKeysInAnyEncoding(t *testing.T) {
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		site := newSite(t, kind)
		encodings := map[string][]byte{"PRIVATE KEY": site.serverCert.keyDER(t)}
		switch key := site.serverCert.key.(type) {
		case *rsa.PrivateKey:
			encodings["RSA PRIVATE KEY"] = x509.MarshalPKCS1PrivateKey(key)
		case *ecdsa.PrivateKey:
			der, err := x509.MarshalECPrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			encodings["EC PRIVATE KEY"] = der
		}
		parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 1, 1}}) // openssl ecparam -genkey puts it first
		for name, der := range encodings {
			text := pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der})
			for where, config := range map[string]Config{
				"PEM":      {Files: Files{Chain: site.config.Files.Chain, Key: write(t, site.dir, "1", append(parameters, text...))}},
				"DER":      {Files: Files{Chain: site.config.Files.Chain, Key: write(t, site.dir, "2", der)}, KeyFormat: FormatDER},
				"together": {Files: Files{Chain: write(t, site.dir, "3", append(text, site.serverCert.pem()...))}, KeyFormat: FormatPEM},
			} {
				server, err := New(config)
				if err != nil {
					t.Errorf("%s, %s, %s: %v", kind, name, where, err)
					continue
				}
				if e := meet(t, server, PeerByMode, site.clientConfig(), false); e.err != nil || e.clientErr != nil {
					t.Errorf("%s, %s, %s: %v, %v", kind, name, where, e.err, e.clientErr)
				}
			}
		}
	}
}

// TestChain: a client that has only the root is shown what lies between.
func TestChain(t *testing.T) {
	site := newSite(t, "ecdsa")
	between := issue(t, "ecdsa", "between", site.ca, func(c *x509.Certificate) {
		c.IsCA = true
		c.KeyUsage |= x509.KeyUsageCertSign
	})
	leaf := issue(t, "ecdsa", "server", between, nil)
	write(t, site.dir, "chain.pem", append(leaf.pem(), between.pem()...))
	write(t, site.dir, "key.pem", leaf.keyPEM(t))
	if e := meet(t, site.server(t), PeerByMode, site.clientConfig(), false); e.err != nil || e.clientErr != nil {
		t.Error(e.err, e.clientErr)
	}
}

// serial is the number of the certificate that a new client sees.
func serial(t *testing.T, site *site, server *Server) string {
	t.Helper()
	e := meet(t, server, PeerByMode, site.clientConfig(), false)
	if e.err != nil || e.clientErr != nil {
		t.Fatal(e.err, e.clientErr)
	}
	return e.client.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestRefresh(t *testing.T) {
	site := newSite(t, "rsa")
	clock := now
	server, err := newServer(site.config, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	if old := serial(t, site, server); old != site.serverCert.SerialNumber.String() {
		t.Fatal(old)
	}
	connected := meet(t, server, PeerByMode, site.clientConfig(), false)

	// Half of the new files are there: the old ones go on.
	clock = now.Add(time.Minute)
	renewed := issue(t, "ecdsa", "server", site.ca, func(c *x509.Certificate) { c.NotAfter = now.Add(48 * time.Hour) })
	write(t, site.dir, "chain.pem", renewed.pem())
	if err := server.Refresh(); err == nil || !strings.Contains(err.Error(), "key.pem: it is not that of the certificate in ") {
		t.Fatal(err)
	}
	if got := serial(t, site, server); got != site.serverCert.SerialNumber.String() || !server.Loaded().Equal(now) || !server.NotAfter().Equal(site.serverCert.NotAfter) {
		t.Fatal("a refresh that failed has changed something")
	}
	if err := os.Remove(filepath.Join(site.dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	write(t, site.dir, "key.pem", renewed.keyPEM(t))
	if err := server.Refresh(); err == nil || !strings.Contains(err.Error(), "ca.pem: no such file") {
		t.Fatal(err)
	}
	if got := serial(t, site, server); got != site.serverCert.SerialNumber.String() {
		t.Fatal("a refresh that failed has changed something")
	}

	write(t, site.dir, "ca.pem", site.ca.pem())
	if err := server.Refresh(); err != nil {
		t.Fatal(err)
	}
	if got := serial(t, site, server); got != renewed.SerialNumber.String() || !server.Loaded().Equal(clock) || !server.NotAfter().Equal(renewed.NotAfter) || server.Subject() != "CN=server" {
		t.Fatal("a refresh has not changed everything")
	}
	talk(t, &connected)
}
