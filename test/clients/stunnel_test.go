package clients

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// stunnelBound is how stunnel says on which port it listens.
var stunnelBound = regexp.MustCompile(`bound to (127\.0\.0\.1:\d+)`)

// startStunnel runs stunnel with one service, of these lines, that connects to an
// address. It returns the address on which the service listens.
func startStunnel(t *testing.T, connect string, service ...string) (listens string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "stunnel.conf")
	lines := append([]string{"foreground = yes", "pid =", "debug = info", "[memcached]", "accept = 127.0.0.1:0", "connect = " + connect}, service...)
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("stunnel", config)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		t.Fatal("stunnel is not installed: run scripts/install-test-deps, or make test")
	} else if err != nil {
		t.Fatal(err)
	}
	bound, ended := make(chan string, 1), make(chan string, 1)
	go func() {
		var all strings.Builder
		for lines := bufio.NewScanner(said); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if found := stunnelBound.FindStringSubmatch(lines.Text()); found != nil {
				bound <- found[1]
			}
		}
		ended <- all.String()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if log := <-ended; t.Failed() {
			t.Log(log)
		}
		_ = cmd.Wait()
	})
	select {
	case listens = <-bound:
		return listens
	case log := <-ended:
		ended <- log
		t.Fatal("stunnel did not start")
	case <-time.After(clientTime):
		t.Fatal("stunnel does not listen")
	}
	return ""
}

// trusting are the lines of a service that connects over TLS, and checks whom it has
// connected to.
func trusting(certificate *servertest.Certificate) []string {
	return []string{"client = yes", "verifyChain = yes", "CAfile = " + certificate.Chain, "checkHost = localhost"}
}

// TestStunnelAsClient: clients that have no TLS, such as libmemcached, reach the
// server's TLS through stunnel, which has a certificate too.
func TestStunnelAsClient(t *testing.T) {
	certificate, client := servertest.NewCertificate(t, "server"), servertest.NewCertificate(t, "stunnel")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, version := range []string{"TLSv1.2", "TLSv1.3"} {
			for _, protocol := range []string{"text", "binary"} {
				server := servertest.Start(t, engine, certificate.Flags(requireClients(client)...)...)
				entrance := startStunnel(t, server.Addr, append(trusting(certificate), "sslVersion = "+version, "cert = "+client.Chain, "key = "+client.Key)...)
				runPHP(t, "memcached_session.php", &servertest.Server{Addr: entrance}, protocol)
			}
		}
	})
}

// TestStunnelAsServer: stunnel speaks TLS for a server that does not.
func TestStunnelAsServer(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		entrance := startStunnel(t, server.Addr, "cert = "+certificate.Chain, "key = "+certificate.Key)
		runPython(t, "pymemcache_session.py", &servertest.Server{Addr: entrance}, "--tls", certificate.Chain)
	})
}
