package batch

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/handshake"
	"ringcached/internal/record"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// overTLS makes the server speak TLS at all its addresses.
func overTLS(t *testing.T, c *Config) {
	t.Helper()
	certificate := servertest.NewCertificate(t, "ringcached")
	server, err := handshake.New(handshake.Config{Files: handshake.Files{Chain: certificate.Chain, Key: certificate.Key}})
	if err != nil {
		t.Fatal(err)
	}
	c.TLS = server
	c.TLSHandshakeTimeout *= servertest.Slow
	c.Labels = append(slices.Clone(c.Labels), make([]uint8, len(c.Listen)-len(c.Labels))...)
	for i := range c.Labels {
		c.Labels[i] |= contract.LabelTLS
	}
}

// clientConfig is that of clients. Who the server is, is not what is tested here.
func clientConfig() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// sealing is what TLS 1.3 adds to a stream of so many records, in bytes: to each its header, type and tag, and an alert that ends them.
func sealing(records uint64) uint64 { return records*(5+1+16) + 5 + 2 + 1 + 16 }

// secure is a connection over TLS whose handshake is over.
func (s *server) secure(tcp net.Conn, change func(*tls.Config)) *tls.Conn {
	s.t.Helper()
	config := clientConfig()
	if change != nil {
		change(config)
	}
	c := tls.Client(tcp, config)
	if err := c.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// everyEngineOverTLS runs f with each engine over TLS 1.2 and 1.3.
func everyEngineOverTLS(t *testing.T, f func(t *testing.T, s func(...func(*Config)) *server, dial func(*server) stream)) {
	for _, setup := range setups(t) {
		c := DefaultConfig()
		if setup.change(&c); c.TLS == nil {
			continue
		}
		for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			t.Run(setup.name+"/"+name, func(t *testing.T) {
				f(t, func(change ...func(*Config)) *server {
					return start(t, append([]func(*Config){setup.change}, change...)...)
				}, func(s *server) stream {
					tcp := s.dialTCP()
					return stream{s.secure(tcp, func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }), tcp}
				})
			})
		}
	}
}

// TestTLS: requests in one record, in many, and many in one, with replies of all sizes.
func TestTLS(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		s := start()
		c := dial(s)
		for i := range "echo split\n" { // a byte in each record
			send(t, c, "echo split\n"[i:i+1])
		}
		expect(t, c, "split\n")
		for round := range 5 {
			requests, replies := echoes(round*1000, 3000)
			go func() { _, _ = c.Write([]byte(requests)) }()
			expect(t, c, replies)
		}
		for _, size := range []string{"0", "1", "16383", "16384", "16385", "131071", "131072", "300000", "4000000"} {
			n := 0
			for _, d := range size {
				n = n*10 + int(d-'0')
			}
			send(t, c, "copy "+size+"\nref "+size+"\necho end\n")
			want := string(pattern(n)) + "\n"
			expect(t, c, want+want+"end\n")
		}
		st, byKernel := s.Stats(), uint64(0)
		if s.sealedByKernel(c.Conn.(*tls.Conn).ConnectionState().Version) {
			byKernel = 1
		}
		if st.TLSConns != 1 || st.TLSKernelConns != byKernel || st.TLSRecordsIn < 11 || (st.TLSRecordsOut < 500) != (byKernel == 1) || st.TLSBadRecords != 0 {
			t.Errorf("%d connections, %d of them sealed by the kernel, want %d; %d records in, %d out, %d bad",
				st.TLSConns, st.TLSKernelConns, byKernel, st.TLSRecordsIn, st.TLSRecordsOut, st.TLSBadRecords)
		}
		_ = c.Close()
		eventually(t, "the connection ends", func() bool { return s.Stats().TLSConns == 0 && s.Stats().TLSKernelConns == 0 })
	})
}

// TestTLSHalfClose: what a client asked for before it said that it sends no more is answered, and then it is told the same.
func TestTLSHalfClose(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		s := start()
		c := dial(s)
		requests, replies := echoes(0, 300)
		send(t, c, requests+"copy 3000000\necho unfinished")
		if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil { // the socket stays open
			t.Fatal(err)
		}
		expect(t, c, replies+string(pattern(3000000))+"\n")
		if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF { // crypto/tls: close_notify, and not the end of the socket alone
			t.Errorf("%d bytes, %v; want the end", n, err)
		}
		if _, err := c.tcp.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("behind it: %v; want the end", err)
		}
	})
}

