package record

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"testing"
)

// sealRaw seals inner, as it is, as the next record of s with a header of that type: in TLS 1.3 inner has the type and the padding, in TLS 1.2 it is the plaintext.
func sealRaw(t testing.TB, s *State, kind byte, inner []byte) []byte {
	t.Helper()
	aead, err := newAEAD(s.suite, s.out.key[:s.suite.keyLen()])
	if err != nil {
		t.Fatal(err)
	}
	var nonce [ivLen]byte
	s.setNonce(&nonce, &s.out)
	record := []byte{kind, 3, 3, 0, 0}
	if s.explicit() {
		record = binary.BigEndian.AppendUint64(record, s.out.seq)
	}
	binary.BigEndian.PutUint16(record[3:], uint16(len(record)-HeaderLen+len(inner)+tagLen))
	extra := record[:HeaderLen]
	if s.version == 2 {
		var e [13]byte
		extra = s.setExtra(&e, &s.out, kind, len(inner))
	}
	s.out.seq++
	return aead.Seal(record, nonce[:], inner, slices.Clone(extra))
}

// sealKind seals text as a record of any type.
func sealKind(t testing.TB, s *State, kind byte, text ...byte) []byte {
	t.Helper()
	if s.version == 3 {
		return sealRaw(t, s, applicationData, append(slices.Clone(text), kind))
	}
	return sealRaw(t, s, kind, text)
}

// sealData seals text as data.
func sealData(t testing.TB, s *State, text string) []byte {
	t.Helper()
	return sealKind(t, s, applicationData, []byte(text)...)
}

// zeroes are n of them.
func zeroes(n int) []byte { return make([]byte, n) }

