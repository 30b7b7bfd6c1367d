package record

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// script is what a fuzz target reads its decisions from; at its end they are all 0.
type script []byte

func (s *script) next() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

// below is a number below n, which is at least 1.
func (s *script) below(n int) int { return (s.next()<<8 | s.next()) % n }

// sides are the two ends of a connection of a suite and a direction that the script chooses.
func (s *script) sides(t *testing.T) (from, to *State) {
	ids := slices.Concat(suites13, suites12)
	i := s.next()
	client, server := newStates(t, ids[i%len(ids)])
	if i/len(ids)%2 == 1 {
		return server, client
	}
	return client, server
}

// sent is a record as it was sealed.
type sent struct {
	bytes []byte
	plain string
	kind  Kind
}

// records are some that the script chooses, all of which are right.
func (s *script) records(t *testing.T, c *Ciphers, from *State) (list []sent) {
	t.Helper()
	for range 1 + s.next()%8 {
		kind := s.next() % 8
		switch {
		case kind == 0 && from.version == 3:
			list = append(list, sent{c.AppendKeyUpdate(0, from, nil, s.next()%2 == 1), "", EventKeyUpdate})
		case kind == 1 && from.version == 3 && !from.is(client):
			ticket := append([]byte{newSessionTicket, 0, 1, 0}, make([]byte, 256)...)
			cut := s.below(len(ticket)-1) + 1
			list = append(list, sent{sealKind(t, from, handshake, ticket[:cut]...), "", EventNone}, sent{sealKind(t, from, handshake, ticket[cut:]...), "", EventNone})
		case kind == 2:
			list = append(list, sent{sealKind(t, from, applicationData), "", EventNone})
		case kind == 3 && from.version == 3:
			inner := append([]byte{'x', applicationData}, make([]byte, s.below(MaxPlain))...)
			list = append(list, sent{sealRaw(t, from, applicationData, inner), "x", EventData})
		default:
			plain := bytes.Repeat([]byte{byte(s.next())}, 1+s.next())
			if kind == 4 {
				plain = bytes.Repeat(plain, MaxPlain/len(plain))
			}
			buf := make([]byte, len(plain)+from.Overhead())
			c.SealCopy(0, from, buf, plain)
			list = append(list, sent{buf, string(plain), EventData})
		}
	}
	return list
}

// tamper does to records what an attacker on the way can do.
func (s *script) tamper(list []sent) (stream []byte) {
	var records [][]byte
	for _, r := range list {
		records = append(records, slices.Clone(r.bytes))
	}
	for range s.next() % 6 {
		if len(records) == 0 {
			break
		}
		i, j := s.below(len(records)), s.below(len(records))
		if len(records[i]) == 0 {
			continue
		}
		switch s.next() % 8 {
		case 0: // a flipped bit
			bit := s.below(len(records[i]) * 8)
			records[i][bit/8] ^= 1 << (bit % 8)
		case 1: // replayed
			records = slices.Insert(records, j, slices.Clone(records[i]))
		case 2: // in another order
			records[i], records[j] = records[j], records[i]
		case 3: // lost
			records = slices.Delete(records, i, i+1)
		case 4: // truncated, whatever the header says
			records[i] = records[i][:s.below(len(records[i])+1)]
		case 5: // split in two, each with a header
			body := records[i]
			if len(body) < HeaderLen {
				break
			}
			cut := HeaderLen + s.below(len(body)-HeaderLen+1)
			second := binary.BigEndian.AppendUint16(slices.Clone(body[:3]), uint16(len(body)-cut))
			first := binary.BigEndian.AppendUint16(slices.Clone(body[:3]), uint16(cut-HeaderLen))
			records[i] = slices.Concat(first, body[HeaderLen:cut], second, body[cut:])
		case 6: // a header that says another length
			if len(records[i]) >= HeaderLen {
				binary.BigEndian.PutUint16(records[i][3:], uint16(s.below(1<<16)))
			}
		case 7: // something else
			foreign := []byte{byte(s.next()), byte(s.next()), byte(s.next()), byte(s.next()), byte(s.next())}
			records = slices.Insert(records, i, append(foreign, make([]byte, s.below(300))...))
		}
	}
	return slices.Concat(records...)
}

// wrong is what has to come of a record that is not the one that was sealed; ok is false if more has to arrive first.
func wrong(s *State, stream []byte) (a Alert, ok bool) {
	if len(stream) < HeaderLen {
		return 0, false
	}
	kind, length := stream[0], int(stream[3])<<8|int(stream[4])
	most := map[bool]int{true: 16384 + 256, false: 16384 + 16}[s.version == 3]
	if s.explicit() {
		most += 8
	}
	switch {
	case s.version == 3 && kind != 23, kind < 21, kind > 23:
		return UnexpectedMessage, true
	case s.version == 2 && (stream[1] != 3 || stream[2] != 3):
		return ProtocolVersion, true
	case length > most:
		return RecordOverflow, true
	}
	return BadRecordMAC, len(stream) >= HeaderLen+length
}

