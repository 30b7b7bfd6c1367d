package handshake

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"

	"ringcached/internal/record"
)

// secretMax is the longest secret, in bytes: a hash of SHA-384, or the master secret of TLS 1.2.
const secretMax = 48

// masterLen is how long the master secret of TLS 1.2 is.
const masterLen = 48

// secret is one of a key log's.
type secret struct {
	bytes [secretMax]byte
	n     int
}

func (s *secret) value() []byte { return s.bytes[:s.n] }

// keyLog is crypto/tls's KeyLogWriter for one connection: it remembers what the records after the handshake are sealed with.
type keyLog struct {
	master, fromClient, fromServer secret
}

// Write takes a line of a key log: a label, the client's random and a secret, in hexadecimal digits. It clears the line, which crypto/tls has
// made for it and does not look at again.
func (k *keyLog) Write(line []byte) (int, error) {
	defer clear(line)
	label, rest, _ := bytes.Cut(line, []byte(" "))
	_, digits, _ := bytes.Cut(bytes.TrimSuffix(rest, []byte("\n")), []byte(" "))
	var to *secret
	switch string(label) {
	case "CLIENT_RANDOM":
		to = &k.master
	case "CLIENT_TRAFFIC_SECRET_0":
		to = &k.fromClient
	case "SERVER_TRAFFIC_SECRET_0":
		to = &k.fromServer
	default:
		return len(line), nil // the handshake's own
	}
	if len(digits) > 2*secretMax {
		return 0, errors.New("a line of the key log has too long a secret")
	}
	var err error
	if to.n, err = hex.Decode(to.bytes[:], digits); err != nil {
		return 0, errors.New("a line of the key log has other digits than hexadecimal ones")
	}
	return len(line), nil
}

// wrap makes the ticket of a session. What the key log does not tell when a session of TLS 1.2 is resumed, its master secret, goes along.
func (a *attempt) wrap(tickets *tls.Config, state tls.ConnectionState, session *tls.SessionState) (ticket []byte, err error) {
	if state.Version == tls.VersionTLS12 {
		session.Extra = [][]byte{a.keys.master.value()}
		defer func() { session.Extra = nil }()
	}
	ticket, err = tickets.EncryptTicket(state, session)
	if err == nil && state.Version == tls.VersionTLS13 {
		// Header, lifetime, age, an empty nonce, the ticket, no extensions: RFC 8446, section 4.6.1.
		a.ticketMessage = 4 + 4 + 4 + 1 + 2 + len(ticket) + 2
	}
	return ticket, err
}

// unwrap opens a ticket; nil if it is not good. If crypto/tls takes the session, the master secret is known by that; if not, the key log will
// tell another.
func (a *attempt) unwrap(tickets *tls.Config, ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
	session, err := tickets.DecryptTicket(ticket, state)
	if err != nil || session == nil || state.Version != tls.VersionTLS12 {
		return session, err
	}
	if len(session.Extra) != 1 || len(session.Extra[0]) != masterLen {
		return nil, nil // it is of TLS 1.3
	}
	a.keys.master.n = copy(a.keys.master.bytes[:], session.Extra[0])
	clear(session.Extra[0])
	session.Extra = nil
	return session, nil
}

// Overheads of records, in bytes.
const (
	overhead13       = 17 // the type and the tag
	overheadAESGCM12 = 24 // the explicit part of the nonce, and the tag
	overheadChaCha12 = 16
	finishedMessage  = 4 + 12 // Finished of TLS 1.2
)

var (
	errBehindFinished = errors.New("the client's Finished has something behind it in its record")
	errCounting       = errors.New("the records that crypto/tls has written are not those that this package knows of")
)

// secrets are those for the records after a handshake that crypto/tls has completed.
func (a *attempt) secrets(version, suite uint16) (s record.Secrets, err error) {
	if version == tls.VersionTLS12 {
		return a.secrets12(suite)
	}
	if version != tls.VersionTLS13 {
		return s, fmt.Errorf("a handshake of %s", tls.VersionName(version))
	}
	sealed, err := a.sealed13()
	if err != nil {
		return s, err
	}
	if s, err = record.FromTraffic(suite, false, a.keys.fromClient.value(), a.keys.fromServer.value()); err != nil {
		return s, err
	}
	s.InSeq, s.OutSeq = 0, sealed // crypto/tls refuses anything in one record with the client's Finished
	return s, nil
}

func (a *attempt) secrets12(suite uint16) (s record.Secrets, err error) {
	overhead := overheadAESGCM12
	if suite == tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 || suite == tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 {
		overhead = overheadChaCha12
	}
	if a.in.handshakeBytes-overhead*a.in.handshakes != finishedMessage {
		return s, errBehindFinished // crypto/tls keeps it for its next Read, and there is none
	}
	if s, err = record.FromMaster(suite, false, a.keys.master.value(), a.in.random(), a.out.random()); err != nil {
		return s, err
	}
	s.InSeq, s.OutSeq = a.in.after, a.out.after
	return s, nil
}

// sealed13 counts the records under the last keys of TLS 1.3: those of a session ticket, which are the last that were written. It looks
// whether their lengths, and that of the server's Finished before them, are as they must be.
func (a *attempt) sealed13() (sealed uint64, err error) {
	for left := a.ticketMessage; left > 0; left -= maxPlain {
		sealed++
	}
	left := a.ticketMessage
	for back := sealed; back > 0; back-- {
		if a.out.length(back-1) != min(left, maxPlain)+overhead13 {
			return 0, errCounting
		}
		left -= maxPlain
	}
	const messageHeader = 4
	if a.out.length(sealed) != messageHeader+a.keys.fromServer.n+overhead13 {
		return 0, errCounting
	}
	return sealed, nil
}
