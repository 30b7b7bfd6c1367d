package record

import (
	"crypto/tls"
	"errors"
)

// State is what a connection keeps of TLS between two records. It has no pointers and belongs to whoever maps the memory that it lies in. The zero value is
// a connection without TLS. A State must not be copied while it is in use: both copies would seal with the same sequence numbers.
type State struct {
	in, out direction

	version uint8 // 2 or 3: TLS 1.2 or 1.3; 0: no TLS
	suite   suite
	flags   flags
	useless uint8 // records in a row without data

	// A handshake message of which a part is here.
	message     uint8  // its type
	messageHave uint8  // how many of the 4 bytes of its header are here; 0: there is no message
	messageLeft uint16 // bytes that are still to come; while the header is incomplete, of the length what is here
}

// direction is half of a State. In TLS 1.2 secret is empty.
type direction struct {
	seq    uint64 // of the next record
	secret [secretMax]byte
	key    [keyMax]byte
	iv     [ivLen]byte
	cached uint32 // where Ciphers has the expanded key, +1; a hint
}

// flags are facts about a connection.
type flags uint8

const (
	client    flags = 1 << iota // this side is the client
	withECDSA                   // the suite's number is that with an ECDSA certificate
	inEnded                     // no record is opened any more
	outEnded                    // no record is sealed any more
	updateDue                   // the peer asked for a KeyUpdate
)

func (s *State) is(f flags) bool { return s.flags&f != 0 }

// UpdateAfter is how many records are sealed with one key of AES-GCM in TLS 1.3 before KeyUpdateDue asks for the next (RFC 8446, section 5.5). A
// quarter more, and Seal refuses. Only tests lower it, before there are connections.
var UpdateAfter uint64 = 1 << 24

// recordsMax is where a connection ends whose sequence numbers have come so far, in either direction. Only tests lower it.
var recordsMax uint64 = 1 << 60

var (
	errStarted = errors.New("record: the connection has secrets already")
	errEnded   = errors.New("record: the connection has no secrets to go on with")
	errBusy    = errors.New("record: the connection is within a message, or owes a KeyUpdate")
)

// Start makes s a connection with TLS that goes on where k says. It keeps copies of the secrets; the caller zeroes k. An error leaves s as it was: it was
// started before, or k's version or suite is not known.
func (s *State) Start(k *Secrets) error {
	if s.Active() {
		return errStarted
	}
	known, err := suiteOf(k.Version, k.Suite)
	if err != nil {
		return err
	}
	*s = State{suite: known, version: 2}
	if k.Version == tls.VersionTLS13 {
		s.version = 3
	}
	if k.Client {
		s.flags = client
	}
	if k.Suite == ids[known][2] {
		s.flags |= withECDSA
	}
	s.setKey(&s.in, &k.In)
	s.setKey(&s.out, &k.Out)
	s.in.seq, s.out.seq = k.InSeq, k.OutSeq
	return nil
}

// setKey fills a direction from what a handshake left for it.
func (s *State) setKey(d *direction, secret *[secretMax]byte) {
	if s.version == 3 {
		copy(d.secret[:], secret[:s.suite.hash().size()])
		s.deriveKey(d)
		return
	}
	copy(d.key[:], secret[:s.suite.keyLen()])
	copy(d.iv[:], secret[s.suite.keyLen():][:saltLen(s.suite)])
}

// deriveKey makes key and IV of a direction's secret (RFC 8446, section 7.3), and begins to count records anew.
func (s *State) deriveKey(d *direction) {
	h := s.suite.hash()
	h.expandLabel(d.key[:s.suite.keyLen()], d.secret[:h.size()], "key")
	h.expandLabel(d.iv[:], d.secret[:h.size()], "iv")
	d.seq = 0
}

// nextKey replaces a direction's secret by the one that follows (RFC 8446, section 7.2).
func (s *State) nextKey(d *direction) {
	h := s.suite.hash()
	h.expandLabel(d.secret[:h.size()], d.secret[:h.size()], "traffic upd")
	s.deriveKey(d)
}

