package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// TestHandOverOfTLS: what is encrypted stays so, and what is not too. A new server that is not to encrypt does not take up what is.
func TestHandOverOfTLS(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		dir := publicDir(t)
		c := servertest.NewCertificate(t, "server")
		install(t, dir, c)
		options := "ssl_chain_cert=" + dir + "/chain.pem,ssl_key=" + dir + "/key.pem,ssl_ca_cert=" + dir + "/chain.pem"
		l := startLineage(t, engine, "-Z", "-o", options, "-l", "notls:127.0.0.1:0,proto[ascii]:127.0.0.1:0,mtls:127.0.0.1:0")
		places := addresses(l.Said())[1:] // the first is startLineage's
		l.addr = places[0]
		check := func() {
			t.Helper()
			if got := l.ask("version", 1); !strings.HasPrefix(got, "VERSION ") {
				t.Errorf("plain: %q", got)
			}
			for i, show := range []bool{false, true} {
				conn := mustDialTLS(t, places[i+1], c.Client(show))
				if got := answer(t, conn, "set k 0 0 1\r\nv\r\nget k", 4); got != "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n" {
					t.Errorf("%s: %q", places[i+1], got)
				}
			}
			conn, err := dialTLS(t, places[2], c.Client(false))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			if err == nil {
				t.Error("mtls: serves a client without a certificate")
			}
		}
		check()
		l.handOver()
		check()
		if again := addresses(l.Said())[1:]; strings.Join(again, " ") != strings.Join(places, " ") {
			t.Errorf("listens on %q, not %q", again, places)
		}

		program := l.program
		l.replace(fmt.Sprintf("exec %s -l 127.0.0.1 -p -1 -u nobody -v --engine %s", servertest.Binary(), engine))
		l.Signal(syscall.SIGUSR2)
		l.WantLog("over TLS, and -Z, --enable-ssl is missing", 1)
		l.WantLog("hand-over failed, serving on: ", 1)
		check()
		l.program = program
		l.restore()
		l.handOver()
		check()
	})
}

// TestHandOverToTLS: sockets that were plain are served as they were by a new server with -Z, which says so.
func TestHandOverToTLS(t *testing.T) {
	dir := publicDir(t)
	install(t, dir, servertest.NewCertificate(t, "server"))
	l := startLineage(t, "auto")
	l.addFlags("-Z -o ssl_chain_cert=" + dir + "/chain.pem,ssl_key=" + dir + "/key.pem")
	l.handOver()
	l.WantLog("warning: -Z, --enable-ssl: "+l.addr+" is served without TLS, as by the server that hands over", 1)
	if got := l.ask("version", 1); !strings.HasPrefix(got, "VERSION ") {
		t.Errorf("%q", got)
	}
}
