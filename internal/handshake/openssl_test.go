package handshake

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sClient runs `openssl s_client` against one handshake of server, sends a line each way if the handshake is done, and returns how the
// handshake ended and what s_client printed.
func sClient(t *testing.T, server *Server, peer Peer, site *site, flags ...string) (e ended, printed string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	args := append([]string{"s_client", "-connect", listener.Addr().String(), "-servername", "server", "-verify_hostname", "server", "-verify_return_error",
		"-CAfile", filepath.Join(site.dir, "ca.pem")}, flags...)
	command := exec.Command(opensslProgram(t), args...)
	output := &awaited{text: "VALUE of a", seen: make(chan struct{})}
	command.Stdout, command.Stderr = output, output
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*patience, func() { _ = command.Process.Kill() })
	defer watchdog.Stop()
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	e.conn = conn
	e.Result, e.err = server.Do(conn, time.Now().Add(patience), peer)
	if e.err == nil {
		_, _ = io.WriteString(input, "get a\n")
		copied := e
		l := newLine(t, &copied)
		if text, err := l.read(); err != nil || text != "get a\n" {
			t.Errorf("s_client's line is %q: %v", text, err)
		}
		l.write(output.text + "\n")
		select {
		case <-output.seen:
		case <-time.After(patience):
			t.Error("s_client has not shown what the server sent")
		}
	}
	conn.(*net.TCPConn).CloseWrite()
	input.Close()
	_ = command.Wait() // its code is 1 after a refusal, which is seen in what it printed
	conn.Close()
	return e, output.buffer.String()
}

// awaited keeps what a program prints and says when a text has come.
type awaited struct {
	buffer bytes.Buffer
	text   string
	seen   chan struct{}
	done   bool
}

func (a *awaited) Write(p []byte) (int, error) {
	a.buffer.Write(p)
	if !a.done && strings.Contains(a.buffer.String(), a.text) {
		a.done = true
		close(a.seen)
	}
	return len(p), nil
}

func TestOpenSSL(t *testing.T) {
	opensslProgram(t)
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		site := newSite(t, kind)
		server := site.server(t)
		for _, suite := range suites {
			forRSA := hasWord(suite.keywords, "aRSA")
			if suite.Version == tls.VersionTLS12 && forRSA != (kind == "rsa") {
				continue
			}
			t.Run(kind+" "+suite.OpenSSL, func(t *testing.T) {
				flags := []string{"-tls1_3", "-ciphersuites", suite.OpenSSL}
				if suite.Version == tls.VersionTLS12 {
					flags = []string{"-tls1_2", "-cipher", suite.OpenSSL}
				}
				session := filepath.Join(t.TempDir(), "session")
				e, printed := sClient(t, server, PeerByMode, site, append(flags, "-sess_out", session)...)
				if e.Outcome != Done || e.Suite != suite.ID {
					t.Fatalf("%v, suite %#x: %v\n%s", e.Outcome, e.Suite, e.err, printed)
				}
				e, printed = sClient(t, server, PeerByMode, site, append(flags, "-sess_in", session)...)
				if e.Outcome != Resumed || e.Suite != suite.ID || !strings.Contains(printed, "Reused, ") {
					t.Fatalf("%v, suite %#x: %v\n%s", e.Outcome, e.Suite, e.err, printed)
				}
			})
		}
	}
}

// TestOpenSSLHelloRetryRequest: the client's first key share is of a group that crypto/tls has not got, and the server asks for another.
func TestOpenSSLHelloRetryRequest(t *testing.T) {
	site := newSite(t, "ecdsa")
	server := site.server(t)
	e, printed := sClient(t, server, PeerByMode, site, "-tls1_3", "-groups", "X448:P-256", "-msg")
	if e.Outcome != Done || strings.Count(printed, ">>> TLS 1.3, Handshake [length") < 3 || strings.Count(printed, "ClientHello") != 2 {
		t.Errorf("%v: %v\n%s", e.Outcome, e.err, printed)
	}
	e, printed = sClient(t, server, PeerByMode, site, "-tls1_3", "-groups", "X448")
	if e.Outcome != NoSharedCipher || !strings.Contains(printed, "alert handshake failure") {
		t.Errorf("%v: %v\n%s", e.Outcome, e.err, printed)
	}
}

func TestOpenSSLClientCertificate(t *testing.T) {
	site := newSite(t, "ecdsa")
	site.config.Mutual = true
	server := site.server(t)
	certificate := write(t, site.dir, "client.pem", append(site.client.pem(), site.client.keyPEM(t)...))
	for version, flag := range map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"} {
		session := filepath.Join(site.dir, fmt.Sprint("session", version))
		e, printed := sClient(t, server, PeerRequired, site, flag, "-cert", certificate, "-sess_out", session)
		if e.Outcome != Done || e.Client != "client" {
			t.Fatalf("%v: %v\n%s", e.Outcome, e.err, printed)
		}
		e, printed = sClient(t, server, PeerRequired, site, flag, "-cert", certificate, "-sess_in", session)
		if e.Outcome != Resumed || e.Client != "client" {
			t.Fatalf("%v: %v\n%s", e.Outcome, e.err, printed)
		}
		e, printed = sClient(t, server, PeerRequired, site, flag)
		alert := map[uint16]string{tls.VersionTLS12: "alert handshake failure", tls.VersionTLS13: "alert certificate required"}[version]
		if e.Outcome != NoCertificate || !strings.Contains(printed, alert) {
			t.Fatalf("%v: %v\n%s", e.Outcome, e.err, printed)
		}
	}
}
