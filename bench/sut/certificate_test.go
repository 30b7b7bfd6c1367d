package sut

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"ringcached/bench/load"
)

// TestCertificates: crypto/tls takes the files, clients take 127.0.0.1 for the server of the certificate, and Remove leaves nothing.
func TestCertificates(t *testing.T) {
	for _, key := range []string{"", KeyECDSA, KeyRSA} {
		t.Setenv("TMPDIR", t.TempDir())
		o := ServerOptions{TLSKey: key, User: "nobody"}
		if err := o.MakeCertificate(); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(o.Certificate.Chain, o.Certificate.Key)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(pair.Leaf)
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "127.0.0.1", Roots: roots}); err != nil {
			t.Error(err)
		}
		if rsa := pair.Leaf.PublicKeyAlgorithm == x509.RSA; rsa != (key == KeyRSA) {
			t.Errorf("%q: the key is %v", key, pair.Leaf.PublicKeyAlgorithm)
		}
		info, err := os.Stat(o.Certificate.Key)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		o.Certificate.Remove()
		if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	}
	for says, o := range map[string]ServerOptions{"tls-key": {TLSKey: "dsa"}, "tls-version": {TLSVersion: "1.1"}, "making a certificate": {User: "nobody"}} {
		t.Setenv("TMPDIR", "/none")
		if err := o.MakeCertificate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

// TestWhoSpeaksTLS: others say why they do not.
func TestWhoSpeaksTLS(t *testing.T) {
	o := ServerOptions{Path: "/bin/true", Memcached: "/bin/true"}
	for name, says := range map[string]string{
		Uring: "", "127.0.0.1:1": "", Null: "does not speak TLS", Net: "does not speak TLS", Memcached: "/bin/true was built without TLS: it has no --enable-ssl",
	} {
		err := o.CheckTLS(name)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	w := load.DefaultWorkload()
	s := Subject{Name: Uring, path: "/bin/true", OverTLS: true}
	if _, err := s.Start(t.Context(), &o, nil, &w); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Error(err)
	}
}
