package record

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// heapMemory is memory for tests, of the Go heap.
func heapMemory(n int) ([]byte, error) { return make([]byte, n), nil }

// suites13 and suites12 are one suite of each kind.
var (
	suites13 = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}
	suites12 = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
)

// eachSuite runs f for each kind of suite with two States that talk to each other: of the client, and of the server.
func eachSuite(t *testing.T, f func(t *testing.T, client, server *State)) {
	t.Helper()
	for _, id := range append(append([]uint16(nil), suites13...), suites12...) {
		t.Run(tls.CipherSuiteName(id), func(t *testing.T) {
			client, server := newStates(t, id)
			f(t, client, server)
		})
	}
}

// newStates are both sides of a connection with made up secrets.
func newStates(t testing.TB, id uint16) (client, server *State) {
	t.Helper()
	states := [2]*State{new(State), new(State)}
	for i, isClient := range []bool{true, false} {
		k, err := someSecrets(id, isClient)
		if err != nil {
			t.Fatal(err)
		}
		if err := states[i].Start(&k); err != nil {
			t.Fatal(err)
		}
		k.Zero()
	}
	return states[0], states[1]
}

// someSecrets are made up.
func someSecrets(id uint16, isClient bool) (Secrets, error) {
	if id>>8 != 0x13 {
		return FromMaster(id, isClient, bytes.Repeat([]byte{1}, 48), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32))
	}
	n := 32
	if id == tls.TLS_AES_256_GCM_SHA384 {
		n = 48
	}
	return FromTraffic(id, isClient, bytes.Repeat([]byte{1}, n), bytes.Repeat([]byte{2}, n))
}

// TestSealedIsOpened: what one side seals the other opens, both ways.
func TestSealedIsOpened(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(8, heapMemory)
		for _, n := range []int{1, 64, 0, MaxPlain, 17} {
			for _, way := range [][2]*State{{client, server}, {server, client}} {
				text := bytes.Repeat([]byte{byte(n)}, n)
				buf := make([]byte, n+way[0].Overhead())
				copy(buf[way[0].Prefix():], text)
				if got := c.Seal(1, way[0], buf, n); got != len(buf) {
					t.Fatalf("sealing %d bytes makes %d, want %d", n, got, len(buf))
				}
				plain, used, event := c.Open(2, way[1], buf)
				want := EventData
				if n == 0 {
					want = EventNone
				}
				if event.Kind != want || used != len(buf) || !bytes.Equal(plain, text) {
					t.Fatalf("%d bytes: opened %d of %d: %+v", n, len(plain), used, event)
				}
			}
		}
	})
}