// wrongRecords are records that end a connection, by the version that they are of (0: both), and by the side that receives them (0: both).
var wrongRecords = []struct {
	name    string
	version uint8
	side    byte // 'c' or 's'
	make    func(t *testing.T, from *State) []byte
	want    Alert
}{
	{"a flipped bit", 0, 0, func(t *testing.T, from *State) []byte {
		r := sealData(t, from, "data")
		r[len(r)-1] ^= 1
		return r
	}, BadRecordMAC},
	{"another record's number", 0, 0, func(t *testing.T, from *State) []byte {
		from.out.seq++
		return sealData(t, from, "data")
	}, BadRecordMAC},
	{"too short for a tag", 0, 0, func(*testing.T, *State) []byte { return append([]byte{applicationData, 3, 3, 0, 15}, zeroes(15)...) }, BadRecordMAC},
	{"too short for anything", 0, 0, func(*testing.T, *State) []byte { return []byte{applicationData, 3, 3, 0, 0} }, BadRecordMAC},
	{"no tag behind the nonce", 2, 0, func(*testing.T, *State) []byte { return append([]byte{applicationData, 3, 3, 0, 10}, zeroes(10)...) }, BadRecordMAC},
	{"another version", 3, 0, func(t *testing.T, from *State) []byte {
		r := sealData(t, from, "data")
		r[2] = 1
		return r
	}, BadRecordMAC},
	{"another version", 2, 0, func(t *testing.T, from *State) []byte {
		r := sealData(t, from, "data")
		r[2] = 1
		return r
	}, ProtocolVersion},
	{"another version, of which only the header is here", 2, 0, func(*testing.T, *State) []byte { return []byte{applicationData, 3, 1, 0, 100} }, ProtocolVersion},
	{"an alert that is not encrypted", 3, 0, func(*testing.T, *State) []byte { return []byte{alertRecord, 3, 3, 0, 2, fatal, 80} }, UnexpectedMessage},
	{"an alert that is not encrypted", 2, 0, func(*testing.T, *State) []byte { return []byte{alertRecord, 3, 3, 0, 2, fatal, 80} }, BadRecordMAC},
	{"a change_cipher_spec", 0, 0, func(*testing.T, *State) []byte { return []byte{changeCipherSpec, 3, 3, 0, 1, 1} }, UnexpectedMessage},
	{"an encrypted change_cipher_spec", 0, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, changeCipherSpec, 1) }, UnexpectedMessage},
	{"an unknown type", 0, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, 24, 1, 1) }, UnexpectedMessage},
	{"a request in plain text", 0, 0, func(*testing.T, *State) []byte { return []byte("get a\r\n") }, UnexpectedMessage},
	{"longer than allowed", 3, 0, func(*testing.T, *State) []byte { return []byte{applicationData, 3, 3, 0x41, 0x01} }, RecordOverflow},
	{"longer than a whole record can be", 2, 0, func(*testing.T, *State) []byte { return []byte{applicationData, 3, 3, 0x40, 0x19} }, RecordOverflow},
	{"padding beyond the limit", 3, 0, func(t *testing.T, from *State) []byte {
		return sealRaw(t, from, applicationData, append([]byte{1, applicationData}, zeroes(MaxPlain)...))
	}, RecordOverflow},
	{"plaintext beyond the limit", 3, 0, func(t *testing.T, from *State) []byte {
		return sealRaw(t, from, applicationData, append(zeroes(MaxPlain+1), applicationData))
	}, RecordOverflow},
	{"nothing but padding", 3, 0, func(t *testing.T, from *State) []byte { return sealRaw(t, from, applicationData, zeroes(100)) }, UnexpectedMessage},
	{"nothing", 3, 0, func(t *testing.T, from *State) []byte { return sealRaw(t, from, applicationData, nil) }, UnexpectedMessage},
	{"an empty alert", 0, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, alertRecord) }, UnexpectedMessage},
	{"half an alert", 0, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, alertRecord, fatal) }, DecodeError},
	{"two alerts", 0, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, alertRecord, 1, 90, 1, 0) }, DecodeError},
	{"an alert of no level", 2, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, alertRecord, 3, 80) }, IllegalParameter},
	{"an empty message", 0, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake) }, UnexpectedMessage},
	{"a KeyUpdate", 2, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, keyUpdate, 0, 0, 1, 0) }, UnexpectedMessage},
	{"a KeyUpdate of two bytes", 3, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, keyUpdate, 0, 0, 2, 0, 0) }, DecodeError},
	{"a KeyUpdate of none", 3, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, keyUpdate, 0, 0, 0) }, DecodeError},
	{"a KeyUpdate that asks for 2", 3, 0, func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, keyUpdate, 0, 0, 1, 2) }, IllegalParameter},
	{"a message behind a KeyUpdate", 3, 0, func(t *testing.T, from *State) []byte {
		return sealKind(t, from, handshake, keyUpdate, 0, 0, 1, 0, keyUpdate, 0, 0, 1, 0)
	}, UnexpectedMessage},
	{"a session ticket", 3, 's', func(t *testing.T, from *State) []byte {
		return sealKind(t, from, handshake, newSessionTicket, 0, 0, 1, 0)
	}, UnexpectedMessage},
	{"a huge session ticket", 3, 'c', func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, newSessionTicket, 1, 0, 0) }, DecodeError},
	{"a CertificateRequest", 3, 'c', func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, 13, 0, 0, 3, 0, 0, 0) }, UnexpectedMessage},
	{"a ClientHello", 0, 's', func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, 1, 0, 0, 40) }, UnexpectedMessage},
	{"a HelloRequest", 2, 'c', func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, helloRequest, 0, 0, 0) }, NoRenegotiation},
	{"a HelloRequest", 3, 'c', func(t *testing.T, from *State) []byte { return sealKind(t, from, handshake, helloRequest, 0, 0, 0) }, UnexpectedMessage},
	{"data within a message", 3, 0, func(t *testing.T, from *State) []byte {
		return append(sealKind(t, from, handshake, keyUpdate, 0), sealData(t, from, "data")...)
	}, UnexpectedMessage},
	{"an alert within a message", 3, 0, func(t *testing.T, from *State) []byte {
		return append(sealKind(t, from, handshake, keyUpdate, 0), sealKind(t, from, alertRecord, warning, 0)...)
	}, UnexpectedMessage},
	{"seventeen empty records", 0, 0, func(t *testing.T, from *State) (r []byte) {
		for range uselessMax + 1 {
			r = append(r, sealKind(t, from, applicationData)...)
		}
		return r
	}, UnexpectedMessage},
	{"seventeen KeyUpdates", 3, 0, func(t *testing.T, from *State) (r []byte) {
		for range uselessMax + 1 {
			r = New(2, heapMemory).AppendKeyUpdate(0, from, r, true)
		}
		return r
	}, UnexpectedMessage},
}

