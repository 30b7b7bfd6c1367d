package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringcached/internal/fakeserver"
)

// selfSigned is a certificate for 127.0.0.1, and the file that clients check it against.
func selfSigned(t *testing.T) (certificate tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{chain}, PrivateKey: key}, file
}

// startSecure starts the fake server behind crypto/tls, and says how its clients speak to it.
func startSecure(t *testing.T, f fakeserver.Flaw, change func(*tls.Config)) (*fakeserver.Server, *TLS) {
	t.Helper()
	certificate, file := selfSigned(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if change != nil {
		change(config)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return fakeserver.StartWith(t, l, f), &TLS{CA: file}
}

// secureRun is testRun over TLS.
func secureRun(t *testing.T, s *fakeserver.Server, over *TLS, driver string, w Workload, requests int64) (*RunResult, error) {
	t.Helper()
	o := RunOptions{Duration: 30 * time.Second, Preload: true}
	o.Addr, o.TLS, o.Workload, o.Driver, o.Requests, o.Stall = s.Addr(), over, w, driver, requests, 2*time.Second
	return Run(t.Context(), o)
}

// TestOverTLS does what TestRightServer does, with both versions and all ways of driving connections.
func TestOverTLS(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, version := range []string{TLS12, TLS13} {
			for _, c := range []struct {
				name     string
				change   func(*Workload)
				requests int64
			}{
				{"gets", nil, 1000},
				{"pipeline", func(w *Workload) { w.Pipeline, w.Gets, w.Sets = 16, 3, 1 }, 2000},
				{"multiget", func(w *Workload) { w.Multiget = 50 }, 200},
				{"one request per connection", func(w *Workload) { w.RequestsPerConnection = 1 }, 60},
				{"five requests per connection, pipeline 3", func(w *Workload) { w.RequestsPerConnection, w.Pipeline = 5, 3 }, 150},
				{"resumed", func(w *Workload) { w.RequestsPerConnection, w.Resume = 2, true }, 100},
				{"large values", func(w *Workload) { w.ValueSize, w.Keys = 300_000, 3 }, 30},
				{"large sets", func(w *Workload) { w.ValueSize, w.Keys, w.Gets, w.Sets = 1_000_000, 3, 0, 1 }, 10},
				{"empty values", func(w *Workload) { w.ValueSize = 0 }, 200},
				{"at a rate", func(w *Workload) { w.Rate = 2000 }, 300},
			} {
				t.Run(version+"/"+c.name, func(t *testing.T) {
					s, over := startSecure(t, nil, nil)
					over.Version = version
					w := SmallWorkload(c.change)
					r, err := secureRun(t, s, over, driver, w, c.requests)
					if err != nil {
						t.Fatal(err)
					}
					if r.Errors() != 0 || r.Misses != 0 || r.Operations != c.requests {
						t.Errorf("%+v: %q", r.Counts, r.Problems)
					}
					if n := w.RequestsPerConnection; n == 0 && r.Connects != int64(w.Connections) || n > 0 && r.Connects < c.requests/int64(n) {
						t.Errorf("%d connections were opened", r.Connects)
					}
					if want := map[bool]int64{true: r.Connects}[w.Resume]; r.Resumed != want {
						t.Errorf("%d of %d connections were resumed, want %d", r.Resumed, r.Connects, want)
					}
					if r.TLS == nil || r.TLS.Version != "TLS "+version || !strings.HasPrefix(r.TLS.Suite, "TLS_") {
						t.Errorf("session %v, want TLS %s", r.TLS, version)
					}
				})
			}
		}
	})
}

// TestWrongServersOverTLS: replies are checked as they are without TLS.
func TestWrongServersOverTLS(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, c := range []struct {
			flaw fakeserver.Flaw
			says string
			pick func(*RunResult) int64
		}{
			{fakeserver.Nth(150, func(r []byte) ([]byte, bool) { return append([]byte("x"), r...), false }), "wrong reply", func(r *RunResult) int64 { return r.Wrong }},
			{fakeserver.Nth(150, func([]byte) ([]byte, bool) { return []byte("SERVER_ERROR busy\r\n"), false }), "busy", func(r *RunResult) int64 { return r.Refused }},
			{fakeserver.Nth(150, func(r []byte) ([]byte, bool) { return r[:len(r)/2], true }), ErrClosedEarly.Error(), func(r *RunResult) int64 { return r.Broken }},
		} {
			s, over := startSecure(t, c.flaw, nil)
			r, err := secureRun(t, s, over, driver, SmallWorkload(nil), 300)
			if r == nil {
				t.Fatal(err)
			}
			if c.pick(r) == 0 || r.Failed() == "" || !strings.Contains(strings.Join(r.Problems, "\n"), c.says) {
				t.Errorf("want %q: %+v %q", c.says, r.Counts, r.Problems)
			}
		}
	})
}

