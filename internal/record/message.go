package record

// Types of handshake messages.
const (
	helloRequest     = 0
	newSessionTicket = 4
	keyUpdate        = 24
)

// other handles a record that is not data.
func (c *Ciphers) other(slot uint32, s *State, kind byte, text []byte) Event {
	if kind != handshake && s.messageHave > 0 { // a message is not interleaved with anything (RFC 8446, section 5.1)
		return s.fail(UnexpectedMessage)
	}
	if s.useless++; s.useless > uselessMax {
		return s.fail(UnexpectedMessage)
	}
	switch kind {
	case applicationData: // empty
		return Event{}
	case alertRecord:
		return s.alert(text)
	case handshake:
		if len(text) == 0 {
			return s.fail(UnexpectedMessage)
		}
		return c.messages(slot, s, text)
	}
	return s.fail(UnexpectedMessage)
}

// alert handles an alert of the peer.
func (s *State) alert(text []byte) Event {
	if len(text) == 0 {
		return s.fail(UnexpectedMessage) // RFC 8446, section 5.1
	}
	if len(text) != 2 {
		return s.fail(DecodeError)
	}
	level, a := text[0], Alert(text[1])
	switch {
	case a == CloseNotify:
		s.flags |= inEnded
		return Event{Kind: EventClosed}
	case s.version == 3 && a == UserCanceled, s.version == 2 && level == warning: // TLS 1.3 has no other warnings: section 6
		return Event{}
	case s.version == 2 && level != fatal:
		return s.fail(IllegalParameter)
	}
	s.flags |= inEnded | outEnded
	return Event{Kind: EventAlert, Alert: a}
}

// messages handles the handshake messages in text, which may begin and end within one.
func (c *Ciphers) messages(slot uint32, s *State, text []byte) (event Event) {
	for len(text) > 0 {
		if s.messageHave < 4 {
			if a, wrong := s.header(text[0]); wrong {
				return s.fail(a)
			}
			text = text[1:]
			if s.messageHave < 4 || s.messageLeft > 0 {
				continue
			}
			s.messageHave = 0 // an empty ticket is none of our concern
			continue
		}
		n := min(int(s.messageLeft), len(text))
		if s.message == keyUpdate {
			if len(text) > 1 { // the next record has another key
				return s.fail(UnexpectedMessage)
			}
			if text[0] > 1 {
				return s.fail(IllegalParameter)
			}
			c.updateIn(slot, s, text[0] == 1)
			event.Kind = EventKeyUpdate
		}
		text = text[n:]
		if s.messageLeft -= uint16(n); s.messageLeft == 0 {
			s.messageHave = 0
		}
	}
	return event
}

// header takes the next byte of a message's header: type and length.
func (s *State) header(b byte) (a Alert, wrong bool) {
	s.messageHave++
	switch s.messageHave {
	case 1:
		s.message, s.messageLeft = b, 0
		switch {
		case s.version == 3 && b == keyUpdate, s.version == 3 && b == newSessionTicket && s.is(client):
			return 0, false
		case s.version == 2 && b == helloRequest && s.is(client):
			return NoRenegotiation, true
		}
		return UnexpectedMessage, true
	case 2:
		return DecodeError, b != 0 // 64 KiB and more
	}
	s.messageLeft = s.messageLeft<<8 | uint16(b)
	return DecodeError, s.messageHave == 4 && s.message == keyUpdate && s.messageLeft != 1
}

// updateIn goes on with the peer's next key.
func (c *Ciphers) updateIn(slot uint32, s *State, asked bool) {
	c.dropKey(slot, s, &s.in)
	s.nextKey(&s.in)
	if asked {
		s.flags |= updateDue
	}
}
