package proto

import "encoding/binary"

// datagramHead is what every datagram begins with: request id, sequence number, number of datagrams, and 0, 16 bits each in network
// order.
const datagramHead = 8

// guest stands in the log for who has no connection.
const guest = ^uint32(0)

// errTooMuch ends a reply that would keep more memory than a datagram's sender is allowed.
const errTooMuch = "SERVER_ERROR out of memory writing get response\r\n"

// Datagram handles a request that came as one datagram. It replies to out, or not at all: to what is not one whole request, and
// where there is nothing to say. As in memcached its first byte tells its protocol, whatever Config.Protocol says. Nobody has to wait for a turn here, so -R does not count; a reply that gets Full ends with an error.
func (w *Worker) Datagram(in []byte, out Replies) {
	if len(in) <= datagramHead || binary.BigEndian.Uint16(in[4:]) != 1 {
		return // a part of a request of several datagrams
	}
	s := &w.single
	*s = session{}
	s.settle(w.srv.firstMode(ProtocolAuto))
	w.begin(guest, out)
	for in = in[datagramHead:]; len(in) > 0; {
		n, next := w.serve(s, in)
		in = in[n:]
		if next == Yield && w.full {
			w.tooMuch(s)
			break
		}
		if next != Yield {
			break
		}
	}
	w.end()
	w.abort(s) // a value that did not come whole
}

// tooMuch ends a reply that is longer than allowed.
func (w *Worker) tooMuch(s *session) {
	if s.home == modeFrame {
		w.frameError(w.frame.echo, statusNoMemory)
		return
	}
	w.write(errTooMuch)
}

// Frame writes the head of datagram number seq, from 0, of total that make up the reply to the request in.
func (w *Worker) Frame(head, in []byte, seq, total int) {
	copy(head, in[:2])
	binary.BigEndian.PutUint16(head[2:], uint16(seq))
	binary.BigEndian.PutUint16(head[4:], uint16(total))
	binary.BigEndian.PutUint16(head[6:], 0)
}
