package ktls

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/record"
)

// kernel is what this kernel can do. Without the module tls the test is skipped, unless the kernel is one that scripts/test-kernels brought it to.
func kernel(t *testing.T) Support {
	t.Helper()
	s, err := Probe()
	if err != nil {
		if _, e := os.Stat("/sys/module/tls"); e == nil {
			t.Fatal(err)
		}
		t.Skipf("kernel TLS is tested where the module tls is, as under scripts/test-kernels: %v", err)
	}
	return s
}

// sides is a connection whose server's side the kernel can seal for, and whose client's side opens records.
type sides struct {
	fd      int
	client  *os.File
	server  record.State
	peer    record.State
	ciphers *record.Ciphers
	unread  []byte
}

func connect(t *testing.T, version, suite uint16) *sides {
	t.Helper()
	fd, clientFD, err := connection()
	if err != nil {
		t.Fatal(err)
	}
	s := &sides{fd: fd, client: os.NewFile(uintptr(clientFD), "client"), ciphers: record.New(8, func(n int) ([]byte, error) { return make([]byte, n), nil })}
	s.ciphers.Unmap = func([]byte) error { return nil }
	t.Cleanup(func() {
		unix.Close(fd)
		s.client.Close()
		s.ciphers.Close()
	})
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b)
		return b
	}
	size := 32
	if suite == tls.TLS_AES_256_GCM_SHA384 {
		size = 48
	}
	in, out, master := random(size), random(size), random(48)
	for _, side := range []struct {
		state  *record.State
		client bool
	}{{&s.server, false}, {&s.peer, true}} {
		secrets, err := record.FromTraffic(suite, side.client, in, out)
		if version == tls.VersionTLS12 {
			secrets, err = record.FromMaster(suite, side.client, master, in, out)
		}
		if err != nil {
			t.Fatal(err)
		}
		if side.client { // as after two tickets
			secrets.InSeq += 2
		} else {
			secrets.OutSeq += 2
		}
		if err := side.state.Start(&secrets); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// next opens the next record that the client receives.
func (s *sides) next(t *testing.T) ([]byte, record.Event) {
	t.Helper()
	for {
		plain, used, event := s.ciphers.Open(1, &s.peer, s.unread)
		if used > 0 || event.Kind != record.EventNeed {
			plain = bytes.Clone(plain)
			s.unread = s.unread[used:]
			return plain, event
		}
		more := make([]byte, 20000)
		n, err := s.client.Read(more)
		if err != nil {
			t.Fatal(err)
		}
		s.unread = append(s.unread, more[:n]...)
	}
}

var suites = []struct{ version, suite uint16 }{
	{tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256},
	{tls.VersionTLS13, tls.TLS_AES_256_GCM_SHA384},
	{tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256},
	{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
	{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
}

// forEachSuite runs a test for every suite that the kernel has.
func forEachSuite(t *testing.T, test func(t *testing.T, s *sides, keys *record.KernelKeys)) {
	kernel(t)
	for _, suite := range suites {
		t.Run(fmt.Sprintf("%s %s", tls.VersionName(suite.version), tls.CipherSuiteName(suite.suite)), func(t *testing.T) {
			s := connect(t, suite.version, suite.suite)
			keys := s.server.KernelKeys()
			support := kernel(t)
			if support.Rekey = true; !support.Seals(&keys) {
				t.Skip("this kernel's TLS does not have the cipher: others are tested")
			}
			if err := Enable(s.fd, &keys); err != nil {
				t.Fatal(err)
			}
			test(t, s, &keys)
		})
	}
}

// TestSeals: the client can open what the kernel seals, application data and alerts.
func TestSeals(t *testing.T) {
	forEachSuite(t, func(t *testing.T, s *sides, keys *record.KernelKeys) {
		large := make([]byte, 100_000)
		rand.Read(large)
		for _, text := range [][]byte{[]byte("END\r\n"), large, []byte("STORED\r\n")} {
			go unix.SendmsgN(s.fd, text, nil, nil, unix.MSG_NOSIGNAL)
			var got []byte
			for len(got) < len(text) {
				plain, event := s.next(t)
				if event.Kind != record.EventData {
					t.Fatalf("%+v", event)
				}
				got = append(got, plain...)
			}
			if !bytes.Equal(got, text) {
				t.Fatalf("%d bytes differ", len(text))
			}
		}
		if n, err := Sealed(s.fd, keys); err != nil || n < 2+1+7+1 || n > 2+1+100+1 {
			t.Errorf("sealed %d records (%v)", n, err)
		}
		if err := SendRecord(s.fd, Alert, []byte{1, 0}); err != nil { // close_notify
			t.Fatal(err)
		}
		if _, event := s.next(t); event.Kind != record.EventClosed {
			t.Errorf("%+v", event)
		}
		unix.Shutdown(s.fd, unix.SHUT_WR)
		if n, err := s.client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// TestReceivesAsBefore: the peer's records arrive as they are.
func TestReceivesAsBefore(t *testing.T) {
	forEachSuite(t, func(t *testing.T, s *sides, keys *record.KernelKeys) {
		sealed := make([]byte, 64)
		n := s.ciphers.SealCopy(1, &s.peer, sealed, []byte("get a\r\n"))
		if _, err := s.client.Write(sealed[:n]); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 64)
		m, err := unix.Read(s.fd, got)
		if err != nil || !bytes.Equal(got[:m], sealed[:n]) {
			t.Errorf("received % x (%v), sent % x", got[:max(m, 0)], err, sealed[:n])
		}
	})
}

// TestKeyUpdate: the client goes on after a KeyUpdate, or, where the kernel cannot, it refuses the second key.
func TestKeyUpdate(t *testing.T) {
	forEachSuite(t, func(t *testing.T, s *sides, keys *record.KernelKeys) {
		if keys.Version != tls.VersionTLS13 {
			t.Skip("TLS 1.2 has no KeyUpdate: this is about TLS 1.3")
		}
		err := Update(s.fd, s.ciphers, 2, &s.server, false)
		if support := kernel(t); !support.Rekey {
			if !errors.Is(err, unix.EBUSY) {
				t.Errorf("Update: %v, want EBUSY", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		next := s.server.KernelKeys()
		if n, err := Sealed(s.fd, &next); n != 0 || err != nil {
			t.Errorf("sealed %d records with the new keys (%v)", n, err)
		}
		if _, err := unix.SendmsgN(s.fd, []byte("END\r\n"), nil, nil, unix.MSG_NOSIGNAL); err != nil {
			t.Fatal(err)
		}
		if _, event := s.next(t); event.Kind != record.EventKeyUpdate {
			t.Fatalf("%+v", event)
		}
		if plain, event := s.next(t); event.Kind != record.EventData || string(plain) != "END\r\n" {
			t.Errorf("%q, %+v", plain, event)
		}
	})
}

// TestFullSocket: a record that the socket has no room for is not sent in part.
func TestFullSocket(t *testing.T) {
	forEachSuite(t, func(t *testing.T, s *sides, keys *record.KernelKeys) {
		sent := 0
		for {
			n, err := unix.SendmsgN(s.fd, make([]byte, 50_000), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			sent += max(n, 0)
			if err == unix.EAGAIN {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := SendRecord(s.fd, Alert, []byte{1, 0}); err != unix.EAGAIN {
			t.Fatalf("SendRecord: %v, want EAGAIN", err)
		}
		for received := 0; received < sent; {
			plain, event := s.next(t)
			if event.Kind != record.EventData {
				t.Fatalf("after %d of %d bytes: %+v", received, sent, event)
			}
			received += len(plain)
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if err := SendRecord(s.fd, Alert, []byte{1, 0}); err == nil {
				break
			} else if err != unix.EAGAIN || time.Now().After(end) {
				t.Fatal(err)
			}
		}
		if _, event := s.next(t); event.Kind != record.EventClosed {
			t.Errorf("%+v", event)
		}
	})
}

// TestFlags: what the package's comment says of flags that such a socket refuses.
func TestFlags(t *testing.T) {
	kernel(t)
	for _, test := range []struct {
		name string
		flag int
	}{{"MSG_ZEROCOPY", unix.MSG_ZEROCOPY}, {"MSG_WAITALL", unix.MSG_WAITALL}} {
		s := connect(t, tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256)
		keys := s.server.KernelKeys()
		if err := Enable(s.fd, &keys); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.SendmsgN(s.fd, []byte("x"), nil, nil, test.flag|unix.MSG_NOSIGNAL); err != unix.EOPNOTSUPP {
			t.Errorf("%s: %d, %v; want EOPNOTSUPP", test.name, n, err)
		}
	}
}

// TestEnableFails: a socket that is not connected stays one.
func TestEnableFails(t *testing.T) {
	kernel(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	keys := trialKeys(record.TLS_CIPHER_AES_GCM_128)
	if err := Enable(fd, &keys); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("Enable: %v, want ENOTCONN", err)
	}
}

// TestProbe: an error is one that says what to do, and a kernel that can seal has AES-GCM.
func TestProbe(t *testing.T) {
	s, err := Probe()
	t.Logf("%+v, %v", s, err)
	keys := trialKeys(record.TLS_CIPHER_AES_GCM_128)
	keys.Version = tls.VersionTLS12
	if (err == nil) != s.Seals(&keys) {
		t.Errorf("%+v with error %v", s, err)
	}
	if keys.Version = tls.VersionTLS13; s.Seals(&keys) != s.Rekey {
		t.Errorf("%+v seals TLS 1.3: %v", s, s.Seals(&keys))
	}
}
