package batch

import (
	"crypto/tls"
	"net"
	"slices"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/handshake"
	"ringcached/internal/servertest"
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
	if c.Labels = slices.Clone(c.Labels); len(c.Labels) == 0 {
		c.Labels = make([]uint8, len(c.Listen))
	}
	for i := range c.Labels {
		c.Labels[i] |= contract.LabelTLS
	}
}

// secure is a connection over TLS whose handshake is over.
func (s *server) secure(tcp net.Conn, change func(*tls.Config)) *tls.Conn {
	s.t.Helper()
	config := &tls.Config{InsecureSkipVerify: true} // who the server is, is not what is tested here
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
					return start(t, append(change, setup.change)...)
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
		st := s.Stats()
		if st.TLSConns != 1 || st.TLSRecordsIn < 11 || st.TLSRecordsOut < 500 || st.TLSBadRecords != 0 {
			t.Errorf("%d connections, %d records in, %d out, %d bad", st.TLSConns, st.TLSRecordsIn, st.TLSRecordsOut, st.TLSBadRecords)
		}
		_ = c.Close()
		eventually(t, "the connection ends", func() bool { return s.Stats().TLSConns == 0 })
	})
}

var _ = time.Second
