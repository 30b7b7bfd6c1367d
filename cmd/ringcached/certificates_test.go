package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// addresses are the TCP addresses in the last line of a log that names them, in order.
func addresses(log string) []string {
	_, list, _ := strings.Cut(log[max(0, strings.LastIndex(log, "listening on ")):], "listening on ")
	line, _, _ := strings.Cut(list, "\n")
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(line, -1)
}

// dialTLS shakes hands. The connection is closed at the end of the test.
func dialTLS(t *testing.T, addr string, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// mustDialTLS is dialTLS for a server that takes the client.
func mustDialTLS(t *testing.T, addr string, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := dialTLS(t, addr, config)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestTLSListeners: each address is encrypted, or not, and asks for certificates, or not, as its prefix says; statistics and settings tell.
func TestTLSListeners(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		c := servertest.NewCertificate(t, "server")
		server := servertest.Start(t, engine, "-v", "-Z", "-o", "ssl_chain_cert="+c.Chain+",ssl_key="+c.Key+",ssl_ca_cert="+c.Chain+",ssl_verify_mode=1,ssl_session_cache",
			"-l", "notls:127.0.0.1:0,127.0.0.1:0,mtls:127.0.0.1:0,btls:127.0.0.1:0")
		places := addresses(server.Log())
		if len(places) != 4 {
			t.Fatalf("listens on %q\n%s", places, server.Log())
		}
		other := servertest.NewCertificate(t, "stranger").Client(true).Certificates[0]
		stranger := c.Client(false) // shows its certificate although the server asks for those of its CA
		stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &other, nil }
		if got := answer(t, server.Dial(t), "set k 0 0 1\r\nv", 1); got != "STORED\r\n" {
			t.Errorf("plain: %q", got)
		}
		for _, test := range []struct {
			place  int
			client *tls.Config
			served bool
		}{
			{1, c.Client(false), true}, {1, c.Client(true), true}, {1, stranger, false},
			{2, c.Client(false), false}, {2, c.Client(true), true}, {2, stranger, false},
			{3, c.Client(false), true}, {3, c.Client(true), true}, {3, stranger, true},
		} {
			conn, err := dialTLS(t, places[test.place], test.client)
			if err == nil && !test.served { // in TLS 1.3 a client learns of it when it reads
				_, err = conn.Read(make([]byte, 1))
			}
			if (err == nil) != test.served {
				t.Errorf("%s, %d certificates, a stranger %v: %v", places[test.place], len(test.client.Certificates), test.client == stranger, err)
			} else if test.served {
				if got := answer(t, conn, "get k", 3); got != "VALUE k 0 1\r\nv\r\nEND\r\n" {
					t.Errorf("%d: %q", test.place, got)
				}
			}
		}
		plain, err := net.Dial("tcp", places[1])
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		_ = plain.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(plain, "version\r\n")
		if text, err := io.ReadAll(plain); strings.Contains(string(text), "VERSION") {
			t.Errorf("a plain client is served: %q, %v", text, err)
		}
		if settings := server.Stats(t, "settings"); settings["ssl_enabled"] != "yes" || settings["ssl_chain_cert"] != c.Chain || settings["ssl_key"] != c.Key ||
			settings["ssl_verify_mode"] != "1" || settings["ssl_session_cache"] != "yes" || settings["ssl_min_version"] != "tlsv1.2" {
			t.Errorf("settings: %v", settings)
		}
		servertest.Eventually(t, patience, func() error {
			stats, want := server.Stats(t), map[string]string{
				"ssl_new_sessions": "6", "ssl_handshake_errors": "4", "tls_handshakes_no_certificate": "1", "tls_handshakes_bad_certificate": "2", "tls_handshakes_not_tls": "1",
			}
			for name, count := range want {
				if stats[name] != count {
					return fmt.Errorf("%s is %s, want %s", name, stats[name], count)
				}
			}
			return nil
		})
		answer(t, server.Dial(t), "stats reset", 1)
		if stats := server.Stats(t); stats["ssl_new_sessions"] != "0" || stats["ssl_handshake_errors"] != "0" {
			t.Errorf("after a reset: %v", stats)
		}
	})
}