// TestTLSGoodbyes: whichever way the server ends a connection in order, the client is told by a record.
func TestTLSGoodbyes(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		wantEnd := func(t *testing.T, c net.Conn) {
			t.Helper()
			if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF {
				t.Errorf("%d bytes, %v; want the end", n, err)
			}
		}
		s := start(func(c *Config) { c.IdleTimeout = time.Second })
		quits, idle := dial(s), dial(s)
		send(t, quits, "echo a\nref 3000000\nquit\necho never\n")
		expect(t, quits, "a\n"+string(pattern(3000000))+"\n")
		wantEnd(t, quits)
		wantEnd(t, idle)
		stays := dial(s)
		send(t, stays, "echo b\n")
		expect(t, stays, "b\n")
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			s.stop()
		}()
		wantEnd(t, stays)
		_ = stays.Close()
		<-stopped
	})
}

// sealer is a client's record layer, to send what crypto/tls would not.
type sealer struct {
	t       *testing.T
	tcp     *net.TCPConn
	ciphers *record.Ciphers
	state   record.State
	in      []byte // received, and not opened
}

func (s *server) dialSealer(version uint16) *sealer {
	s.t.Helper()
	tcp := s.dialTCP()
	made, err := handshake.Connect(tcp, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}, time.Now().Add(answerTime))
	if err != nil {
		s.t.Fatal(err)
	}
	c := &sealer{t: s.t, tcp: tcp, ciphers: record.New(2, ring.Map), in: made.Leftover}
	c.ciphers.Unmap = ring.Unmap
	s.t.Cleanup(func() { _ = c.ciphers.Close() })
	if err := c.state.Start(&made.Secrets); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// seal makes a record.
func (c *sealer) seal(text string) []byte {
	buf := make([]byte, len(text)+record.MaxOverhead)
	return buf[:c.ciphers.SealCopy(0, &c.state, buf, []byte(text))]
}

func (c *sealer) send(records ...[]byte) {
	c.t.Helper()
	if _, err := c.tcp.Write(slices.Concat(records...)); err != nil {
		c.t.Fatal(err)
	}
}

// next opens the next record; io.EOF: there is none.
func (c *sealer) next() (text string, event record.Event, err error) {
	for {
		plain, used, event := c.ciphers.Open(0, &c.state, c.in)
		if event.Kind != record.EventNeed {
			text := string(plain)
			c.in = c.in[used:]
			return text, event, nil
		}
		buf := make([]byte, 64<<10)
		n, err := c.tcp.Read(buf)
		if err != nil {
			return "", event, err
		}
		c.in = append(c.in, buf[:n]...)
	}
}

// expect reads replies, and then what stands in a record of its own.
func (c *sealer) expect(want string, kind record.Kind, alert record.Alert) {
	c.t.Helper()
	got := ""
	for {
		text, event, err := c.next()
		if err != nil {
			c.t.Fatalf("after %q: %v", got, err)
		}
		got += text
		if event.Kind == record.EventData && (len(got) < len(want) || kind != record.EventData) || event.Kind == record.EventNone {
			continue
		}
		if got != want || event.Kind != kind || event.Alert != alert {
			c.t.Fatalf("%d bytes %.40q, event %d, %v; want %d bytes %.40q, event %d, %v", len(got), got, event.Kind, event.Alert, len(want), want, kind, alert)
		}
		return
	}
}

// expectEnd: there is not a byte more.
func (c *sealer) expectEnd() {
	c.t.Helper()
	if n, err := c.tcp.Read(make([]byte, 1)); n > 0 || err == nil || len(c.in) > 0 {
		c.t.Errorf("%d bytes, %v, %d before; want the end", n, err, len(c.in))
	}
}

// everyVersion runs f with each engine, and a version of TLS.
func everyVersion(t *testing.T, f func(t *testing.T, s *server, version uint16)) {
	for _, setup := range setups(t) {
		c := DefaultConfig()
		if setup.change(&c); c.TLS == nil {
			continue
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(setup.name+"/"+tls.VersionName(version), func(t *testing.T) { f(t, start(t, setup.change), version) })
		}
	}
}

