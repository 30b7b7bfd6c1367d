package clients

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	grafana "github.com/grafana/gomemcache/memcache"

	"ringcached/internal/servertest"
)

// requireClients are flags with which clients must show a certificate that is, or
// was signed by, this one.
func requireClients(ca *servertest.Certificate) []string {
	return []string{"-o", "ssl_verify_mode=2,ssl_ca_cert=" + ca.Chain}
}

// TestPythonOverTLS: pymemcache with the text protocol, python-binary-memcached with
// the binary one, Django's cache over pymemcache. All of them speak TLS by
// Python's module ssl, which is OpenSSL.
func TestPythonOverTLS(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		start := func(flags ...string) *servertest.Server {
			return servertest.Start(t, engine, certificate.Flags(flags...)...)
		}
		runPython(t, "pymemcache_session.py", start(), "--tls", certificate.Chain)
		runPython(t, "binary_memcached_session.py", start(), "--tls", certificate.Chain)
		runPython(t, "binary_memcached_session.py", start(withUsers(t)...), userName, userPassword, "--tls", certificate.Chain)
		runPython(t, "django_session.py", start(), "PyMemcacheCache", "--tls", certificate.Chain)
	})
}

// TestPythonWithCertificate: the server wants certificates of its clients, and
// pymemcache has one.
func TestPythonWithCertificate(t *testing.T) {
	certificate, client := servertest.NewCertificate(t, "server"), servertest.NewCertificate(t, "client")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, certificate.Flags(requireClients(client)...)...)
		runPython(t, "pymemcache_session.py", server, "--tls", certificate.Chain, client.Chain, client.Key)
	})
}

// TestMemjsOverTLS: binary protocol over Node's own TLS, once with no
// authentication and once with SASL PLAIN, whose password is encrypted then.
func TestMemjsOverTLS(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runNode(t, "memjs_session.js", servertest.Start(t, engine, certificate.Flags()...), "--tls", certificate.Chain)
		closed := servertest.Start(t, engine, certificate.Flags(withUsers(t)...)...)
		runNode(t, "memjs_session.js", closed, userName, userPassword, "--tls", certificate.Chain)
	})
}

// tlsVersions are what a server offers, by name.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// secureDialer connects over crypto/tls, and counts the sessions, and those of them
// that were resumed.
type secureDialer struct {
	config           *tls.Config
	dialled, resumed atomic.Int32
}

func (d *secureDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: clientTime}, Config: d.config}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.dialled.Add(1)
	if conn.(*tls.Conn).ConnectionState().DidResume {
		d.resumed.Add(1)
	}
	return conn, nil
}

// TestGomemcacheOverTLS: text protocol over crypto/tls, in both versions, with a
// certificate of the client's.
func TestGomemcacheOverTLS(t *testing.T) {
	certificate, client := servertest.NewCertificate(t, "server"), servertest.NewCertificate(t, "client")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, certificate.Flags(requireClients(client)...)...)
		for name, version := range tlsVersions {
			d := secureDialer{config: certificate.Client(false)}
			d.config.Certificates = client.Client(true).Certificates
			d.config.MinVersion, d.config.MaxVersion = version, version
			d.config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
			c := memcache.New(server.Addr)
			c.Timeout = clientTime
			c.DialContext = d.dial
			for range 3 {
				gomemcacheSession(t, c)
				c.Close()
			}
			if all, resumed := d.dialled.Load(), d.resumed.Load(); all < 3 || resumed != all-1 {
				t.Errorf("TLS %s: %d of %d sessions were resumed, want all but the first of at least 3", name, resumed, all)
			}
		}
	})
}

// TestGrafanaGomemcacheOverTLS: its fork, whose dialer has no context.
func TestGrafanaGomemcacheOverTLS(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		d := secureDialer{config: certificate.Client(false)}
		c := grafana.New(servertest.Start(t, engine, certificate.Flags()...).Addr)
		c.Timeout, c.ConnectTimeout = clientTime, clientTime
		c.MaxIdleConns = 4
		c.DialTimeout = func(network, address string, _ time.Duration) (net.Conn, error) {
			return d.dial(context.Background(), network, address)
		}
		defer c.Close()
		grafanaSession(t, c)
	})
}
