package clients

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// sClient is a running `openssl s_client`.
type sClient struct {
	t     *testing.T
	input io.Writer
	ended chan error // what it ended with

	mu      sync.Mutex
	printed bytes.Buffer
	more    chan struct{} // somebody waits for more
	seen    int           // bytes of printed that were expected
}

// Write takes what s_client prints.
func (c *sClient) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	return c.printed.Write(p)
}

// startSClient connects, trusting the certificate.
func startSClient(t *testing.T, server *servertest.Server, certificate *servertest.Certificate, flags ...string) *sClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTime)
	t.Cleanup(cancel)
	args := []string{"s_client", "-connect", server.Addr, "-CAfile", certificate.Chain, "-verify_hostname", "localhost", "-verify_return_error"}
	cmd := exec.CommandContext(ctx, "openssl", append(args, flags...)...)
	c := &sClient{t: t, ended: make(chan error, 1), more: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = c, c
	var err error
	if c.input, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		t.Fatal("openssl is not installed: run scripts/install-test-deps, or make test")
	} else if err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- cmd.Wait() }()
	return c
}

// say types a line, which s_client reads at once. The first letter of a line may be a
// command to s_client: K and k send a KeyUpdate, R asks for a renegotiation.
func (c *sClient) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.input, line); err != nil {
		c.t.Fatalf("s_client takes no input: %v\n%s", err, c.text())
	}
}

// expect waits until s_client has printed something that matches, behind what was
// expected before.
func (c *sClient) expect(pattern string) {
	c.t.Helper()
	wanted := regexp.MustCompile(pattern)
	for deadline := time.After(clientTime); ; {
		c.mu.Lock()
		found := wanted.FindIndex(c.printed.Bytes()[c.seen:])
		if found != nil {
			c.seen += found[1]
		}
		c.mu.Unlock()
		if found != nil {
			return
		}
		select {
		case <-c.more:
		case err := <-c.ended:
			c.ended <- err
			c.mu.Lock()
			found = wanted.FindIndex(c.printed.Bytes()[c.seen:])
			c.mu.Unlock()
			if found != nil {
				continue
			}
			c.t.Fatalf("no %q until s_client ended (%v)\n%s", pattern, err, c.text())
		case <-deadline:
			c.t.Fatalf("no %q from s_client\n%s", pattern, c.text())
		}
	}
}

// end waits until s_client ends by itself, and returns whether its exit code was 0.
func (c *sClient) end() (ok bool) {
	c.t.Helper()
	select {
	case err := <-c.ended:
		return err == nil
	case <-time.After(clientTime):
		c.t.Fatalf("s_client goes on\n%s", c.text())
		return false
	}
}

func (c *sClient) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.printed.String()
}

// TestSClient: each suite that a server with an ECDSA key offers, in both versions, by
// OpenSSL's names.
func TestSClient(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	suites := map[string][]string{
		"tls1_2": {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"},
		"tls1_3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, certificate.Flags()...)
		for version, names := range suites {
			for _, name := range names {
				choice := "-cipher"
				if version == "tls1_3" {
					choice = "-ciphersuites"
				}
				c := startSClient(t, server, certificate, "-"+version, choice, name)
				c.expect("New, TLSv1.[23], Cipher is " + name)
				value := strings.Repeat("v", 5000)
				c.say("set k 7 0 5000\r\n")
				c.say(value + "\r\n")
				c.expect("STORED\r\n")
				c.say("get k none\r\n")
				c.expect("VALUE k 7 5000\r\n" + value + "\r\nEND\r\n")
				c.say("quit\r\n")
				c.expect("closed\n") // by a close_notify, not by an end of file that may be anybody's
				if !c.end() {
					t.Errorf("%s: exit code not 0\n%s", name, c.text())
				}
			}
		}
	})
}

// TestSClientResumes: a session goes on by its ticket, in both versions, unless the
// client does not take tickets.
func TestSClientResumes(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, certificate.Flags()...)
		visit := func(kind string, flags ...string) {
			t.Helper()
			c := startSClient(t, server, certificate, flags...)
			c.expect(kind + ", TLSv1.[23], Cipher is")
			c.say("get none\r\n")
			c.expect("END\r\n") // behind the ticket
			c.say("quit\r\n")
			c.end()
		}
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			session := filepath.Join(t.TempDir(), "session")
			visit("New", version, "-sess_out", session)
			visit("Reused", version, "-sess_in", session)
			visit("Reused", version, "-sess_in", session, "-sess_out", session)
			visit("Reused", version, "-sess_in", session)
		}
		visit("New", "-tls1_2", "-no_ticket")
	})
}

// TestSClientKeyUpdate: either side changes its keys, again and again, while requests
// go on.
func TestSClientKeyUpdate(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, certificate.Flags()...)
		c := startSClient(t, server, certificate, "-tls1_3", "-msg")
		c.expect("New, TLSv1.3")
		c.say("set k 0 0 1\r\nv\r\n")
		c.expect("STORED\r\n")
		for _, letter := range strings.Split("KkkKKkKk", "") {
			c.say(letter + "\n")
			c.expect("KEYUPDATE\n")
			c.say("get k\r\n")
			if letter == "K" { // it asks the server to change its keys too
				c.expect("<<< TLS 1.3, .* KeyUpdate\n")
			}
			c.expect("VALUE k 0 1\r\nv\r\nEND\r\n")
		}
		c.say("quit\r\n")
		c.expect("closed\n")
		c.end()
	})
}

// TestSClientIsRefused: what the server does not offer ends with an alert that says so.
func TestSClientIsRefused(t *testing.T) {
	certificate := servertest.NewCertificate(t, "server")
	client, stranger := servertest.NewCertificate(t, "client"), servertest.NewCertificate(t, "stranger")
	show := func(c *servertest.Certificate) []string { return []string{"-cert", c.Chain, "-key", c.Key} }
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		usual := servertest.Start(t, engine, certificate.Flags()...)
		modern := servertest.Start(t, engine, certificate.Flags("-o", "ssl_min_version=3")...)
		mutual := servertest.Start(t, engine, certificate.Flags(requireClients(client)...)...)
		for _, refused := range []struct {
			server *servertest.Server
			flags  []string
			alert  string
		}{
			{usual, []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, "alert protocol version"},
			{usual, []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"}, "alert handshake failure"},
			{usual, []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}, "alert handshake failure"},
			{modern, []string{"-tls1_2"}, "alert protocol version"},
			{mutual, []string{"-tls1_2"}, "alert handshake failure"},
			{mutual, []string{"-tls1_3"}, "alert certificate required"},
			{mutual, append(show(stranger), "-tls1_2"), "alert unknown ca"},
			{mutual, append(show(stranger), "-tls1_3"), "alert unknown ca"},
		} {
			c := startSClient(t, refused.server, certificate, refused.flags...)
			c.expect(refused.alert)
			if c.end() {
				t.Errorf("%q: exit code 0\n%s", refused.flags, c.text())
			}
		}
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			c := startSClient(t, mutual, certificate, append(show(client), version)...)
			c.expect("New, TLSv1.[23]")
			c.say("get none\r\n")
			c.expect("END\r\n")
			c.say("quit\r\n")
			c.end()
		}
	})
}
