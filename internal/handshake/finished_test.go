package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/internal/record"
)

// lastFlight is the connection of a client of TLS 1.2 that may change its last flight: ClientKeyExchange, ChangeCipherSpec, Finished.
type lastFlight struct {
	*net.TCPConn
	in, out records
	keys    keyLog
	writes  int
	change  func(flight []byte, secrets record.Secrets) ([]byte, error)
}

func (c *lastFlight) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		rest = rest[c.in.take(rest):]
	}
	return n, err
}

func (c *lastFlight) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[c.out.take(rest):]
	}
	flight := p
	if c.writes++; c.writes == 2 {
		secrets, err := record.FromMaster(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true, c.keys.master.value(), c.out.random(), c.in.random())
		if err == nil {
			flight, err = c.change(slices.Clone(p), secrets)
		}
		if err != nil {
			return 0, err
		}
	}
	_, err := c.TCPConn.Write(flight)
	return len(p), err
}

// changed does a handshake of TLS 1.2 with such a client.
func changed(t *testing.T, change func(flight []byte, secrets record.Secrets) ([]byte, error)) (e ended) {
	t.Helper()
	site := newSite(t, "ecdsa")
	site.config.Ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"
	near, far := dial(t)
	conn := &lastFlight{TCPConn: far, change: change}
	config := site.clientConfig()
	config.MaxVersion = tls.VersionTLS12
	config.KeyLogWriter = &conn.keys
	e.conn, e.client = near, tls.Client(conn, config)
	done := make(chan error)
	go func() { done <- e.client.Handshake() }()
	e.Result, e.err = site.server(t).Do(near, time.Now().Add(patience), PeerByMode)
	if e.err != nil {
		near.CloseWrite()
	}
	e.clientErr = <-done
	return e
}

// TestFalseStart: data come behind the client's Finished, before the server's has gone (RFC 7918). crypto/tls's client does not do that.
func TestFalseStart(t *testing.T) {
	const text = "get a\r\n"
	e := changed(t, func(flight []byte, secrets record.Secrets) ([]byte, error) {
		var state record.State
		if err := state.Start(&secrets); err != nil {
			return nil, err
		}
		ciphers := record.New(1, func(n int) ([]byte, error) { return make([]byte, n), nil })
		sealed := make([]byte, len(text)+state.Overhead())
		return append(flight, sealed[:ciphers.SealCopy(1, &state, sealed, []byte(text))]...), nil
	})
	if e.err != nil || e.clientErr != nil {
		t.Fatalf("server: %v; client: %v", e.err, e.clientErr)
	}
	if len(e.Leftover) == 0 {
		t.Fatal("nothing is left over")
	}
	if got, err := newLine(t, &e).read(); err != nil || got != text {
		t.Fatalf("%q, %v", got, err)
	}
}

// splitFinished seals the client's Finished, which is the last record of a flight, anew: with more behind it, cut into records of the sizes given.
func splitFinished(flight []byte, secrets record.Secrets, more []byte, sizes ...int) ([]byte, error) {
	const sealedLen = 8 + finishedMessage + 16
	at := len(flight) - headerLen - sealedLen
	if at < 0 || flight[at] != typeHandshake {
		return nil, errors.New("the flight does not end with a Finished")
	}
	block, err := aes.NewCipher(secrets.Out[:16])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	nonce := func(explicit []byte) []byte { return slices.Concat(secrets.Out[16:20], explicit) }
	extra := func(seq uint64, n int) []byte {
		return append(binary.BigEndian.AppendUint64(nil, seq), typeHandshake, 3, 3, byte(n>>8), byte(n))
	}
	body := flight[at+headerLen:]
	plain, err := gcm.Open(nil, nonce(body[:8]), body[8:], extra(0, finishedMessage))
	if err != nil {
		return nil, err
	}
	plain = append(plain, more...)
	flight = flight[:at]
	for seq, n := range sizes {
		explicit := binary.BigEndian.AppendUint64(nil, uint64(seq))
		sealed := gcm.Seal(explicit, nonce(explicit), plain[:n], extra(uint64(seq), n))
		flight = append(flight, typeHandshake, 3, 3, byte(len(sealed)>>8), byte(len(sealed)))
		flight = append(flight, sealed...)
		plain = plain[n:]
	}
	return flight, nil
}