// TestWrongRecords: each ends the connection with the alert that the RFCs name, and the next is not opened, nor is the State busy with anything else.
func TestWrongRecords(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		for _, w := range wrongRecords {
			if w.version != 0 && w.version != client.version {
				continue
			}
			for side, ends := range map[byte][2]*State{'s': {client, server}, 'c': {server, client}} {
				if w.side != 0 && w.side != side || w.name == "no tag behind the nonce" && !client.explicit() {
					continue
				}
				from, to := *ends[0], *ends[1] // copies: the connection of every case is a new one
				c := New(4, heapMemory)
				buf := w.make(t, &from)
				buf = append(buf, sealData(t, &from, "never opened")...)
				if got := openUntilEnd(t, c, &to, buf); got != (Event{Kind: EventFatal, Alert: w.want}) {
					t.Errorf("%s, by %c: %+v, want %v", w.name, side, got, w.want)
				}
				if _, used, event := c.Open(0, &to, buf); used != 0 || event.Kind != EventEnded || !to.Ended() || to.Silent() {
					t.Errorf("%s, by %c: afterwards %+v", w.name, side, event)
				}
			}
		}
	})
}

// openUntilEnd opens records that have no data until one ends the connection.
func openUntilEnd(t *testing.T, c *Ciphers, to *State, buf []byte) Event {
	t.Helper()
	for {
		plain, used, event := c.Open(0, to, buf)
		if len(plain) > 0 {
			t.Fatalf("%q was opened", plain)
		}
		if event.Kind != EventNone && event.Kind != EventKeyUpdate {
			if used != 0 && event.Kind == EventFatal {
				t.Fatal("a wrong record was used")
			}
			return event
		}
		buf = buf[used:]
	}
}

// TestEveryFlippedBit: of a record with every bit flipped, one after the other, none is opened.
func TestEveryFlippedBit(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(4, heapMemory)
		record := sealData(t, client, "get somebody\r\n")
		for bit := range len(record) * 8 {
			to, r := *server, slices.Clone(record)
			r[bit/8] ^= 1 << (bit % 8)
			plain, used, event := c.Open(0, &to, r)
			want := BadRecordMAC
			switch longer := bit/8 == 3 || bit/8 == 4; {
			case longer && event.Kind == EventNeed && event.Need > len(r):
				continue
			case longer && event.Alert == RecordOverflow:
				continue
			case bit/8 == 0 && (client.version == 3 || r[0] != alertRecord && r[0] != handshake):
				want = UnexpectedMessage
			case client.version == 2 && (bit/8 == 1 || bit/8 == 2):
				want = ProtocolVersion
			}
			if event != (Event{Kind: EventFatal, Alert: want}) || len(plain) != 0 || used != 0 {
				t.Errorf("bit %d: %+v, want %v", bit, event, want)
			}
		}
		if plain, _, event := c.Open(0, server, record); event.Kind != EventData || string(plain) != "get somebody\r\n" {
			t.Errorf("without a flipped bit: %+v", event)
		}
	})
}

// TestNeed: a record is opened when all of it is here, and before that says how long it is.
func TestNeed(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(4, heapMemory)
		record := sealKind(t, client, applicationData, bytes.Repeat([]byte{1}, 1000)...)
		for n := range record {
			want := HeaderLen
			if n >= HeaderLen {
				want = len(record)
			}
			if plain, used, event := c.Open(0, server, record[:n]); plain != nil || used != 0 || event != (Event{Kind: EventNeed, Need: want}) {
				t.Fatalf("%d bytes: %+v, want %d", n, event, want)
			}
		}
		if plain, used, event := c.Open(0, server, append(record, "more"...)); len(plain) != 1000 || used != len(record) || event.Kind != EventData {
			t.Fatalf("%+v", event)
		}
	})
}

// TestPadding: padding is not data (TLS 1.3), up to the limit.
func TestPadding(t *testing.T) {
	for _, id := range suites13 {
		client, server := newStates(t, id)
		c := New(4, heapMemory)
		for _, n := range []int{0, 1, 100, MaxPlain - 4} {
			record := sealRaw(t, client, applicationData, append([]byte{'d', 0, 't', 'a', applicationData}, zeroes(n)...))
			if plain, _, event := c.Open(0, server, record); string(plain) != "d\x00ta" || event.Kind != EventData {
				t.Errorf("%s, %d bytes of padding: %q, %+v", tls.CipherSuiteName(id), n, plain, event)
			}
		}
	}
}

// TestInPlace: the data is where the record was, behind its header.
func TestInPlace(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		record := sealData(t, client, "data")
		plain, _, _ := New(4, heapMemory).Open(0, server, record)
		if &plain[0] != &record[client.Prefix()] {
			t.Error("the data is elsewhere")
		}
	})
}
