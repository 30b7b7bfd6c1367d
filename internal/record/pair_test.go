package record

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	_ "unsafe" // for linkname
)

// variant is a suite, and the side of the connection that this package is on.
type variant struct {
	suite  uint16
	client bool
}

func (v variant) String() string {
	if v.client {
		return tls.CipherSuiteName(v.suite) + "/client"
	}
	return tls.CipherSuiteName(v.suite) + "/server"
}

func (v variant) version() uint16 {
	if v.suite>>8 == 0x13 {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// variants are all suites that this package knows, on both sides.
func variants() (all []variant) {
	for _, suite := range []uint16{
		tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	} {
		all = append(all, variant{suite, false}, variant{suite, true})
	}
	return all
}

// The suites of TLS 1.3 that crypto/tls offers cannot be set otherwise.
//
//go:linkname defaultCipherSuitesTLS13 crypto/tls.defaultCipherSuitesTLS13
var defaultCipherSuitesTLS13 []uint16

//go:linkname defaultCipherSuitesTLS13NoAES crypto/tls.defaultCipherSuitesTLS13NoAES
var defaultCipherSuitesTLS13NoAES []uint16

// stream is what one end sent and the other did not read yet. It has no bound.
type stream struct {
	mu     sync.Mutex
	more   *sync.Cond
	data   bytes.Buffer
	head   []byte // the first bytes that were ever written
	closed bool   // then reading the last byte is followed by an error, until then by waiting
}

func newStream() *stream {
	s := new(stream)
	s.more = sync.NewCond(&s.mu)
	return s
}

var errEmpty = errors.New("the stream is empty")

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.data.Len() == 0 {
		if s.closed {
			return 0, errEmpty
		}
		s.more.Wait()
	}
	return s.data.Read(p)
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more.Broadcast()
	s.head = append(s.head, p[:min(len(p), 64-len(s.head))]...)
	return s.data.Write(p)
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.more.Broadcast()
}

// take empties the stream.
func (s *stream) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.data.Next(s.data.Len())...)
}

// end is one end of a connection.
type end struct {
	io.Reader
	io.Writer
	net.Conn // nil: what tests need is above and below
}

func (e end) Read(p []byte) (int, error)       { return e.Reader.Read(p) }
func (e end) Write(p []byte) (int, error)      { return e.Writer.Write(p) }
func (e end) Close() error                     { return nil }
func (e end) SetDeadline(time.Time) error      { return nil }
func (e end) SetReadDeadline(time.Time) error  { return nil }
func (e end) SetWriteDeadline(time.Time) error { return nil }

// byRecord reads no byte of a record before the one in front was read.
type byRecord struct {
	in   *bufio.Reader
	from io.Reader
	left int
}

func (r *byRecord) Read(p []byte) (int, error) {
	if r.left == 0 {
		header := make([]byte, HeaderLen)
		if _, err := io.ReadFull(r.from, header); err != nil {
			return 0, err
		}
		r.left = HeaderLen + int(binary.BigEndian.Uint16(header[3:]))
		r.in = bufio.NewReader(io.MultiReader(bytes.NewReader(header), io.LimitReader(r.from, int64(r.left-HeaderLen))))
	}
	n, err := r.in.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// certificates are one with an RSA and one with an ECDSA key.
var certificates = sync.OnceValue(func() (list []tls.Certificate) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"test"}, NotAfter: time.Now().Add(time.Hour)}
	for _, key := range []any{rsaKey, ecKey} {
		var public any = &rsaKey.PublicKey
		if key == any(ecKey) {
			public = &ecKey.PublicKey
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
		if err != nil {
			panic(err)
		}
		list = append(list, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	}
	return list
})

// pair is a connection of which one end is crypto/tls and the other, after a handshake that crypto/tls did too, this package.
type pair struct {
	peer     *tls.Conn
	in, out  *stream // what the peer sent, what it is to receive
	c        *Ciphers
	s        *State
	slot     uint32
	received []byte // not opened yet
}

