package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// answer renders the reply of a correct server to a get of those keys of p that have returns true for.
func answer(k *KeySpace, p *pending, has func(i int) bool) []byte {
	return answerIn(ProtocolText, k, p, has)
}

func answerIn(protocol string, k *KeySpace, p *pending, has func(i int) bool) (b []byte) {
	reply := func(op byte, key string, extras int, opaque uint32, value []byte) {
		b = append(b, 0x81, op, 0, byte(len(key)), byte(extras), 0, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(len(key)+extras+len(value)))
		b = binary.BigEndian.AppendUint32(b, opaque)
		b = append(append(append(b, 1, 2, 3, 4, 5, 6, 7, 8), make([]byte, extras)...), key...)
		b = append(b, value...)
	}
	if p.set {
		if protocol == ProtocolBinary {
			reply(opSet, "", 0, p.keys[0], nil)
			return b
		}
		return []byte(map[string]string{ProtocolText: "STORED\r\n", ProtocolMeta: "HD\r\n"}[protocol])
	}
	for i, key := range p.keys {
		value := k.AppendValue(nil, key)
		switch {
		case protocol == ProtocolText && has(i):
			b = fmt.Appendf(b, "VALUE %s 0 %d\r\n%s\r\n", k.key(key), k.size, value)
		case protocol == ProtocolMeta && has(i):
			b = fmt.Appendf(b, "VA %d\r\n%s\r\n", k.size, value)
		case protocol == ProtocolMeta:
			b = append(b, "EN\r\n"...)
		case protocol == ProtocolBinary && len(p.keys) > 1 && has(i):
			reply(opGetKQ, string(k.key(key)), 4, key, value)
		case protocol == ProtocolBinary && has(i):
			reply(opGet, "", 4, key, value)
		case protocol == ProtocolBinary && len(p.keys) == 1:
			reply(opGet, "", 0, key, []byte("Not found"))
			b[7] = 1
		}
	}
	if protocol == ProtocolText {
		b = append(b, "END\r\n"...)
	} else if protocol == ProtocolBinary && len(p.keys) > 1 {
		reply(opNoop, "", 0, 0, nil)
	}
	return b
}

// feedInPieces feeds the reply in pieces of at most n bytes and returns what came of it.
func feedInPieces(k *KeySpace, p *pending, reply []byte, n int) (used int, o outcome, done bool, err error) {
	return feedInPiecesIn(ProtocolText, k, p, reply, n)
}

func feedInPiecesIn(protocol string, k *KeySpace, p *pending, reply []byte, n int) (used int, o outcome, done bool, err error) {
	c := checker{d: newDialect(protocol, len(p.keys), k)}
	for used < len(reply) && !done && err == nil {
		var m int
		m, done, err = c.feed(reply[used:min(used+n, len(reply))], p)
		used += m
	}
	return used, c.take(), done, err
}

func TestRightRepliesInPiecesOfEverySize(t *testing.T) {
	for _, size := range []int{0, 1, 8, 30} {
		k := NewKeySpace(20, 5, size)
		for _, c := range []struct {
			name         string
			p            pending
			has          func(int) bool
			hits, misses int
		}{
			{"hit", pending{keys: []uint32{3}}, func(int) bool { return true }, 1, 0},
			{"miss", pending{keys: []uint32{3}}, func(int) bool { return false }, 0, 1},
			{"multiget", pending{keys: []uint32{3, 4, 5}}, func(int) bool { return true }, 3, 0},
			{"first and last miss", pending{keys: []uint32{3, 4, 5, 6}}, func(i int) bool { return i == 1 || i == 2 }, 2, 2},
			{"middle misses", pending{keys: []uint32{3, 4, 5}}, func(i int) bool { return i != 1 }, 2, 1},
			{"same key twice", pending{keys: []uint32{3, 3}}, func(int) bool { return true }, 2, 0},
			{"set", pending{set: true, keys: []uint32{3}}, nil, 0, 0},
		} {
			for _, protocol := range []string{ProtocolText, ProtocolMeta, ProtocolBinary} {
				if protocol == ProtocolMeta && len(c.p.keys) > 1 {
					continue
				}
				reply := answerIn(protocol, k, &c.p, c.has)
				for n := 1; n <= len(reply); n++ {
					used, o, done, err := feedInPiecesIn(protocol, k, &c.p, reply, n)
					if err != nil || !done || used != len(reply) || o.hits != c.hits || o.misses != c.misses || o.refused != "" {
						t.Fatalf("%s %s, value size %d, pieces of %d: used %d of %d, %+v, done %v, %v",
							protocol, c.name, size, n, used, len(reply), o, done, err)
					}
				}
			}
		}
	}
}

// TestEveryByteOfBinaryAndMetaReplies changes each byte of a right reply but those of the CAS number, which may be any.
func TestEveryByteOfBinaryAndMetaReplies(t *testing.T) {
	k := NewKeySpace(20, 5, 12)
	for _, protocol := range []string{ProtocolMeta, ProtocolBinary} {
		for _, p := range []pending{{keys: []uint32{3}}, {keys: []uint32{3, 4}}, {set: true, keys: []uint32{3}}} {
			if protocol == ProtocolMeta && len(p.keys) > 1 {
				continue
			}
			good := answerIn(protocol, k, &p, func(int) bool { return true })
			for at := range good {
				bad := bytes.Clone(good)
				bad[at] ^= 0x40
				_, o, done, err := feedInPiecesIn(protocol, k, &p, bad, 7)
				same := done && err == nil && o.refused == "" && o.misses == 0
				in, size := at, len(good) // its place in its header and value
				cas := false
				for protocol == ProtocolBinary && in >= 0 && size > 0 { // of which header
					one := binaryHeader + int(binary.BigEndian.Uint32(good[len(good)-size+8:]))
					if in < one {
						cas = in >= 16 && in < binaryHeader
						break
					}
					in, size = in-one, size-one
				}
				if same != cas {
					t.Errorf("%s: byte %d of % x is another: done %v, %+v, %v", protocol, at, good, done, o, err)
				}
			}
		}
	}
}

