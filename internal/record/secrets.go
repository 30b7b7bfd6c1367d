package record

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// Secrets are what a handshake leaves for the connection after it. Whoever has them calls Zero when they are used. They are of one side: In is
// what the peer seals with.
type Secrets struct {
	Version uint16 // tls.VersionTLS12 or tls.VersionTLS13
	Suite   uint16 // its number at IANA, as in crypto/tls
	Client  bool   // this side is the client

	// In TLS 1.3 the traffic secrets (RFC 8446, section 7.2), as long as the suite's hash. In TLS 1.2 the key and behind it the IV (RFC 5246,
	// section 6.3): 4 bytes for AES-GCM, which that RFC calls the salt, 12 for ChaCha20-Poly1305.
	In, Out [secretMax]byte

	// The sequence numbers of the next record: how many records were sealed with these keys before. In TLS 1.3 a server's session tickets
	// count, in TLS 1.2 Finished does.
	InSeq, OutSeq uint64
}

// Zero overwrites everything.
func (k *Secrets) Zero() { *k = Secrets{} }

// String says nothing: secrets do not belong into a log.
func (k Secrets) String() string { return "(secrets)" }

// GoString is String, for %#v.
func (k Secrets) GoString() string { return k.String() }

// FromTraffic are the Secrets of a TLS 1.3 connection: fromClient and fromServer are the traffic secrets CLIENT_TRAFFIC_SECRET_0 and
// SERVER_TRAFFIC_SECRET_0 (the labels of a key log), or the ones that followed them. client says which side this is. Both sequence
// numbers are 0: a caller that sent or received records with these secrets, such as session tickets, sets them. The caller zeroes its
// slices.
func FromTraffic(id uint16, client bool, fromClient, fromServer []byte) (Secrets, error) {
	s, err := suiteOf(tls.VersionTLS13, id)
	if err != nil {
		return Secrets{}, err
	}
	if n := s.hash().size(); len(fromClient) != n || len(fromServer) != n {
		return Secrets{}, fmt.Errorf("record: traffic secrets of %d and %d bytes, %s has %d", len(fromClient), len(fromServer), tls.CipherSuiteName(id), n)
	}
	k := Secrets{Version: tls.VersionTLS13, Suite: id, Client: client}
	in, out := fromClient, fromServer
	if client {
		in, out = out, in
	}
	copy(k.In[:], in)
	copy(k.Out[:], out)
	return k, nil
}

// FromMaster are the Secrets of a TLS 1.2 connection: master is the master secret of 48 bytes (CLIENT_RANDOM in a key log), the randoms
// are those of the hellos, 32 bytes each. client says which side this is. Both sequence numbers are 1: each side has sealed its Finished.
// The caller zeroes its slices.
func FromMaster(id uint16, client bool, master, clientRandom, serverRandom []byte) (Secrets, error) {
	s, err := suiteOf(tls.VersionTLS12, id)
	if err != nil {
		return Secrets{}, err
	}
	if len(master) != 48 || len(clientRandom) != 32 || len(serverRandom) != 32 {
		return Secrets{}, errors.New("record: a master secret has 48 bytes and a random 32")
	}
	var block [2 * (keyMax + ivLen)]byte
	keyLen, saltLen := s.keyLen(), saltLen(s)
	var seed [64]byte
	copy(seed[:32], serverRandom)
	copy(seed[32:], clientRandom)
	keyBlock := block[:2*(keyLen+saltLen)]
	s.hash().prf(keyBlock, master, "key expansion", seed[:])

	// Client's key, server's key, client's IV, server's IV.
	var fromClient, fromServer [secretMax]byte
	for i, to := range []*[secretMax]byte{&fromClient, &fromServer} {
		copy(to[:], keyBlock[i*keyLen:][:keyLen])
		copy(to[keyLen:], keyBlock[2*keyLen+i*saltLen:][:saltLen])
	}
	k := Secrets{Version: tls.VersionTLS12, Suite: id, Client: client, In: fromClient, Out: fromServer, InSeq: 1, OutSeq: 1}
	if client {
		k.In, k.Out = k.Out, k.In
	}
	clear(block[:])
	clear(fromClient[:])
	clear(fromServer[:])
	return k, nil
}

// saltLen is how many bytes of IV a TLS 1.2 handshake yields for s.
func saltLen(s suite) int {
	if s == chacha {
		return ivLen
	}
	return 4
}