// TestTamperedRecord: a record that was changed on its way ends the connection with the right alert. What came before it is answered, and nothing else.
func TestTamperedRecord(t *testing.T) {
	everyVersion(t, func(t *testing.T, s *server, version uint16) {
		good := func(c *sealer) []byte { return c.seal("echo good\n") }
		for name, test := range map[string]struct {
			bad   func(c *sealer) []byte
			alert record.Alert
		}{
			"a bit": {func(c *sealer) []byte {
				r := c.seal("echo evil\n")
				r[len(r)-1] ^= 1
				return r
			}, record.BadRecordMAC},
			"twice": {func(c *sealer) []byte {
				r := c.seal("echo good\n")
				return slices.Concat(r, r)
			}, record.BadRecordMAC},
			"order": {func(c *sealer) []byte {
				a, b := c.seal("echo evil\n"), c.seal("echo evil\n")
				return slices.Concat(b, a)
			}, record.BadRecordMAC},
			"too long": {func(c *sealer) []byte {
				return []byte{23, 3, 3, 0x48, 1, 0, 0}
			}, record.RecordOverflow},
			"plain text": {func(c *sealer) []byte { return []byte("get a\r\nget b\r\n") }, record.UnexpectedMessage},
		} {
			t.Run(name, func(t *testing.T) {
				c := s.dialSealer(version)
				before := "good\n"
				records := [][]byte{good(c), test.bad(c), good(c)}
				if name == "twice" {
					before += before
				}
				c.send(records...)
				c.expect(before, record.EventAlert, test.alert)
				c.expectEnd()
			})
		}
	})
}

// TestTamperedRecordBehindReplies: a wrong record is opened once the replies before it are taken, and then the alert comes.
func TestTamperedRecordBehindReplies(t *testing.T) {
	everyVersion(t, func(t *testing.T, s *server, version uint16) {
		c := s.dialSealer(version)
		_ = c.tcp.SetReadBuffer(512 << 10)
		c.send(c.seal("ref 8000000\n"))
		eventually(t, "a send queue", func() bool { return s.Stats().SendQueueBytes > 0 })
		bad := c.seal("echo evil\n")
		bad[len(bad)-1] ^= 1
		c.send(bad)
		c.expect(string(pattern(8000000))+"\n", record.EventAlert, record.BadRecordMAC)
		c.expectEnd()
	})
}

// TestKeyUpdates: new keys in both directions, many of them, alone and between requests, also while replies are being sent.
func TestKeyUpdates(t *testing.T) {
	everyVersion(t, func(t *testing.T, s *server, version uint16) {
		if version != tls.VersionTLS13 {
			return // TLS 1.2 has none
		}
		c := s.dialSealer(version)
		update := func(ask bool) []byte { return c.ciphers.AppendKeyUpdate(0, &c.state, nil, ask) }
		c.send(update(true))
		c.expect("", record.EventKeyUpdate, 0)
		c.send(c.seal("echo a\n"), update(true), c.seal("echo b\n"), update(false), c.seal("echo c\n"))
		var got string
		updates := 0
		for got != "a\nb\nc\n" || updates == 0 {
			text, event, err := c.next()
			if err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
			if got += text; event.Kind == record.EventKeyUpdate {
				updates++
			}
		}
		if updates != 1 {
			t.Errorf("%d new keys for one that was asked for", updates)
		}
		c.send(c.seal("ref 4000000\n"), update(true), c.seal("echo d\n"))
		want, got := string(pattern(4000000))+"\nd\n", ""
		for updates = 0; len(got) < len(want); {
			text, event, err := c.next()
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			if got += text; event.Kind == record.EventKeyUpdate {
				updates++
			}
		}
		if got != want || updates != 1 {
			t.Errorf("%d bytes and %d new keys; want %d and 1", len(got), updates, len(want))
		}
	})
}

