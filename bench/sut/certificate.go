package sut

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
)

// Keys of certificates by the names that the command line uses.
const (
	KeyECDSA = "ecdsa" // of the curve P-256
	KeyRSA   = "rsa"   // of 2048 bits
)

// Certificate is by what servers of a run prove that they are 127.0.0.1. It is signed by itself and good for a day.
type Certificate struct {
	Chain, Key string // PEM files
	dir        string
	clients    *load.TLS
}

// ValidateTLS says what is wrong with the options for TLS, naming the command line's flags.
func (o *ServerOptions) ValidateTLS() error {
	return cmp.Or(load.OneOf("tls-key", cmp.Or(o.TLSKey, KeyECDSA), KeyECDSA, KeyRSA), (&load.TLS{Version: o.TLSVersion}).Validate())
}

// MakeCertificate makes the certificate of the servers that the options start. It is theirs until Remove.
func (o *ServerOptions) MakeCertificate() (err error) {
	if err := o.ValidateTLS(); err != nil {
		return err
	}
	c := &Certificate{}
	if c.dir, err = o.OwnDir(""); err == nil {
		c.Chain, c.Key = filepath.Join(c.dir, "chain.pem"), filepath.Join(c.dir, "key.pem")
		c.clients = &load.TLS{Version: o.TLSVersion, CA: c.Chain}
		err = c.write(o.TLSKey)
	}
	if err == nil {
		err = c.clients.Validate()
	}
	if err != nil {
		c.Remove()
		return fmt.Errorf("making a certificate: %w", err)
	}
	o.Certificate = c
	return nil
}

// write makes the files.
func (c *Certificate) write(kind string) error {
	var key crypto.Signer
	var err error
	if kind == KeyRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "ringcached-bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(25 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	owner, err := os.Stat(c.dir)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		path string
		pem.Block
	}{{c.Chain, pem.Block{Type: "CERTIFICATE", Bytes: chain}}, {c.Key, pem.Block{Type: "PRIVATE KEY", Bytes: secret}}} {
		err := os.WriteFile(file.path, pem.EncodeToMemory(&file.Block), 0o600)
		if err == nil {
			err = os.Chown(file.path, int(owner.Sys().(*syscall.Stat_t).Uid), -1) // the user whom servers run as
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the files.
func (c *Certificate) Remove() {
	if c != nil && c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// clients is how the clients of the subject, which speaks TLS, have to do so.
func (s *Subject) clients(o *ServerOptions, w *load.Workload) (*load.TLS, error) {
	if s.path == "" { // its certificate is not ours
		return &load.TLS{Version: o.TLSVersion, Insecure: true}, nil
	}
	if o.Certificate == nil {
		return nil, errors.New("there is no certificate for TLS")
	}
	if err := (load.Endpoint{TLS: o.Certificate.clients}).Validate(w.TransportOrTCP()); err != nil {
		return nil, err
	}
	return o.Certificate.clients, s.checkTLS()
}

// checkTLS says why a server that is started here does not speak TLS.
func (s *Subject) checkTLS() error {
	switch {
	case PlainOnly(s.Name):
		return errors.New("it does not speak TLS")
	case s.path == "" || !strings.HasPrefix(s.Name, Memcached):
		return nil
	}
	help, err := exec.Command(s.path, "-h").CombinedOutput()
	if !bytes.Contains(help, []byte("--enable-ssl")) {
		return errors.Join(fmt.Errorf("%s was built without TLS: it has no --enable-ssl", s.path), err)
	}
	return nil
}

// PlainOnly says that the server of a name has no TLS.
func PlainOnly(name string) bool { return name == Null || name == Net || name == Valkey }

// CheckTLS says why the server of a name does not speak TLS, nil: it does.
func (o *ServerOptions) CheckTLS(name string) error {
	s, err := o.subject(name)
	if err == nil {
		err = s.checkTLS()
	}
	return err
}
