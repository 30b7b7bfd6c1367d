package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Versions of TLS by the names that the command line uses.
const (
	TLS12 = "1.2"
	TLS13 = "1.3"
)

// TLS says how connections are encrypted. One is for all connections to a server, and is not copied.
type TLS struct {
	Version  string `json:"version,omitempty"`  // TLS12 or TLS13, the only one that is offered; empty: both
	CA       string `json:"ca,omitempty"`       // PEM file of who may sign the server's certificate; empty: the system's
	Insecure bool   `json:"insecure,omitempty"` // any certificate is good

	once   sync.Once
	shared *tls.Config
	wrong  error
}

// Validate says what is wrong with the options, naming the command line's flags. nil, no TLS, is right.
func (t *TLS) Validate() error {
	if t == nil {
		return nil
	}
	if err := OneOf("tls-version", cmp.Or(t.Version, TLS13), TLS12, TLS13); err != nil {
		return err
	}
	if t.Insecure && t.CA != "" {
		return errors.New("tls-ca: with --tls-insecure no certificate is checked")
	}
	_, err := t.config("")
	return err
}

// config is crypto/tls's, for connections to a host.
func (t *TLS) config(host string) (*tls.Config, error) {
	t.once.Do(func() {
		t.shared = &tls.Config{
			MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, InsecureSkipVerify: t.Insecure,
			// Some servers know a hybrid exchange with ML-KEM, which costs more, and others do not. This one all know.
			CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		}
		switch t.Version {
		case TLS12:
			t.shared.MaxVersion = tls.VersionTLS12
		case TLS13:
			t.shared.MinVersion = tls.VersionTLS13
		}
		if t.CA == "" {
			return
		}
		text, err := os.ReadFile(t.CA)
		if t.shared.RootCAs = x509.NewCertPool(); err == nil && !t.shared.RootCAs.AppendCertsFromPEM(text) {
			err = fmt.Errorf("%s has no certificate in PEM", t.CA)
		}
		if err != nil {
			t.wrong = fmt.Errorf("tls-ca: %w", err)
		}
	})
	if t.wrong != nil {
		return nil, t.wrong
	}
	c := t.shared.Clone()
	c.ServerName = host
	return c, nil
}

// Endpoint is where a server is, and how it is spoken to there.
type Endpoint struct {
	Addr string `json:"addr"`          // host:port, or unix:PATH
	TLS  *TLS   `json:"tls,omitempty"` // nil: connections are plain
}

// Validate says what is wrong with the endpoint for a transport, naming the command line's flags.
func (e Endpoint) Validate(transport string) error {
	if e.TLS != nil && transport != TransportTCP {
		return fmt.Errorf("tls: it is for %s only, not for %s", TransportTCP, transport)
	}
	return e.TLS.Validate()
}

// config is crypto/tls's, for connections to the endpoint.
func (e Endpoint) config() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return nil, fmt.Errorf("tls: %s is no address for TLS: those are host:port", e.Addr)
	}
	return e.TLS.config(host)
}

// Dial opens a connection to a server for anything but load. What is measured over UDP is looked after over TCP, on the same port.
func (e Endpoint) Dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	network, at := SplitAddr(e.Addr)
	if e.TLS == nil {
		return (&net.Dialer{Timeout: timeout}).DialContext(ctx, network, at)
	}
	config, err := e.config()
	if err != nil {
		return nil, err
	}
	return dialTLS(ctx, at, timeout, config)
}

// dialTLS opens a connection and does its handshake, both within the timeout.
func dialTLS(ctx context.Context, at string, timeout time.Duration, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	c := tls.Client(plain, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, handshakeFailed(err)
	}
	return c, nil
}

// ErrHandshake is wrapped by the error for a TLS handshake that failed.
var ErrHandshake = errors.New("the TLS handshake failed")

// handshakeFailed makes that error, and says what a server answered that speaks no TLS.
func handshakeFailed(err error) error {
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header):
		return fmt.Errorf("%w: the server's answer is not TLS: it begins with %q", ErrHandshake, header.RecordHeader[:])
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: the server does not answer: %w", ErrHandshake, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the server closed the connection", ErrHandshake)
	}
	return fmt.Errorf("%w: %w", ErrHandshake, err)
}

// session returns a configuration with a session to resume, which it gets on a connection of its own: tickets of TLS 1.3 come with what the server sends
// first.
func (e Endpoint) session(ctx context.Context) (*tls.Config, error) {
	config, err := e.config()
	if err != nil {
		return nil, err
	}
	cache := tls.NewLRUClientSessionCache(1)
	config.ClientSessionCache = cache
	c, err := dialTLS(ctx, e.Addr, ConnectTimeout, config)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(QueryTimeout))
	_, err = io.WriteString(c, "version\r\n")
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err != nil {
		return nil, fmt.Errorf("getting a session to resume: %w", err)
	}
	if s, ok := cache.Get(config.ServerName); !ok || s == nil {
		return nil, fmt.Errorf("resume: %s gives no session tickets", e.Addr)
	}
	return config, nil
}