// TestHandshakesThatFail are told in words.
func TestHandshakesThatFail(t *testing.T) {
	_, stranger := selfSigned(t)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	go func() {
		for c, err := plain.Accept(); err == nil; c, err = plain.Accept() {
			_, _ = c.Write([]byte(RefusalLine + "\r\n"))
			_, _ = c.Read(make([]byte, 1000))
			_ = c.Close()
		}
	}()
	s, over := startSecure(t, nil, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	tickets, withoutTickets := startSecure(t, nil, func(c *tls.Config) { c.SessionTicketsDisabled = true })
	for _, c := range []struct {
		addr   string
		over   *TLS
		resume bool
		says   string
	}{
		{s.Addr(), &TLS{CA: stranger}, false, "certificate"},
		{s.Addr(), &TLS{}, false, "certificate"},
		{s.Addr(), &TLS{CA: over.CA, Version: TLS13}, false, "protocol version"},
		{plain.Addr().String(), &TLS{CA: stranger}, false, `the server's answer is not TLS: it begins with "ERROR"`},
		{tickets.Addr(), withoutTickets, true, "no session tickets"},
	} {
		eachDriver(t, func(t *testing.T, driver string) {
			at := Endpoint{c.addr, c.over}
			w := SmallWorkload(func(w *Workload) { w.Resume = c.resume })
			_, err := Start(t.Context(), Options{Endpoint: at, Workload: w, Driver: driver, Stall: 2 * time.Second})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if _, err = at.AskVersion(t.Context()); !c.resume && (!errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("asking for the version: %v, want %q", err, c.says)
			}
		})
	}
	if _, err := (Endpoint{s.Addr(), &TLS{Insecure: true}}).AskVersion(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHandshakeIsWaitedFor: a server that accepts and says nothing is dead, and leaves nothing behind.
func TestHandshakeIsWaitedFor(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		stuck := make(chan struct{})
		n := 0
		s, over := startSecure(t, nil, func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				if n++; n > 30 {
					<-stuck
				}
				return nil, nil
			}
		})
		t.Cleanup(func() { close(stuck) })
		w := SmallWorkload(func(w *Workload) { w.Connections, w.RequestsPerConnection = 1, 1 })
		o := RunOptions{Duration: 30 * time.Second}
		o.Addr, o.TLS, o.Workload, o.Driver, o.Stall = s.Addr(), over, w, driver, 300*time.Millisecond
		if _, err := Run(t.Context(), o); !errors.Is(err, ErrStalled) {
			t.Errorf("%v, want %v", err, ErrStalled)
		}
	})
}

func TestWrongTLSOptions(t *testing.T) {
	_, file := selfSigned(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		over      *TLS
		addr      string
		transport string
		says      string
	}{
		{&TLS{Version: "1.1", CA: file}, "127.0.0.1:1", TransportTCP, "tls-version"},
		{&TLS{Insecure: true, CA: file}, "127.0.0.1:1", TransportTCP, "tls-insecure"},
		{&TLS{CA: file + ".none"}, "127.0.0.1:1", TransportTCP, "no such file"},
		{&TLS{CA: empty}, "127.0.0.1:1", TransportTCP, "no certificate in PEM"},
		{&TLS{CA: file}, "127.0.0.1:1", TransportUDP, "tls: it is for tcp only"},
		{&TLS{CA: file}, "unix:/none", TransportUnix, "tls: it is for tcp only"},
	} {
		w := SmallWorkload(func(w *Workload) { w.Transport = c.transport })
		err := (&Options{Endpoint: Endpoint{c.addr, c.over}, Workload: w}).Validate()
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
	w := SmallWorkload(nil)
	if err := (&Options{Endpoint: Endpoint{"127.0.0.1:1", &TLS{CA: file}}, Workload: w, Canned: true}).Validate(); err == nil {
		t.Error("a null server over TLS is accepted")
	}
}