// Active says whether the connection has TLS.
func (s *State) Active() bool { return s.version != 0 }

// Version is tls.VersionTLS12 or tls.VersionTLS13, or 0 without TLS.
func (s *State) Version() uint16 {
	if !s.Active() {
		return 0
	}
	return tls.VersionTLS10 + uint16(s.version)
}

// Suite is the number that IANA gave the suite, or 0 without TLS.
func (s *State) Suite() uint16 {
	switch {
	case s.version == 3:
		return ids[s.suite][0]
	case s.is(withECDSA):
		return ids[s.suite][2]
	}
	return ids[s.suite][1]
}

// Secrets are what another process, or another State, needs to go on with the connection, in the place of this State. It is an error if there is a part of
// a message or a KeyUpdate to be answered, which would be lost, or if the connection has ended.
func (s *State) Secrets() (Secrets, error) {
	switch {
	case !s.Active() || s.is(inEnded|outEnded):
		return Secrets{}, errEnded
	case s.messageHave > 0 || s.is(updateDue):
		return Secrets{}, errBusy
	}
	k := Secrets{Version: s.Version(), Suite: s.Suite(), Client: s.is(client), InSeq: s.in.seq, OutSeq: s.out.seq}
	s.getKey(&k.In, &s.in)
	s.getKey(&k.Out, &s.out)
	return k, nil
}

// getKey is the reverse of setKey.
func (s *State) getKey(secret *[secretMax]byte, d *direction) {
	if s.version == 3 {
		*secret = d.secret
		return
	}
	copy(secret[:], d.key[:s.suite.keyLen()])
	copy(secret[s.suite.keyLen():], d.iv[:saltLen(s.suite)])
}

// Ended says that Open opens no more: the peer has closed, an alert was received, or there was an error.
func (s *State) Ended() bool { return s.is(inEnded) }

// Silent says that Seal seals no more: an alert that ends the connection was sent or received, or there are no sequence numbers left.
func (s *State) Silent() bool { return s.is(outEnded) || s.out.seq >= recordsMax }

// KeyUpdateDue says that AppendKeyUpdate should come before the next Seal: the peer asked for it, and Seal refuses until then, or so many records were
// sealed with a key that there should be a new one.
func (s *State) KeyUpdateDue() bool {
	return !s.Silent() && (s.is(updateDue) || s.limited() && s.out.seq >= UpdateAfter)
}

// overdue says that nothing may be sealed before a KeyUpdate.
func (s *State) overdue() bool {
	return s.is(updateDue) || s.limited() && s.out.seq >= UpdateAfter+UpdateAfter/4
}

// refuses says that no data may be sealed.
func (s *State) refuses() bool { return s.Silent() || s.overdue() }

// limited says that the outgoing key can be replaced, and has to be some day.
func (s *State) limited() bool { return s.version == 3 && s.suite != chacha }

// Prefix is how many bytes a sealed record has before its plaintext, 0 without TLS.
func (s *State) Prefix() int {
	switch {
	case !s.Active():
		return 0
	case s.explicit():
		return HeaderLen + 8
	}
	return HeaderLen
}

// Overhead is how many bytes a sealed record is longer than its plaintext, 0 without TLS: Prefix before it, the rest behind.
func (s *State) Overhead() int {
	switch {
	case !s.Active():
		return 0
	case s.version == 3:
		return HeaderLen + 1 + tagLen
	}
	return s.Prefix() + tagLen
}

// explicit says that a part of the nonce is in every record, after the header: TLS 1.2 with AES-GCM (RFC 5288, section 3).
func (s *State) explicit() bool { return s.version == 2 && s.suite != chacha }

// String says nothing secret.
func (s *State) String() string {
	if !s.Active() {
		return "no TLS"
	}
	return tls.VersionName(s.Version()) + " " + tls.CipherSuiteName(s.Suite())
}
