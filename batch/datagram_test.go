package batch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/servertest"
)

// withDatagrams adds UDP addresses, of both families, to the configuration.
func withDatagrams(c *Config) {
	c.Datagram = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")}
}

func dialDatagram(t *testing.T, addr netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadBuffer(8 << 20)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second * servertest.Slow))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a request and puts the reply's datagrams together.
func ask(t *testing.T, c *net.UDPConn, id uint16, request string) string {
	t.Helper()
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = append(msg, 0, 0, 0, 1, 0, 0)
	if _, err := c.Write(append(msg, request...)); err != nil {
		t.Fatal(err)
	}
	var parts []string
	for have := 0; parts == nil || have < len(parts); have++ {
		buf := make([]byte, 64<<10)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%d of %d datagrams: %v", have, len(parts), err)
		}
		got, seq, total := binary.BigEndian.Uint16(buf), binary.BigEndian.Uint16(buf[2:]), binary.BigEndian.Uint16(buf[4:])
		if n > contract.DatagramSize || got != id || seq >= total || buf[6] != 0 || buf[7] != 0 {
			t.Fatalf("datagram of %d bytes: id %d, %d of %d", n, got, seq, total)
		}
		if parts == nil {
			parts = make([]string, total)
		}
		if int(total) != len(parts) || parts[seq] != "" {
			t.Fatalf("datagram %d of %d, twice or of another total than %d", seq, total, len(parts))
		}
		parts[seq] = string(buf[contract.DatagramHead:n])
	}
	for i, p := range parts[:len(parts)-1] {
		if len(p) != contract.DatagramSize-contract.DatagramHead {
			t.Errorf("datagram %d of %d has %d bytes of the reply", i, len(parts), len(p))
		}
	}
	return strings.Join(parts, "")
}

func TestDatagrams(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withDatagrams)
		for _, addr := range s.DatagramAddrs() {
			c := dialDatagram(t, addr)
			for i := range 100 {
				if got := ask(t, c, uint16(i), "echo hello\n"); got != "hello\n" {
					t.Fatalf("got %q", got)
				}
			}
			want := string(pattern(200_000)) + "\n"
			if got := ask(t, c, 7, "copy 200000\n"); got != want {
				t.Errorf("copied reply differs at byte %d of %d", differ(got, want), len(got))
			}
			if got := ask(t, c, 8, "echo a\nref 200000\nref 3\necho b\n"); got != "a\n"+want+"abc\nb\n" {
				t.Errorf("reply of several parts differs, %d bytes", len(got))
			}
			if _, err := c.Write([]byte("\x00\x01\x00\x00\x00\x01\x00\x00silent\n")); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, c, 9, "echo after\n"); got != "after\n" {
				t.Errorf("got %q", got)
			}
			// A reply that is taken back does not leave, and what it referred to is released.
			written := s.Stats().BytesWritten
			if _, err := c.Write([]byte("\x00\x01\x00\x00\x00\x01\x00\x00copy 100000\nref 200000\ndiscard\n")); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, c, 10, "ref 200000\ninstead\n"); got != "instead\n" {
				t.Errorf("got %d bytes", len(got))
			}
			eventually(t, "all references are released", func() bool { return s.refs.Load() == 0 })
			if n := s.Stats().BytesWritten - written; n != uint64(len("instead\n")) {
				t.Errorf("%d bytes are counted as written", n)
			}
			before := s.Stats().DatagramsDropped
			if _, err := c.Write([]byte("short")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a datagram without a head is dropped and counted", func() bool { return s.Stats().DatagramsDropped == before+1 })
		}
	})
}

func TestLargeDatagramRequest(t *testing.T) {
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withDatagrams)
		c := dialDatagram(t, s.DatagramAddrs()[0])
		word := strings.Repeat("w", 60_000)
		if got := ask(t, c, 1, "echo "+word+"\n"); got != word+"\n" {
			t.Errorf("got %d bytes", len(got))
		}
	})
}

