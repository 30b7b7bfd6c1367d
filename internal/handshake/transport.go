package handshake

import (
	"encoding/binary"
	"net"
)

// Types of records, RFC 8446, section 5.1.
const (
	typeChangeCipherSpec = 20
	typeHandshake        = 22
)

const (
	headerLen = 5 // type, version, length
	maxPlain  = 16384
	helloLen  = 4 + 2 + randomLen // of a hello, up to and with its random: the message's header, the version
	randomLen = 32
)

// records follows a stream of records and counts them.
type records struct {
	header   [headerLen]byte // of the record that the stream stands in
	have     int             // bytes of it
	left     int             // bytes of the body to come
	switched bool            // a ChangeCipherSpec has passed

	hello     [helloLen]byte // the beginning of the first message, which may be spread over records
	helloHave int

	// Records that ended after it. In TLS 1.2 these are the encrypted ones; in TLS 1.3 the message means nothing.
	after          uint64
	handshakes     int // those of handshake messages
	handshakeBytes int // in bodies

	count   uint64    // of all
	lengths [8]uint16 // of the last bodies: number n at n modulo 8
}

// take moves on by the part of b that belongs to the record that the stream stands in.
func (r *records) take(b []byte) (n int) {
	if r.have < headerLen {
		n = copy(r.header[r.have:], b)
		r.have += n
		if r.have < headerLen {
			return n
		}
		r.left = int(binary.BigEndian.Uint16(r.header[3:]))
	}
	body := min(r.left, len(b)-n)
	if r.header[0] == typeHandshake && r.helloHave < helloLen {
		r.helloHave += copy(r.hello[r.helloHave:], b[n:n+body])
	}
	r.left -= body
	if r.left == 0 {
		r.end()
	}
	return n + body
}

// end counts the record that is complete now.
func (r *records) end() {
	length := binary.BigEndian.Uint16(r.header[3:])
	r.lengths[r.count%uint64(len(r.lengths))] = length
	r.count++
	r.have = 0
	if r.switched {
		r.after++
		if r.header[0] == typeHandshake {
			r.handshakes++
			r.handshakeBytes += int(length)
		}
	}
	if r.header[0] == typeChangeCipherSpec {
		r.switched = true
	}
}

// random is that of the hello with which the stream began.
func (r *records) random() []byte { return r.hello[helloLen-randomLen:] }

// length is that of the body of a record: 0 is the last one, 1 the one before it, up to 7.
func (r *records) length(back uint64) int {
	if back >= r.count {
		return -1
	}
	return int(r.lengths[(r.count-1-back)%uint64(len(r.lengths))])
}

// transport is the connection as crypto/tls sees it. Reading never goes beyond the end of a record, though more may have been read of the
// network: so the bytes that crypto/tls has not taken when a handshake ends are exactly those that follow it.
type transport struct {
	net.Conn
	in, out    records
	start, end int // of what was read and not taken, in buffer
	buffer     [MaxLeftover]byte
}

func (t *transport) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if t.start == t.end {
		n, err := t.Conn.Read(t.buffer[:])
		if n <= 0 {
			return 0, err
		}
		t.start, t.end = 0, n
	}
	n := t.in.take(t.buffer[t.start:min(t.end, t.start+len(p))])
	copy(p, t.buffer[t.start:t.start+n])
	t.start += n
	return n, nil
}

func (t *transport) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	for rest := p[:n]; len(rest) > 0; {
		rest = rest[t.out.take(rest):]
	}
	return n, err
}

// leftover is a copy of what crypto/tls has not taken, nil if that is nothing.
func (t *transport) leftover() []byte {
	return append([]byte(nil), t.buffer[t.start:t.end]...)
}