// connect does a handshake and goes on with c. The server sends session tickets if tickets is set.
func connect(t testing.TB, v variant, c *Ciphers, slot uint32, tickets bool) *pair {
	t.Helper()
	in, out := newStream(), newStream()
	var keyLog bytes.Buffer
	config := &tls.Config{
		Certificates: certificates(), InsecureSkipVerify: true, ServerName: "test", MinVersion: v.version(), MaxVersion: v.version(),
		CipherSuites: []uint16{v.suite}, SessionTicketsDisabled: !tickets,
	}
	ourConfig := config.Clone()
	ourConfig.KeyLogWriter = &keyLog
	ourEnd, peerEnd := end{Reader: &byRecord{from: in}, Writer: out}, end{Reader: out, Writer: in}
	ours, peer := tls.Server(ourEnd, ourConfig), tls.Client(peerEnd, config)
	if v.client {
		ours, peer = tls.Client(ourEnd, ourConfig), tls.Server(peerEnd, config)
	}
	handshakes(t, v, ours, peer)
	in.close()
	out.close()
	if got := ours.ConnectionState().CipherSuite; got != v.suite {
		t.Fatalf("the handshake chose %s, want %s", tls.CipherSuiteName(got), tls.CipherSuiteName(v.suite))
	}
	fromServer := out.head
	if v.client {
		fromServer = in.head
	}
	k := secretsOf(t, v, keyLog.String(), fromServer)
	p := &pair{peer: peer, in: in, out: out, c: c, s: new(State), slot: slot}
	if err := p.s.Start(&k); err != nil {
		t.Fatal(err)
	}
	return p
}

var suitesOf13 sync.Mutex // protects what linkname shows

func handshakes(t testing.TB, v variant, ours, peer *tls.Conn) {
	t.Helper()
	suitesOf13.Lock()
	defer suitesOf13.Unlock()
	before, beforeNoAES := defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES
	defer func() { defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES = before, beforeNoAES }()
	if v.version() == tls.VersionTLS13 {
		defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES = []uint16{v.suite}, []uint16{v.suite}
	}
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	if err := errors.Join(ours.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
}

// secretsOf reads the secrets of a handshake from its key log, and the server's random from its hello.
func secretsOf(t testing.TB, v variant, keyLog string, fromServer []byte) Secrets {
	t.Helper()
	secrets := map[string][]byte{}
	var clientRandom []byte
	for line := range strings.Lines(keyLog) {
		label, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		random, secret, _ := strings.Cut(rest, " ")
		var err, errSecret error
		clientRandom, err = hex.DecodeString(random)
		secrets[label], errSecret = hex.DecodeString(secret)
		if err = errors.Join(err, errSecret); err != nil {
			t.Fatal(err)
		}
	}
	k, err := FromTraffic(v.suite, v.client, secrets["CLIENT_TRAFFIC_SECRET_0"], secrets["SERVER_TRAFFIC_SECRET_0"])
	if v.version() == tls.VersionTLS12 {
		const before = HeaderLen + 4 + 2 // headers of the record and of the message, a version
		k, err = FromMaster(v.suite, v.client, secrets["CLIENT_RANDOM"], clientRandom, fromServer[before:][:32])
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// receive takes what the peer sent into the pair's buffer.
func (p *pair) receive() { p.received = append(p.received, p.in.take()...) }

// open opens the next record and returns its data, which is valid until the next call.
func (p *pair) open() ([]byte, Event) {
	plain, used, event := p.c.Open(p.slot, p.s, p.received)
	p.received = p.received[used:]
	return plain, event
}

// send seals one record of text and gives it to the peer.
func (p *pair) send(t testing.TB, text []byte) {
	t.Helper()
	buf := make([]byte, len(text)+p.s.Overhead())
	copy(buf[p.s.Prefix():], text)
	if n := p.c.Seal(p.slot, p.s, buf, len(text)); n != len(buf) {
		t.Fatalf("sealing %d bytes makes %d, want %d", len(text), n, len(buf))
	}
	p.give(t, buf)
}

// give gives the peer sealed records.
func (p *pair) give(t testing.TB, sealed []byte) {
	t.Helper()
	if _, err := p.out.Write(sealed); err != nil {
		t.Fatal(err)
	}
}
