package record

import "fmt"

// Alert is the description of a TLS alert (RFC 8446, section 6.2; RFC 5246, section 7.2.2).
type Alert uint8

// The alerts that matter after a handshake. The peer may send others.
const (
	CloseNotify       Alert = 0
	UnexpectedMessage Alert = 10
	BadRecordMAC      Alert = 20
	RecordOverflow    Alert = 22
	IllegalParameter  Alert = 47
	DecodeError       Alert = 50
	ProtocolVersion   Alert = 70
	InternalError     Alert = 80
	UserCanceled      Alert = 90
	NoRenegotiation   Alert = 100
)

var alertNames = map[Alert]string{
	CloseNotify: "close_notify", UnexpectedMessage: "unexpected_message", BadRecordMAC: "bad_record_mac", RecordOverflow: "record_overflow",
	IllegalParameter: "illegal_parameter", DecodeError: "decode_error", ProtocolVersion: "protocol_version", InternalError: "internal_error",
	UserCanceled: "user_canceled", NoRenegotiation: "no_renegotiation",
}

// String is the alert's name in the RFCs, or its number.
func (a Alert) String() string {
	if name := alertNames[a]; name != "" {
		return name
	}
	return fmt.Sprintf("alert %d", uint8(a))
}

// Levels of alerts.
const (
	warning = 1
	fatal   = 2
)

// Level is the level that an alert is sent with.
func (a Alert) Level() byte {
	if a == CloseNotify || a == UserCanceled || a == NoRenegotiation {
		return warning
	}
	return fatal
}

// Kind says what Open found.
type Kind uint8

// Kinds of Events.
const (
	EventNone      Kind = iota // a record without data: empty, a warning, a session ticket
	EventData                  // plaintext, at least a byte
	EventNeed                  // the record is incomplete
	EventKeyUpdate             // the peer has a new key now; it may have asked for one of ours, see State.KeyUpdateDue
	EventClosed                // the peer sent close_notify: it sends no more
	EventAlert                 // the peer sent an alert that ends the connection: nothing can be sent any more
	EventFatal                 // the record is wrong: an alert has to be sent, and the connection closed
	EventEnded                 // nothing was opened because the connection had ended before
)

// Event is what Open says beside the plaintext.
type Event struct {
	Kind  Kind
	Alert Alert // EventAlert: the peer's. EventFatal: to be sent
	Need  int   // EventNeed: how many bytes the buffer must have, from the beginning of the record: HeaderLen, then the whole record, at most MaxRecord
}
