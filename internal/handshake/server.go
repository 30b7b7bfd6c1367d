package handshake

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ringcached/internal/record"
)

// Server does handshakes. All methods may be called from any goroutine.
type Server struct {
	config  Config
	suites  []uint16                 // of TLS 1.2
	tickets *tls.Config              // owns the keys of tickets, over all refreshes
	now     func() time.Time         // for tests
	files   atomic.Pointer[material] // what Refresh replaces
	counts  counters
}

// material is what was read of the files, and never changes.
type material struct {
	certificates []tls.Certificate // one
	clientCAs    *x509.CertPool
	loaded       time.Time
}

// New reads the files and makes a server. The error is one line that names the setting or the file and says what is wrong with it.
func New(c Config) (*Server, error) {
	return newServer(c, time.Now)
}

func newServer(c Config, now func() time.Time) (*Server, error) {
	ids, err := ParseCiphers(c.Ciphers)
	if err != nil {
		return nil, err
	}
	switch {
	case c.KeyFormat > FormatDER:
		return nil, fmt.Errorf("ssl_keyformat %d: it is %d (PEM) or %d (DER)", c.KeyFormat, FormatPEM, FormatDER)
	case c.KeyFormat == FormatDER && c.Files.Key == "":
		return nil, errors.New("ssl_keyformat is DER: such a key needs a file of its own, ssl_key")
	case c.VerifyMode > VerifyOnce:
		return nil, fmt.Errorf("ssl_verify_mode %d: it is 0 (none), 1 (request), 2 (require) or 3 (once)", c.VerifyMode)
	case c.VerifyMode >= VerifyRequire && c.Files.CA == "":
		return nil, fmt.Errorf("ssl_verify_mode %d needs ssl_ca_cert: without one every client would be refused", c.VerifyMode)
	case c.Mutual && c.Files.CA == "":
		return nil, errors.New("a listener mtls: needs ssl_ca_cert: without one every client would be refused")
	case c.MinVersion != 0 && c.MinVersion != tls.VersionTLS12 && c.MinVersion != tls.VersionTLS13:
		return nil, fmt.Errorf("ssl_min_version: %s is not offered, TLS 1.2 and 1.3 are", tls.VersionName(c.MinVersion))
	}
	s := &Server{config: c, suites: ids, now: now, tickets: &tls.Config{Time: now}}
	if s.config.MinVersion == 0 {
		s.config.MinVersion = tls.VersionTLS12
	}
	if err := s.Refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// Refresh reads the files again, for the handshakes that begin after it. If anything is wrong with them the error says what, as New's does, and
// the server goes on with what it has. Connections and tickets live on.
func (s *Server) Refresh() error {
	certificate, err := load(s.config, s.now())
	if err != nil {
		return err
	}
	if _, rsaKey := certificate.PrivateKey.(*rsa.PrivateKey); s.config.MinVersion == tls.VersionTLS12 && !fitsKey(s.suites, rsaKey) {
		return fmt.Errorf("ssl_ciphers: %q has none for the kind of key that the certificate %s has, so that no client of TLS 1.2 could connect", s.config.Ciphers, s.config.Files.Chain)
	}
	clientCAs, err := loadCA(s.config.Files.CA)
	if err != nil {
		return err
	}
	s.files.Store(&material{certificates: []tls.Certificate{certificate}, clientCAs: clientCAs, loaded: s.now()})
	return nil
}

// Loaded is when the files in use were read: by New, or by the last Refresh that succeeded.
func (s *Server) Loaded() time.Time { return s.files.Load().loaded }

// NotAfter is when the server's certificate expires. Handshakes go on after it, but clients will refuse it.
func (s *Server) NotAfter() time.Time { return s.files.Load().certificates[0].Leaf.NotAfter }

// Subject is whom the server's certificate is for, as in CN=cache.example.com,O=Example.
func (s *Server) Subject() string { return s.files.Load().certificates[0].Leaf.Subject.String() }

// Counts says how the handshakes of before ended.
func (s *Server) Counts() Counts { return s.counts.read() }

// Result is what a handshake leaves.
type Result struct {
	Outcome Outcome
	// Secrets are those of the connection from here on. The caller zeroes them when they are in a record.State.
	Secrets record.Secrets
	// Leftover came after the handshake and was read with it: at most MaxLeftover bytes of records, not opened yet, which come before
	// anything that is read later. It is the caller's.
	Leftover []byte
	Version  uint16 // tls.VersionTLS12 or tls.VersionTLS13
	Suite    uint16 // its number at IANA
	Client   string // the common name in the client's certificate, which is good; "" without one
}

// MaxLeftover is the most bytes that a Result's Leftover has.
const MaxLeftover = 4096
