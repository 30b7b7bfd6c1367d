package handshakes

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

func TestSuccess(t *testing.T) {
	a := newAuthority(t)
	for _, test := range []struct {
		name     string
		version  uint16
		flags    int
		peer     handshake.Peer
		trickles bool
	}{
		{name: "TLS 1.3", version: tls.VersionTLS13},
		{name: "TLS 1.2", version: tls.VersionTLS12},
		{name: "nonblocking", version: tls.VersionTLS13, flags: unix.O_NONBLOCK},
		{name: "mutual", version: tls.VersionTLS13, peer: handshake.PeerRequired},
		{name: "byte by byte", version: tls.VersionTLS13, trickles: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPool(t, a.server(t), 4, patience)
			fd, client := pair(t)
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_RDWR|test.flags); err != nil {
				t.Fatal(err)
			}
			ends := make(endings, 1)
			p.Start(fd, test.peer, ends.done(test.name))

			config := a.client()
			config.MinVersion, config.MaxVersion = test.version, test.version
			if test.peer == handshake.PeerRequired {
				config.Certificates = []tls.Certificate{a.cert}
			}
			var transport net.Conn = client
			if test.trickles {
				transport = trickle{client}
			}
			secured := tls.Client(transport, config)
			if err := secured.Handshake(); err != nil {
				t.Fatal(err)
			}
			end := ends.next(t)
			if !end.ok || end.result.Outcome != handshake.Done || end.result.Version != test.version || end.result.Secrets.Version != test.version {
				t.Fatalf("ok %v, outcome %v, version %x, secrets' %x", end.ok, end.result.Outcome, end.result.Version, end.result.Secrets.Version)
			}
			if test.peer == handshake.PeerRequired && end.result.Client != "cache" {
				t.Errorf("client %q", end.result.Client)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
				t.Errorf("flags %x, error %v: not in blocking mode", flags, err)
			}
			// The descriptor is ours: what the client sends arrives there, and nobody else reads it.
			if _, err := secured.Write([]byte("get a\r\n")); err != nil {
				t.Fatal(err)
			}
			record := make([]byte, 64)
			if n, err := unix.Read(fd, record); n < 5 || err != nil || record[0] != 23 {
				t.Errorf("read %d bytes (%x): %v", n, record[:max(n, 0)], err)
			}
			unix.Close(fd)
		})
	}
}

// trickle writes a byte at a time.
type trickle struct{ net.Conn }

func (c trickle) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if i%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return len(p), nil
}

// TestRefusedClientReadsAlert: though it sent more than the handshake read. What speaks no TLS gets no alert, but an end that is no reset.
func TestRefusedClientReadsAlert(t *testing.T) {
	a := newAuthority(t)
	t.Run("plain text", func(t *testing.T) {
		p := newPool(t, a.server(t), 4, patience)
		fd, client := pair(t)
		ends := make(endings, 1)
		if _, err := client.Write(bytes.Repeat([]byte("get a\r\n"), 10000)); err != nil {
			t.Fatal(err)
		}
		p.Start(fd, handshake.PeerByMode, ends.done("plain text"))
		answer, err := io.ReadAll(client)
		if err != nil {
			t.Errorf("read %x, %v", answer, err)
		}
		client.Close()
		ends.expectFailure(t, handshake.NotTLS)
	})
	t.Run("no certificate", func(t *testing.T) {
		p := newPool(t, a.server(t), 4, patience)
		fd, client := pair(t)
		ends := make(endings, 1)
		p.Start(fd, handshake.PeerRequired, ends.done("no certificate"))
		secured := tls.Client(client, a.client())
		if err := secured.Handshake(); err != nil {
			t.Fatal(err)
		}
		secured.Write(make([]byte, 30000))
		_, err := secured.Read(make([]byte, 1))
		var refused *net.OpError
		if !errors.As(err, &refused) || refused.Op != "remote error" || !strings.Contains(err.Error(), "certificate required") {
			t.Errorf("read: %v", err)
		}
		client.Close()
		ends.expectFailure(t, handshake.NoCertificate)
	})
	t.Run("keeps sending", func(t *testing.T) { // and is not waited for longer than lingerTime
		p := newPool(t, a.server(t), 4, patience)
		fd, client := pair(t)
		ends := make(endings, 1)
		client.Write([]byte("get a\r\n"))
		p.Start(fd, handshake.PeerByMode, ends.done("keeps sending"))
		ends.expectFailure(t, handshake.NotTLS)
	})
}