func TestManyDatagramClients(t *testing.T) {
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withDatagrams)
		var wg sync.WaitGroup
		for range 20 {
			c := dialDatagram(t, s.DatagramAddrs()[0])
			wg.Go(func() {
				for i := range 200 {
					if got := ask(t, c, uint16(i), "ref 3000\n"); len(got) != 3001 {
						t.Errorf("got %d bytes", len(got))
						return
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all references are released", func() bool { return s.refs.Load() == 0 })
	})
}

// TestDatagramsNotSent: what a socket does not take is counted as dropped, and not as written.
func TestDatagramsNotSent(t *testing.T) {
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
		runtime.LockOSThread() // a ring belongs to a thread
		defer runtime.UnlockOSThread()
		c := DefaultConfig()
		c.Threads = 1
		change(&c)
		withDatagrams(&c)
		s, err := New(c, func(int) contract.Handler { return &lines{uploads: &uploads{}} })
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Choose(); err != nil {
			t.Fatal(err)
		}
		ch := s.channels[0]
		ch.engine = newEngine(ch, s.Engine())
		if err := ch.engine.start(); err != nil {
			t.Fatal(err)
		}
		defer ch.engine.stop()
		const noSocket = -1
		ch.datagramReceived(noSocket, make([]byte, 16), []byte("\x00\x01\x00\x00\x00\x01\x00\x00copy 100000\n"))
		ch.flush()
		const datagrams = (100_001 + contract.DatagramSize - contract.DatagramHead - 1) / (contract.DatagramSize - contract.DatagramHead)
		for i := 0; i < 1000 && ch.stats.datagramsDropped.Load() < datagrams; i++ {
			if err := ch.engine.poll(false); err != nil {
				t.Fatal(err)
			}
		}
		ch.stats.publish()
		if st := s.Stats(); st.DatagramsDropped != datagrams || st.BytesWritten != 0 {
			t.Errorf("%d datagrams dropped, %d bytes written; want %d and 0", st.DatagramsDropped, st.BytesWritten, datagrams)
		}
	})
}

// TestDatagramsAllocateNothing: cutting replies into datagrams makes no garbage.
func TestDatagramsAllocateNothing(t *testing.T) {
	out, err := newOutput(testAccount(), batchLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	ch := &channel{handler: &lines{}, engine: deafEngine{}, out: out}
	reply := pattern(3 * contract.DatagramSize)
	if n := testing.AllocsPerRun(100, func() {
		ch.guest = conn{slot: guest, fd: -1, reply: -1}
		w := ch.writerTo(&ch.guest)
		(&lines{}).write(w, reply)
		out.datagrams = append(out.datagrams, datagram{reply: ch.guest.reply, socket: 7})
		ch.flushDatagrams(out)
		out.reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// deafEngine sends nothing.
type deafEngine struct{ engine }

func (deafEngine) sendDatagrams(int32, []mmsghdr) {}

// TestRepliesToSeveralDatagrams: those of one flush leave together, each by its own socket, whole and in order.
func TestRepliesToSeveralDatagrams(t *testing.T) {
	out, err := newOutput(testAccount(), batchLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	wire := &wireEngine{}
	ch := &channel{handler: &lines{}, engine: wire, out: out}
	const payload = contract.DatagramSize - contract.DatagramHead
	replies := []struct {
		socket, datagrams int
	}{{7, 40}, {7, 40}, {8, 1}, {7, 1}, {8, 65}}
	for i, r := range replies {
		ch.guest = conn{slot: guest, fd: -1, reply: -1}
		w := ch.writerTo(&ch.guest)
		(&lines{}).write(w, bytes.Repeat([]byte{byte('a' + i)}, r.datagrams*payload))
		d := datagram{reply: ch.guest.reply, socket: int32(r.socket)}
		copy(d.head[:], fmt.Sprintf("%02d", i))
		out.datagrams = append(out.datagrams, d)
	}
	ch.flushDatagrams(out)
	next := 0
	for i, r := range replies {
		for seq := range r.datagrams {
			if next == len(wire.sent) {
				t.Fatalf("%d datagrams were sent", next)
			}
			head := make([]byte, contract.DatagramHead)
			(&lines{}).Frame(head, fmt.Appendf(nil, "%02d", i), seq, r.datagrams)
			want := append(head, bytes.Repeat([]byte{byte('a' + i)}, payload)...)
			if wire.sockets[next] != int32(r.socket) || !bytes.Equal(wire.sent[next], want) {
				t.Fatalf("datagram %d of reply %d: by socket %d, %q", seq, i, wire.sockets[next], wire.sent[next][:20])
			}
			next++
		}
	}
	if next != len(wire.sent) {
		t.Errorf("%d datagrams were sent, want %d", len(wire.sent), next)
	}
}
