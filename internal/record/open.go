package record

import "encoding/binary"

// Types of records.
const (
	changeCipherSpec = 20
	alertRecord      = 21
	handshake        = 22
	applicationData  = 23
)

// uselessMax is how many records without data are taken in a row.
const uselessMax = 16

// Open opens the record at the front of buf in place. plain is the data in it, a part of buf; used is the length of the record, by which the caller goes on
// in buf; both are empty unless the event says otherwise. After EventClosed, EventAlert and EventFatal nothing more is opened, and what is left in buf is
// to be thrown away. buf is overwritten where the record is, even if it turns out to be wrong. The connection must have TLS.
func (c *Ciphers) Open(slot uint32, s *State, buf []byte) (plain []byte, used int, event Event) {
	if s.is(inEnded) {
		return nil, 0, Event{Kind: EventEnded}
	}
	if len(buf) < HeaderLen {
		return nil, 0, Event{Kind: EventNeed, Need: HeaderLen}
	}
	length := int(binary.BigEndian.Uint16(buf[3:]))
	if wrong, is := s.wrongHeader(buf, length); is {
		return nil, 0, s.fail(wrong)
	}
	used = HeaderLen + length
	if len(buf) < used {
		return nil, 0, Event{Kind: EventNeed, Need: used}
	}
	if s.in.seq >= recordsMax || s.out.seq >= recordsMax {
		return nil, 0, s.fail(InternalError)
	}
	text, ok := c.decrypt(slot, s, buf[:used])
	if !ok {
		return nil, 0, s.fail(BadRecordMAC)
	}
	s.in.seq++
	kind, text, ok := s.content(buf[0], text)
	switch {
	case !ok:
		return nil, 0, s.fail(UnexpectedMessage)
	case len(text) > MaxPlain:
		return nil, 0, s.fail(RecordOverflow)
	case kind == applicationData && len(text) > 0 && s.messageHave == 0:
		s.useless = 0
		return text, used, Event{Kind: EventData}
	}
	event = c.other(slot, s, kind, text)
	if event.Kind == EventFatal {
		return nil, 0, event
	}
	return nil, used, event
}

// fail ends what is received, because of an error that the peer is told with an alert.
func (s *State) fail(a Alert) Event {
	s.flags |= inEnded
	return Event{Kind: EventFatal, Alert: a}
}

// wrongHeader checks what can be said of a record by its header. A version that is wrong in TLS 1.3 makes the tag wrong, see decrypt.
func (s *State) wrongHeader(buf []byte, length int) (a Alert, wrong bool) {
	most := MaxPlain + 256
	if s.version == 2 {
		most = MaxPlain + s.Overhead() - HeaderLen // more could not be right: nothing is compressed
	}
	kind := buf[0]
	switch {
	case s.version == 3 && kind != applicationData, s.version == 2 && kind != applicationData && kind != handshake && kind != alertRecord:
		return UnexpectedMessage, true
	case s.version == 2 && binary.BigEndian.Uint16(buf[1:]) != 0x0303:
		return ProtocolVersion, true
	case length > most:
		return RecordOverflow, true
	}
	return 0, false
}

// decrypt opens a whole record in place. It returns false if it is not authentic.
func (c *Ciphers) decrypt(slot uint32, s *State, record []byte) (text []byte, ok bool) {
	extra, body := record[:HeaderLen], record[HeaderLen:]
	if s.explicit() {
		body = record[HeaderLen+min(8, len(body)):]
	}
	if len(body) < tagLen {
		return nil, false
	}
	s.setNonce(&c.nonce, &s.in)
	if s.explicit() {
		copy(c.nonce[4:], record[HeaderLen:][:8])
	}
	if s.version == 2 {
		extra = s.setExtra(&c.extra, &s.in, record[0], len(body)-tagLen)
	}
	text, err := c.aead(slot, s, &s.in).Open(body[:0], c.nonce[:], body, extra)
	return text, err == nil
}

// setNonce makes the nonce of a direction's next record: IV xor sequence number (RFC 8446, section 5.3; RFC 7905, section 2), or the IV before the
// sequence number (RFC 5288, section 3, where it may be anything that does not repeat).
func (s *State) setNonce(nonce *[ivLen]byte, d *direction) {
	*nonce = d.iv
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^d.seq)
}

// setExtra makes the additional data of a record of TLS 1.2 (RFC 5246, section 6.2.3.3).
func (s *State) setExtra(extra *[13]byte, d *direction, kind byte, plainLen int) []byte {
	binary.BigEndian.PutUint64(extra[:], d.seq)
	extra[8], extra[9], extra[10] = kind, 3, 3
	binary.BigEndian.PutUint16(extra[11:], uint16(plainLen))
	return extra[:]
}

// content is the type of an opened record and what it has: in TLS 1.3 the type is behind it, before zeroes (RFC 8446, section 5.4). It returns
// false if there is no type. Too long a padding makes the text too long.
func (s *State) content(kind byte, text []byte) (byte, []byte, bool) {
	if s.version == 2 || len(text) > MaxPlain+1 {
		return kind, text, true
	}
	for n := len(text) - 1; n >= 0; n-- {
		if text[n] != 0 {
			return text[n], text[:n], true
		}
	}
	return 0, nil, false
}