// TestTLSLimit: above the limit a client of TLS is refused by an alert, and where connections wait for room they have their handshake when there is some.
func TestTLSLimit(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		s := start(func(c *Config) { c.MaxConns = 1 })
		first := dial(s)
		send(t, first, "echo in\n")
		expect(t, first, "in\n")
		err := tls.Client(s.dialTCP(), clientConfig()).Handshake()
		if alert := tls.AlertError(record.InternalError); !errors.As(err, new(*net.OpError)) || !strings.Contains(err.Error(), alert.Error()) {
			t.Errorf("above the limit: %v; want %v", err, alert)
		}
		s = start(func(c *Config) { c.MaxConns, c.Pause = 1, true })
		first = dial(s)
		send(t, first, "echo in\n")
		expect(t, first, "in\n")
		second := make(chan stream)
		go func() { second <- dial(s) }()
		eventually(t, "one waits", func() bool { return s.Stats().Paused > 0 })
		_ = first.Close()
		c := <-second
		send(t, c, "echo again\n")
		expect(t, c, "again\n")
	})
}

// TestFailedHandshakes: clients that are no clients of TLS, or go away, leave nothing behind, and are counted.
func TestFailedHandshakes(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		s := start(func(c *Config) { c.TLSHandshakeTimeout = 500 * time.Millisecond * servertest.Slow })
		send(t, s.dialTCP(), "get a\r\n")
		_ = s.dialTCP().Close()
		silent := s.dialTCP()
		expectEnd(t, silent)
		eventually(t, "all are gone", func() bool { return s.Stats().Conns == 0 })
		eventually(t, "all are counted", func() bool {
			n := s.TLSStats().Handshakes
			return n[handshake.NotTLS] == 1 && n[handshake.Disconnected] == 1 && n[handshake.Timeout] == 1
		})
		c := dial(s)
		send(t, c, "echo good\n")
		expect(t, c, "good\n")
		if st := s.TLSStats(); st.Handshakes[handshake.Done] != 1 || st.Running+st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestTLSBesidePlain: each address speaks what its label says, and the Handler sees the rest of the label.
func TestTLSBesidePlain(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		s := start(func(c *Config) {
			c.Listen = append(c.Listen, c.Listen[0], c.Listen[0])
			c.Labels = []uint8{5 | contract.LabelTLS, 6, 7 | contract.LabelBasicTLS}
		})
		for i, want := range []string{"5\n", "6\n", "7\n"} {
			c, err := net.Dial("tcp", s.Addrs()[i].String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if i != 1 {
				c = s.secure(c, nil)
			}
			send(t, c, "label\n")
			expect(t, c, want)
		}
	})
}

// TestTLSWithoutCertificate: labels that ask for what is not there are refused.
func TestTLSWithoutCertificate(t *testing.T) {
	c := DefaultConfig()
	c.Listen, c.Labels = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, []uint8{contract.LabelTLS}
	if err := c.Validate(); err == nil {
		t.Error("no certificate, and no error")
	}
	overTLS(t, &c)
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Direct = true
	if err := c.Validate(); err == nil {
		t.Error("direct descriptors, and no error")
	}
}

// TestNoMemoryForTLS: connections for whose keys no memory can be mapped are closed and counted, and those that come later are served.
func TestNoMemoryForTLS(t *testing.T) {
	everyEngineOverTLS(t, func(t *testing.T, start func(...func(*Config)) *server, dial func(*server) stream) {
		var none atomic.Bool
		s := start(func(c *Config) {
			c.mapMemory = func(n int) ([]byte, error) {
				if none.Load() {
					return nil, errors.New("there is none")
				}
				return ring.Map(n)
			}
		})
		eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
		none.Store(true)
		for range 4 {
			expectEnd(t, dial(s))
		}
		eventually(t, "they are gone", func() bool { return s.Stats().Conns == 0 })
		if st := s.Stats(); st.ClientsLacking != 4 || st.Accepted != 0 || st.TLSConns != 0 {
			t.Errorf("%d lacked memory, %d were accepted, %d speak TLS; want 4, 0 and 0", st.ClientsLacking, st.Accepted, st.TLSConns)
		}
		if got := s.loads(); got[len(got)-1] != 0 {
			t.Errorf("channels still count %v connections", got)
		}
		none.Store(false)
		c := dial(s)
		send(t, c, "echo later\n")
		expect(t, c, "later\n")
	})
}
