package batch

import (
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"ringcached/batch/ktls"
	"ringcached/internal/record"
)

// kernelSeals says that this kernel can seal for connections of some version of TLS. scripts/test-kernels runs the tests on some that can.
var kernelSeals = sync.OnceValue(func() bool {
	_, err := ktls.Probe()
	return err == nil
})

// sealedByKernel says whether the kernel is to seal for connections of that version.
func (s *server) sealedByKernel(version uint16) bool {
	return s.config.KernelTLS && kernelSeals() && (version == tls.VersionTLS12 || s.kernelTLS.Rekey)
}

// filling is more bytes than a socket takes from the server: a send buffer grows to 4 MiB (tcp(7), tcp_wmem).
const filling = 8_000_000

// fillSocket asks for a reply of so many and takes it up to where the server has given the rest to the socket. It returns how much is left.
func (c *sealer) fillSocket(s *server) (left int) {
	c.t.Helper()
	_ = c.tcp.SetReadBuffer(256 << 10)
	c.send(c.seal(fmt.Sprintf("ref %d\n", filling)))
	left = filling + 1
	eventually(c.t, "a send queue", func() bool { return s.Stats().SendQueueBytes > 0 })
	for s.Stats().SendQueueBytes > 0 {
		text, event, err := c.next()
		if err != nil || event.Kind != record.EventData {
			c.t.Fatalf("%d bytes before the end: %+v, %v", left, event, err)
		}
		left -= len(text)
		if len(c.in) == 0 { // the server has its turn
			time.Sleep(time.Millisecond)
		}
	}
	return left
}

// rest is the end of what fillSocket asked for.
func rest(left int) string { return (string(pattern(filling)) + "\n")[filling+1-left:] }

// TestFullSocketAtTheEnd: the last record comes behind replies that the socket had hardly room for.
func TestFullSocketAtTheEnd(t *testing.T) {
	everyVersion(t, func(t *testing.T, s *server, version uint16) {
		for _, end := range []struct {
			text  string
			alert record.Alert
			kind  record.Kind
		}{{"quit\n", 0, record.EventClosed}, {"", record.BadRecordMAC, record.EventAlert}} {
			c := s.dialSealer(version)
			left := c.fillSocket(s)
			bad := c.seal(end.text)
			if end.text == "" {
				bad[len(bad)-1] ^= 1
			}
			c.send(bad)
			time.Sleep(50 * time.Millisecond) // for the server to try in vain
			c.expect(rest(left), end.kind, end.alert)
			c.expectEnd()
		}
	})
}

// TestFullSocketKeyUpdate: so does a KeyUpdate, once.
func TestFullSocketKeyUpdate(t *testing.T) {
	everyVersion(t, func(t *testing.T, s *server, version uint16) {
		if version != tls.VersionTLS13 {
			return
		}
		c := s.dialSealer(version)
		left := c.fillSocket(s)
		c.send(c.ciphers.AppendKeyUpdate(0, &c.state, nil, true))
		time.Sleep(50 * time.Millisecond)
		c.expect(rest(left), record.EventKeyUpdate, 0)
		c.send(c.seal("echo next\n"))
		c.expect("next\n", record.EventData, 0)
	})
}

// TestFullSocketTimeout: a client that takes neither the last replies nor the last record is not waited for.
func TestFullSocketTimeout(t *testing.T) {
	for _, setup := range setups(t) {
		c := DefaultConfig()
		if setup.change(&c); !c.KernelTLS {
			continue
		}
		t.Run(setup.name, func(t *testing.T) {
			s := start(t, setup.change, func(c *Config) { c.SendTimeout = time.Second })
			c := s.dialSealer(tls.VersionTLS12)
			c.fillSocket(s)
			c.send(c.seal("quit\n"))
			eventually(t, "the server gives up", func() bool { return s.Stats().Conns == 0 })
			if n := s.Stats().SendTimeouts; n != 1 {
				t.Errorf("%d clients took too long", n)
			}
		})
	}
}

// TestKeyLimit: a new key comes before the old one has sealed too many records.
func TestKeyLimit(t *testing.T) {
	before := record.UpdateAfter
	record.UpdateAfter = 64
	t.Cleanup(func() { record.UpdateAfter = before })
	t.Run("", func(t *testing.T) {
		everyVersion(t, func(t *testing.T, s *server, version uint16) {
			c := s.dialSealer(version)
			updates := 0
			ask := func(request, want string) {
				if c.state.KeyUpdateDue() { // the client's key has a limit too
					c.send(c.ciphers.AppendKeyUpdate(0, &c.state, nil, false))
				}
				c.send(c.seal(request))
				for got := ""; got != want; {
					text, event, err := c.next()
					if err != nil || len(got) > len(want) {
						t.Fatalf("after %d bytes: %+v, %v", len(got), event, err)
					}
					if got += text; event.Kind == record.EventKeyUpdate {
						updates++
					}
				}
			}
			for range 200 {
				ask("echo word\n", "word\n")
			}
			for range 5 {
				ask("ref 2000000\n", string(pattern(2000000))+"\n")
			}
			if tls13 := version == tls.VersionTLS13; tls13 != (updates > 5) {
				t.Errorf("%d new keys", updates)
			}
		})
	})
}
