package record

import "encoding/binary"

// Seal seals a record of n bytes, at most MaxPlain, in place: they lie in buf behind State.Prefix bytes, and behind them there is room for the rest of State.Overhead.
// It returns the length of the record, which begins at buf[0], or 0 if nothing may be sealed: see State.Silent and State.KeyUpdateDue. It panics if buf is too short
// or n too large. The connection must have TLS.
func (c *Ciphers) Seal(slot uint32, s *State, buf []byte, n int) int {
	if s.refuses() {
		return 0
	}
	return c.seal(slot, s, buf, n, applicationData)
}

// SealCopy is Seal for plaintext that lies elsewhere, in several pieces, all of which become one record in dst. dst must not overlap them.
func (c *Ciphers) SealCopy(slot uint32, s *State, dst []byte, plain ...[]byte) int {
	if s.refuses() {
		return 0 // and no plaintext is left in dst
	}
	n := 0
	for _, p := range plain {
		n += len(p)
	}
	s.checkRoom(dst, n)
	to := dst[s.Prefix():]
	for _, p := range plain {
		to = to[copy(to, p):]
	}
	return c.seal(slot, s, dst, n, applicationData)
}

// checkRoom panics unless n bytes can become a record in buf.
func (s *State) checkRoom(buf []byte, n int) {
	if n > MaxPlain || len(buf) < n+s.Overhead() {
		panic("record: more bytes than a record takes, or than there is room for")
	}
}

// seal seals a record of any kind.
func (c *Ciphers) seal(slot uint32, s *State, buf []byte, n int, kind byte) int {
	s.checkRoom(buf, n)
	prefix, total := s.Prefix(), n+s.Overhead()
	buf = buf[:total:total]
	s.setNonce(&c.nonce, &s.out)
	buf[0], buf[1], buf[2] = kind, 3, 3
	binary.BigEndian.PutUint16(buf[3:], uint16(total-HeaderLen))
	extra := buf[:HeaderLen]
	text := buf[prefix : prefix+n]
	if s.version == 3 {
		buf[0] = applicationData
		text = buf[prefix : prefix+n+1]
		text[n] = kind
	} else {
		extra = s.setExtra(&c.extra, &s.out, kind, n)
	}
	if s.explicit() {
		binary.BigEndian.PutUint64(buf[HeaderLen:], s.out.seq)
		copy(c.nonce[4:], buf[HeaderLen:][:8])
	}
	aead := c.aead(slot, s, &s.out)
	s.out.seq++ // before: whatever happens, no other record has this number
	aead.Seal(text[:0], c.nonce[:], text, extra)
	return total
}

// AppendAlert appends a record with an alert to dst; AlertLen bytes of capacity are enough. All but UserCanceled are the last that is sealed. It appends
// nothing if nothing may be sent any more, or without TLS.
func (c *Ciphers) AppendAlert(slot uint32, s *State, dst []byte, a Alert) []byte {
	if !s.Active() || s.is(outEnded) {
		return dst
	}
	if a != UserCanceled {
		s.flags |= outEnded
	}
	return c.appendRecord(slot, s, dst, alertRecord, a.Level(), byte(a))
}

// AppendKeyUpdate appends a KeyUpdate to dst, for which KeyUpdateLen bytes of capacity are enough, and goes on with the next key. ask requests one of the
// peer. It appends nothing to a connection that is not one of TLS 1.3, or after the last alert.
func (c *Ciphers) AppendKeyUpdate(slot uint32, s *State, dst []byte, ask bool) []byte {
	if s.version != 3 || s.is(outEnded) {
		return dst
	}
	request := byte(0)
	if ask {
		request = 1
	}
	dst = c.appendRecord(slot, s, dst, handshake, keyUpdate, 0, 0, 1, request)
	c.dropKey(slot, s, &s.out)
	s.nextKey(&s.out)
	s.flags &^= updateDue
	return dst
}

// appendRecord appends a short record.
func (c *Ciphers) appendRecord(slot uint32, s *State, dst []byte, kind byte, text ...byte) []byte {
	var room [MaxOverhead + 8]byte
	at := len(dst)
	dst = append(dst, room[:len(text)+s.Overhead()]...)
	copy(dst[at+s.Prefix():], text)
	c.seal(slot, s, dst[at:], len(text), kind)
	return dst
}