// TestFinishedInPieces: the client's Finished may be spread over records, and then the sequence begins later.
func TestFinishedInPieces(t *testing.T) {
	for _, sizes := range [][]int{{16}, {15, 1}, {1, 7, 8}} {
		e := changed(t, func(flight []byte, secrets record.Secrets) ([]byte, error) {
			return splitFinished(flight, secrets, nil, sizes...)
		})
		if e.err != nil || e.clientErr != nil {
			t.Fatalf("%d: server: %v; client: %v", sizes, e.err, e.clientErr)
		}
		if e.Secrets.InSeq != uint64(len(sizes)) || e.Secrets.OutSeq != 1 {
			t.Fatalf("%d: sequences go on at %d and %d", sizes, e.Secrets.InSeq, e.Secrets.OutSeq)
		}
		l := newLine(t, &e)
		l.write("END\r\n")
		if _, err := io.ReadFull(e.client, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSomethingBehindFinished: a message in one record with the client's Finished would be lost, so that is the end.
func TestSomethingBehindFinished(t *testing.T) {
	for _, sizes := range [][]int{{17}, {20}, {8, 12}} {
		e := changed(t, func(flight []byte, secrets record.Secrets) ([]byte, error) {
			return splitFinished(flight, secrets, []byte{1, 0, 0, 0}, sizes...)
		})
		if e.Outcome != ProtocolViolation || e.err == nil || !strings.Contains(e.err.Error(), "behind") {
			t.Fatalf("%d: %v: %v", sizes, e.Outcome, e.err)
		}
		if e.Secrets != (record.Secrets{}) || e.Leftover != nil {
			t.Fatal("there are secrets")
		}
		if _, err := e.client.Read(make([]byte, 1)); err != io.EOF { // which crypto/tls makes of close_notify
			t.Fatal(err)
		}
	}
}

// TestCountOfRecordsIsChecked: the records that were written have to be a Finished and the ticket, or the numbers are not handed out.
func TestCountOfRecordsIsChecked(t *testing.T) {
	for _, c := range []struct {
		lengths []uint16 // of bodies, in the order of writing
		hash    int
		ticket  int
		sealed  uint64
		ok      bool
	}{
		{[]uint16{90, 1, 23, 800, 53}, 32, 0, 0, true},
		{[]uint16{90, 1, 23, 800, 69}, 48, 0, 0, true},
		{[]uint16{90, 1, 23, 53, 117}, 32, 100, 1, true},
		{[]uint16{53, 16401, 117}, 32, 16484, 2, true},
		{[]uint16{53, 16401}, 32, 16384, 1, true},
		{[]uint16{90, 1, 23, 800, 53}, 48, 0, 0, false},
		{[]uint16{90, 1, 23, 53, 117, 117}, 32, 100, 0, false},
		{[]uint16{90, 1, 23, 53, 117}, 32, 101, 0, false},
		{[]uint16{90, 1, 23, 53, 117}, 32, 0, 0, false},
		{[]uint16{117}, 32, 100, 0, false},
		{nil, 32, 0, 0, false},
	} {
		var a attempt
		for _, length := range c.lengths {
			a.out.lengths[a.out.count%8] = length
			a.out.count++
		}
		a.keys.fromServer.n = c.hash
		a.ticketMessage = c.ticket
		if sealed, err := a.sealed13(); sealed != c.sealed || (err == nil) != c.ok {
			t.Errorf("%+v: %d, %v", c, sealed, err)
		}
	}
}