func TestClientEnds(t *testing.T) {
	a := newAuthority(t)
	t.Run("by an alert", func(t *testing.T) {
		p := newPool(t, a.server(t), 4, patience)
		fd, client := pair(t)
		ends := make(endings, 1)
		p.Start(fd, handshake.PeerByMode, ends.done("distrusts"))
		if err := tls.Client(client, &tls.Config{ServerName: "cache"}).Handshake(); err == nil {
			t.Fatal("the client trusts anybody")
		}
		client.Close()
		ends.expectFailure(t, handshake.ClientAlert)
	})
	t.Run("before its first byte", func(t *testing.T) {
		p := newPool(t, a.server(t), 4, patience)
		fd, client := pair(t)
		ends := make(endings, 1)
		p.Start(fd, handshake.PeerByMode, ends.done("leaves"))
		client.Close()
		ends.expectFailure(t, handshake.Disconnected)
	})
	t.Run("by a reset", func(t *testing.T) {
		p := newPool(t, a.server(t), 4, patience)
		fd, client := pair(t)
		ends := make(endings, 1)
		p.Start(fd, handshake.PeerByMode, ends.done("resets"))
		client.SetLinger(0)
		client.Close()
		ends.expectFailure(t, handshake.Disconnected)
	})
}

func TestTimeout(t *testing.T) {
	a := newAuthority(t)
	hello := []byte{22, 3, 1, 1, 0, 1} // the begin of a ClientHello
	for _, test := range []struct {
		name  string
		sends []byte
	}{{"silent", nil}, {"half a hello", hello}} {
		t.Run(test.name, func(t *testing.T) {
			server := a.server(t)
			p := newPool(t, server, 4, 50*time.Millisecond)
			fd, client := pair(t)
			ends := make(endings, 1)
			client.Write(test.sends)
			began := time.Now()
			p.Start(fd, handshake.PeerByMode, ends.done(test.name))
			ends.expectFailure(t, handshake.Timeout)
			if took := time.Since(began); took < 50*time.Millisecond {
				t.Errorf("ended after %v", took)
			}
			if n := server.Counts()[handshake.Timeout]; n != 1 {
				t.Errorf("%d timeouts are counted", n)
			}
		})
	}
	t.Run("does not read", func(t *testing.T) {
		p := stub(t, 4, 50*time.Millisecond, func(c net.Conn) (handshake.Result, error) {
			_, err := c.Write(make([]byte, 64<<20))
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v", err)
			}
			return handshake.Result{Outcome: handshake.Timeout}, err
		})
		fd, client := pair(t)
		ends := make(endings, 1)
		client.Write(hello)
		p.Start(fd, handshake.PeerByMode, ends.done("does not read"))
		ends.expectFailure(t, handshake.Timeout)
	})
	t.Run("queued", func(t *testing.T) { // and is not worth a handshake then
		var read int
		p := stub(t, 1, time.Hour, func(c net.Conn) (handshake.Result, error) {
			buffer := make([]byte, 1)
			for {
				n, err := c.Read(buffer)
				if err != nil {
					return handshake.Result{Outcome: handshake.Timeout}, err
				}
				read += n
			}
		})
		ends := make(endings, 2)
		for _, name := range []string{"first", "second"} {
			fd, client := pair(t)
			client.Write([]byte{22})
			p.Start(fd, handshake.PeerByMode, ends.done(name))
		}
		eventually(t, "one runs, one waits", func() bool { running, waiting := p.InProgress(); return running == 1 && waiting == 1 })
		p.Hurry(0)
		ends.expectFailure(t, handshake.Timeout)
		ends.expectFailure(t, handshake.Timeout)
		p.Close()
		if read != 1 {
			t.Errorf("%d bytes were read, of both; want 1", read)
		}
	})
}

// TestSilentClientsHoldNoSlot: one that speaks goes ahead of any number that does not.
func TestSilentClientsHoldNoSlot(t *testing.T) {
	a := newAuthority(t)
	p := newPool(t, a.server(t), 1, time.Hour)
	ends := make(endings, 100)
	for range 50 {
		fd, _ := pair(t)
		p.Start(fd, handshake.PeerByMode, ends.done("silent"))
	}
	fd, client := pair(t)
	p.Start(fd, handshake.PeerByMode, ends.done("speaks"))
	if err := tls.Client(client, a.client()).Handshake(); err != nil {
		t.Fatal(err)
	}
	if end := ends.next(t); end.name != "speaks" || !end.ok {
		t.Errorf("%s: %v", end.name, end.result.Outcome)
	}
	unix.Close(fd)
	if running, waiting := p.InProgress(); running != 0 || waiting != 50 {
		t.Errorf("%d run, %d wait; want 0 and 50", running, waiting)
	}
	p.Close()
	for range 50 {
		ends.expectFailure(t, handshake.Timeout)
	}
}

// TestFailuresAreLogged: whoever asks for it reads why handshakes failed.
func TestFailuresAreLogged(t *testing.T) {
	checkLeak(t)
	var logged messages
	p := New(newAuthority(t).server(t), 5, 50*time.Millisecond, logged.log)
	t.Cleanup(p.Close)
	ends := make(endings, 2)
	for _, sends := range []string{"", "get a\r\n"} {
		fd, client := pair(t)
		client.Write([]byte(sends))
		p.Start(fd, handshake.PeerByMode, ends.done(sends))
		ends.next(t)
		client.Close()
	}
	for _, why := range []string{"i/o timeout", "does not look like a TLS handshake"} {
		if n := logged.with(why); n != 1 {
			t.Errorf("%d lines with %q, want 1: %q", n, why, logged.text)
		}
	}
}