func TestReplyLeavesTheNextOneAlone(t *testing.T) {
	k := NewKeySpace(5, 3, 4)
	p := pending{keys: []uint32{1}}
	reply := answer(k, &p, func(int) bool { return true })
	used, _, done, err := feedInPieces(k, &p, append(bytes.Clone(reply), reply...), 1000)
	if used != len(reply) || !done || err != nil {
		t.Fatalf("used %d of %d, done %v, %v", used, len(reply), done, err)
	}
}

func TestErrorRepliesEndTheRequest(t *testing.T) {
	k := NewKeySpace(5, 3, 4)
	for _, line := range []string{"SERVER_ERROR out of memory storing object", "CLIENT_ERROR bad data chunk", "ERROR"} {
		for _, set := range []bool{true, false} {
			p := pending{set: set, keys: []uint32{1}}
			for n := 1; n < 50; n++ {
				_, o, done, err := feedInPieces(k, &p, []byte(line+"\r\n"), n)
				if err != nil || !done || !strings.Contains(o.refused, line) {
					t.Fatalf("%s: %+v, done %v, %v", line, o, done, err)
				}
			}
		}
	}
}

func TestWrongRepliesInPiecesOfEverySize(t *testing.T) {
	k := NewKeySpace(20, 5, 12)
	get := pending{keys: []uint32{3, 4}}
	set := pending{set: true, keys: []uint32{3}}
	good := string(answer(k, &get, func(int) bool { return true }))
	value := string(k.AppendValue(nil, 3))
	change := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for _, c := range []struct {
		name  string
		p     *pending
		reply string
		says  string
	}{
		{"value", &get, change(value, value[:6]+"!"+value[7:]), "differs at byte 6"},
		{"another key's value", &get, change(value, string(k.AppendValue(nil, 4))), "differs"},
		{"foreign key", &get, change("k0003", "k0009"), `"VALUE k0009 0 12", where "VALUE k0003 0 12`},
		{"keys out of order", &get, string(answer(k, &pending{keys: []uint32{4, 3}}, func(int) bool { return true })), `"VALUE k0003 0 12", where the end is due`},
		{"key twice", &get, string(answer(k, &pending{keys: []uint32{3, 3}}, func(int) bool { return true })), `"VALUE k0003 0 12", where "VALUE k0004`},
		{"flags", &get, change(" 0 12", " 1 12"), `"VALUE k0003 1 12", where "VALUE k0003 0 12`},
		{"length", &get, change(" 0 12", " 0 11"), `"VALUE k0003 0 11", where "VALUE k0003 0 12`},
		{"cas that was not asked for", &get, change(" 0 12", " 0 12 7"), `"VALUE k0003 0 12 7", where "VALUE k0003 0 12`},
		{"value too long", &get, change(value, value+"x"), "line end"},
		{"no line end", &get, change("12\r\n", "12\n"), "does not end in"},
		{"endless line", &get, strings.Repeat("x", 3000), "no line end"},
		{"reply to a set", &get, "STORED\r\n", "unexpected"},
		{"END to a set", &set, "END\r\n", "unexpected"},
		{"not stored", &set, "NOT_STORED\r\n", "unexpected"},
		{"empty line", &get, "\r\n", "unexpected"},
	} {
		for n := 1; n <= len(c.reply); n++ {
			_, _, _, err := feedInPieces(k, c.p, []byte(c.reply), n)
			var wrong *WrongReply
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%s, pieces of %d: %v, want %q", c.name, n, err, c.says)
			}
		}
	}
}

// FuzzChecker feeds bytes whole and one by one: both must come to the same end.
func FuzzChecker(f *testing.F) {
	k := NewKeySpace(20, 5, 12)
	protocols := []string{ProtocolText, ProtocolMeta, ProtocolBinary}
	for i, protocol := range protocols {
		for _, p := range []pending{{keys: []uint32{3}}, {keys: []uint32{3, 4}}, {set: true, keys: []uint32{3}}} {
			f.Add(answerIn(protocol, k, &p, func(int) bool { return true }), !p.set, len(p.keys) > 1, uint8(i))
			f.Add(answerIn(protocol, k, &p, func(i int) bool { return i > 0 }), !p.set, len(p.keys) > 1, uint8(i))
		}
	}
	f.Add([]byte("SERVER_ERROR x\r\n"), true, true, uint8(0))
	f.Fuzz(func(t *testing.T, reply []byte, get, two bool, which uint8) {
		protocol := protocols[int(which)%len(protocols)]
		p := pending{set: !get, keys: []uint32{3, 4}}
		if !get || !two || protocol == ProtocolMeta {
			p.keys = p.keys[:1]
		}
		used, o, done, err := feedInPiecesIn(protocol, k, &p, reply, max(len(reply), 1))
		used1, o1, done1, err1 := feedInPiecesIn(protocol, k, &p, reply, 1)
		if (err == nil) != (err1 == nil) {
			t.Fatalf("whole: %v; by bytes: %v", err, err1)
		}
		if err == nil && (used != used1 || o != o1 || done != done1) {
			t.Fatalf("whole: %d %+v %v; by bytes: %d %+v %v", used, o, done, used1, o1, done1)
		}
	})
}