// install puts copies of the certificate and its key where the user of -u may read them.
func install(t *testing.T, dir string, c *servertest.Certificate) {
	t.Helper()
	for name, from := range map[string]string{"chain.pem": c.Chain, "key.pem": c.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shownName is the name in the certificate that a server shows to new connections.
func shownName(t *testing.T, addr string) string {
	t.Helper()
	conn := mustDialTLS(t, addr, &tls.Config{InsecureSkipVerify: true})
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestCertificatesAreRefreshed by the command and by SIGHUP, for connections that come after it. If they are no good the old ones stay.
func TestCertificatesAreRefreshed(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		dir := publicDir(t)
		install(t, dir, servertest.NewCertificate(t, "first"))
		server := servertest.Start(t, engine, "-v", "-Z", "-o", "ssl_chain_cert="+dir+"/chain.pem,ssl_key="+dir+"/key.pem", "-l", "127.0.0.1:0,notls:127.0.0.1:0")
		places := addresses(server.Log())
		old := mustDialTLS(t, places[0], &tls.Config{InsecureSkipVerify: true})
		refresh := func(want string) {
			t.Helper()
			if got := answer(t, old, "refresh_certs", 1); !strings.HasPrefix(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		show := func(want string) {
			t.Helper()
			if got := shownName(t, places[0]); got != want {
				t.Errorf("it shows the certificate of %s, not %s", got, want)
			}
		}
		hangup := func(want string) {
			t.Helper()
			before := len(server.Log())
			if err := server.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, patience, func() error {
				if said := server.Log()[before:]; !strings.Contains(said, want) {
					return fmt.Errorf("no %q in %q", want, said)
				}
				return nil
			})
		}
		refresh("OK\r\n")
		show("first")
		install(t, dir, servertest.NewCertificate(t, "second"))
		refresh("OK\r\n")
		show("second")
		install(t, dir, servertest.NewCertificate(t, "third"))
		hangup("hangup: read the certificates again: certificate of CN=third, good until 20")
		show("third")

		if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("nonsense\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		refresh("Error key " + dir + "/key.pem: ")
		refresh("Error key " + dir + "/key.pem: ")
		hangup("hangup: the certificates stay as they are: key " + dir + "/key.pem: ")
		if err := os.Remove(filepath.Join(dir, "chain.pem")); err != nil {
			t.Fatal(err)
		}
		refresh("Error certificate " + dir + "/chain.pem: no such file or directory\r\n")
		show("third")
		install(t, dir, servertest.NewCertificate(t, "fourth"))
		refresh("OK\r\n")
		show("fourth")
		if got := answer(t, old, "version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
			t.Errorf("the old connection: %q", got)
		}
	})
}

// TestUnreadableKey: what only root may read is served, and the server says that it will not be able to read it again.
func TestUnreadableKey(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a server that becomes another user")
	}
	c := servertest.NewCertificate(t, "server")
	if err := os.Chmod(c.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	server := servertest.Start(t, "auto", "-Z", "-o", "ssl_chain_cert="+c.Chain+",ssl_key="+c.Key)
	conn := mustDialTLS(t, server.Addr, c.Client(false))
	if got := answer(t, conn, "refresh_certs", 1); !strings.HasPrefix(got, "Error key "+c.Key+": permission denied (for user ") {
		t.Errorf("%q", got)
	}
	if got := answer(t, mustDialTLS(t, server.Addr, c.Client(false)), "version", 1); !strings.HasPrefix(got, "VERSION ") {
		t.Errorf("%q", got)
	}
	servertest.Eventually(t, patience, func() error {
		if said := server.Log(); !strings.Contains(said, "may not read "+c.Key+": new certificates will not be taken up") {
			return fmt.Errorf("no warning in\n%s", said)
		}
		return nil
	})
}
