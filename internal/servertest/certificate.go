package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is a certificate for servers and clients on this host, and its own authority.
type Certificate struct {
	Chain, Key string // names of PEM files, which are gone at the end of the test

	pair  tls.Certificate
	roots *x509.CertPool
}

// NewCertificate makes a certificate with the name in files of a folder of the test's.
func NewCertificate(t testing.TB, name string) *Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := PublicDir(t) // a server reads it again when it is nobody
	c := &Certificate{Chain: filepath.Join(dir, "chain.pem"), Key: filepath.Join(dir, "key.pem"), roots: x509.NewCertPool()}
	chain, private := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for file, text := range map[string][]byte{c.Chain: chain, c.Key: private} {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if c.pair, err = tls.X509KeyPair(chain, private); err != nil {
		t.Fatal(err)
	}
	c.roots.AppendCertsFromPEM(chain)
	return c
}

// Flags are those of a server that speaks TLS with the certificate, with more behind them.
func (c *Certificate) Flags(more ...string) []string {
	return append([]string{"-Z", "-o", "ssl_chain_cert=" + c.Chain + ",ssl_key=" + c.Key}, more...)
}

// Client is the configuration of a client that trusts the certificate, and with show shows it to the server.
func (c *Certificate) Client(show bool) *tls.Config {
	config := &tls.Config{RootCAs: c.roots, ServerName: "localhost"}
	if show {
		config.Certificates = []tls.Certificate{c.pair}
	}
	return config
}