// FuzzRecords: of records that an attacker has tampered with, those before the first wrong one are opened, and that one ends the connection with the right
// alert, wherever what arrives is cut.
func FuzzRecords(f *testing.F) {
	for suite := range byte(12) {
		f.Add([]byte{suite, 5, 7, 1, 9, 7, 2, 200, 0, 1, 2, 7, 3, 3, 7, 3, 3, 2, 0, 2, 0, 0, suite, 0, 50, 1, 1, 0, 1, 3, 10, 20})
		f.Add([]byte{suite, 3, 0, 1, 1, 0, 9, 3, 0, 100, 4, 1, 0, 0})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := script(data)
		from, to := s.sides(t)
		c := New(2+s.next()%4, heapMemory)
		list := s.records(t, c, from)
		stream := s.tamper(list)
		rest, buf := stream, []byte(nil) // not arrived, arrived
		for at := 0; ; {
			plain, used, event := c.Open(1, to, buf)
			if event.Kind == EventNeed && len(rest) > 0 {
				if event.Need <= len(buf) || event.Need > MaxRecord {
					t.Fatalf("%d bytes are here, %d are wanted", len(buf), event.Need)
				}
				n := min(1+s.below(3000), len(rest))
				buf, rest = append(buf, rest[:n]...), rest[n:]
				continue
			}
			if at < len(list) && bytes.HasPrefix(stream, list[at].bytes) { // as it was sealed
				if event.Kind != list[at].kind || string(plain) != list[at].plain || used != len(list[at].bytes) {
					t.Fatalf("record %d: %+v, %d bytes, want %d and %d bytes", at, event, len(plain), list[at].kind, len(list[at].plain))
				}
				stream, buf = stream[used:], buf[used:]
				at++
				continue
			}
			alert, ok := wrong(to, stream)
			if plain != nil || used != 0 || ok && event != (Event{Kind: EventFatal, Alert: alert}) || !ok && event.Kind != EventNeed {
				t.Fatalf("a wrong record: %+v, want %v, %v", event, alert, ok)
			}
			if ok {
				endsFor(t, c, to, alert, stream)
			}
			return
		}
	})
}

// endsFor checks that after an error there is an alert and nothing else, neither in nor out.
func endsFor(t *testing.T, c *Ciphers, s *State, a Alert, stream []byte) {
	t.Helper()
	if plain, used, event := c.Open(1, s, slices.Clone(stream)); plain != nil || used != 0 || event.Kind != EventEnded {
		t.Fatalf("after the end: %+v", event)
	}
	if sealed := c.AppendAlert(1, s, nil, a); len(sealed) != s.Overhead()+2 {
		t.Fatalf("an alert of %d bytes", len(sealed))
	}
	if n := c.Seal(1, s, make([]byte, 100), 1); n != 0 || !s.Silent() {
		t.Fatalf("after the alert %d bytes were sealed", n)
	}
}

// FuzzContents: whatever a peer with the right keys seals, data is opened as it was and everything else is taken or ends the connection.
func FuzzContents(f *testing.F) {
	for suite := range byte(12) {
		f.Add([]byte{suite, handshake, 2, keyUpdate, 0, handshake, 3, 0, 1, 0, applicationData, 2, 'a', 'b', alertRecord, 2, 1, 0})
		f.Add([]byte{suite, handshake, 6, newSessionTicket, 0, 0, 2, 1, 2, applicationData, 0, alertRecord, 2, 2, 20})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := script(data)
		from, to := s.sides(t)
		c := New(4, heapMemory)
		for len(s) > 0 {
			kind, n := byte(s.next()), s.next()
			text := slices.Clone(s[:min(n, len(s))])
			s = s[len(text):]
			record := sealKind(t, from, kind, text...)
			plain, used, event := c.Open(1, to, record)
			switch event.Kind {
			case EventData:
				whole := string(plain) == string(text) && kind == applicationData
				if padded := to.version == 3 && kind == 0; !whole && !padded { // then the type is a byte of the text
					t.Fatalf("a record of type %d with %d bytes is opened as data", kind, len(text))
				}
			case EventKeyUpdate:
				from.nextKey(&from.out)
				from.out.cached = 0
			case EventNone:
			case EventFatal, EventAlert, EventClosed:
				if plain != nil || event.Kind == EventFatal && used != 0 {
					t.Fatalf("%+v with %d bytes", event, len(plain))
				}
				if _, used, event := c.Open(1, to, sealKind(t, from, applicationData, 'x')); used != 0 || event.Kind != EventEnded {
					t.Fatalf("after the end: %+v", event)
				}
				return
			default:
				t.Fatalf("%+v", event)
			}
			if used != len(record) {
				t.Fatalf("%d bytes of %d were used", used, len(record))
			}
		}
	})
}
