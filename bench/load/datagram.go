package load

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"time"
)

// What goes over UDP begins with memcached's frame header: the number of the request, that of the datagram within its
// message, how many datagrams the message has, and 0, 16 bits each in network order.
const frameHeader = 8

const (
	// maxRequestDatagram is the size of the largest datagram that is sent, header included: what memcached itself
	// puts into one.
	maxRequestDatagram = 1400
	// maxReplyDatagram bounds what a datagram of a reply may be, header included. Servers keep to 1400 bytes.
	maxReplyDatagram = 2<<10 - 1
	// maxDatagramReply is the size of the largest reply that is asked for. All its datagrams must fit into the
	// socket's receive buffer.
	maxDatagramReply = 64 << 10
	// defaultPatience is how long a reply over UDP is waited for.
	defaultPatience = time.Second
)

// validateDatagrams says why the workload cannot go over UDP.
func (w *Workload) validateDatagrams() error {
	_, reply := w.Sizes()
	request := w.groupMax()
	switch {
	case cmp.Or(w.Protocol, ProtocolText) != ProtocolText:
		return fmt.Errorf("protocol: over %s it is %s", TransportUDP, ProtocolText)
	case w.Pipeline > 1:
		return fmt.Errorf("pipeline: over %s it is 1, since a request is a datagram of its own", TransportUDP)
	case w.RequestsPerConnection > 0:
		return fmt.Errorf("requests-per-connection: over %s there are no connections", TransportUDP)
	case w.Multiget > 1: // of 1.6.18 at least
		return fmt.Errorf("multiget: over %s it is 1, since memcached says of the datagram of each key that it is the"+
			" only one", TransportUDP)
	case request > maxRequestDatagram:
		return fmt.Errorf("transport: a request of %d B does not fit into a datagram of %d B", request, maxRequestDatagram)
	case w.Gets > 0 && reply > maxDatagramReply:
		return fmt.Errorf("transport: replies of %d B are more than %d B, the most over %s",
			reply, maxDatagramReply, TransportUDP)
	}
	return nil
}

// Amplifies says that a get has a reply that ringcached does not send over UDP unless told to: a hundred times as
// long as the request.
func (w *Workload) Amplifies() bool {
	request, reply := w.Sizes()
	return w.Gets > 0 && reply+frameHeader*(1+reply/1000) > 100*(request+frameHeader)
}

// datagrams frames the requests of a session and puts their replies together, one at a time. Datagrams may come in
// any order, more than once, or when nobody waits for them any more: the number of the request tells.
type datagrams struct {
	request uint16   // number of the last request
	parts   [][]byte // of its reply, by number; nil: that one has not come
	missing int
}

// header appends the header of a new request.
func (d *datagrams) header(dst []byte) []byte {
	d.request++
	d.parts = d.parts[:0]
	dst = binary.BigEndian.AppendUint16(dst, d.request)
	return append(dst, 0, 0, 0, 1, 0, 0)
}

// receiveDatagram is receive for what came in a datagram. The reply is checked when it is whole, and must end where
// its last datagram does.
func (s *session) receiveDatagram(in []byte, now int64, r *recorder) error {
	d := s.datagrams
	r.BytesIn += int64(len(in))
	if len(in) < frameHeader || len(in) > maxReplyDatagram {
		return s.wrongDatagram("a datagram of %d bytes, want %d to %d", len(in), frameHeader, maxReplyDatagram)
	}
	request, number := binary.BigEndian.Uint16(in), int(binary.BigEndian.Uint16(in[2:]))
	count, reserved := int(binary.BigEndian.Uint16(in[4:])), binary.BigEndian.Uint16(in[6:])
	switch known := len(d.parts); {
	case int16(d.request-request) < 0:
		return s.wrongDatagram("a reply to request %d, and the last one was %d", request, d.request)
	case s.idle() || request != d.request:
		return nil // late, or once more
	case number >= count || known != 0 && count != known || reserved != 0:
		return s.wrongDatagram("datagram %d of %d, reserved %d, after one of %d", number, count, reserved, known)
	case known == 0:
		d.parts, d.missing = append(d.parts, make([][]byte, count)...), count
	}
	if d.parts[number] == nil {
		d.parts[number] = in[frameHeader:] // not nil, however short
		d.missing--
	}
	if d.missing > 0 {
		d.parts[number] = bytes.Clone(d.parts[number])
		return nil
	}
	for _, part := range d.parts {
		if err := s.consume(part, now, r); err != nil {
			return err
		}
	}
	if !s.idle() {
		return s.wrongDatagram("the datagrams end before the reply does")
	}
	return nil
}

func (s *session) wrongDatagram(format string, args ...any) error {
	wrong := &WrongReply{Problem: fmt.Sprintf(format, args...)}
	if p := &s.group[0]; len(p.keys) > 0 {
		wrong.Request = s.check.describe(p)
	}
	return wrong
}
