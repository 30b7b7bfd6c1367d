package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// now is when tests run.
var now = time.Now()

// identity is a certificate with its key.
type identity struct {
	*x509.Certificate
	key crypto.Signer
}

// newKey makes a key: rsa, rsa1024, ecdsa or ed25519. RSA keys are made once, for making them is slow.
func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsaKey(2048)
	case "rsa1024":
		t.Setenv("GODEBUG", "rsa1024min=0")
		key, err = rsaKey(1024)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("a key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var rsaKeys sync.Map // of *rsa.PrivateKey by bits

func rsaKey(bits int) (*rsa.PrivateKey, error) {
	if key, ok := rsaKeys.Load(bits); ok {
		return key.(*rsa.PrivateKey), nil
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	rsaKeys.Store(bits, key)
	return key, err
}

// issue makes a certificate with a key of the kind, signed by issuer, or by itself without one. change may alter the template.
func issue(t testing.TB, kind, name string, issuer *identity, change func(*x509.Certificate)) *identity {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if issuer == nil {
		template.IsCA = true
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	}
	if change != nil {
		change(template)
	}
	made := &identity{key: newKey(t, kind)}
	parent, signer := template, made.key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, made.key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if made.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return made
}

// pem is the certificate's file.
func (i *identity) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Raw})
}

// keyDER is the key in PKCS #8.
func (i *identity) keyDER(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// keyPEM is the key's file.
func (i *identity) keyPEM(t testing.TB) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: i.keyDER(t)})
}

// forClient is the identity as crypto/tls takes it.
func (i *identity) forClient() []tls.Certificate {
	return []tls.Certificate{{Certificate: [][]byte{i.Raw}, PrivateKey: i.key, Leaf: i.Certificate}}
}

// pool has the certificate as a root.
func (i *identity) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate)
	return pool
}

// write makes a file and returns its path.
func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// site is a CA, the files of a server that it has signed, and a client.
type site struct {
	dir        string
	ca         *identity
	serverCert *identity
	client     *identity
	config     Config
}

// newSite makes a site whose server's key is of the kind; its CA may also sign clients.
func newSite(t testing.TB, kind string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), ca: issue(t, "ecdsa", "ca", nil, nil)}
	s.serverCert = issue(t, kind, "server", s.ca, nil)
	s.client = issue(t, "ecdsa", "client", s.ca, nil)
	s.config.Files = Files{
		Chain: write(t, s.dir, "chain.pem", append(s.serverCert.pem(), s.ca.pem()...)),
		Key:   write(t, s.dir, "key.pem", s.serverCert.keyPEM(t)),
		CA:    write(t, s.dir, "ca.pem", s.ca.pem()),
	}
	return s
}

// server starts from the site's configuration.
func (s *site) server(t testing.TB) *Server {
	t.Helper()
	server, err := New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// clientConfig is that of a client that trusts the site.
func (s *site) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: s.ca.pool(), ServerName: "server"}
}

// longExtension makes a certificate longer by n bytes.
func longExtension(n int) pkix.Extension {
	return pkix.Extension{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, n)}
}
