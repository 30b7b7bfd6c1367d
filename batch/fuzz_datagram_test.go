package batch

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"ringcached/internal/contract"
	"ringcached/ring"
)

// FuzzDatagramReply makes a reply of parts, written or referenced, as long as the fuzzer says, and puts together what leaves: as few
// datagrams as can be, each with its number and how many there are, all full but the last. A hundred parts are enough: megabytes at a
// time make a fuzzer slow.
func FuzzDatagramReply(f *testing.F) {
	const payload = contract.DatagramSize - contract.DatagramHead
	for _, lengths := range [][]uint16{
		{}, {1}, {payload - 1}, {payload}, {payload + 1}, {2 * payload}, {2*payload - 1, 1, 1}, {5, 60_000, 2, 1390, 7}, {65_535, 65_535, 65_535},
	} {
		var parts []byte
		for i, n := range lengths {
			parts = append(parts, byte(i%2))
			parts = binary.BigEndian.AppendUint16(parts, n)
		}
		f.Add(parts)
	}
	f.Add(bytes.Repeat([]byte("\x01\x00\x01\x00\x00\x01"), 50))
	f.Fuzz(func(t *testing.T, parts []byte) {
		out, err := newOutput(testAccount(), batchLimit)
		if err != nil {
			t.Fatal(err)
		}
		defer out.close()
		memory, err := ring.Map(1 << 16)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ring.Unmap(memory) }()
		copy(memory, pattern(len(memory)))
		wire := &wireEngine{}
		ch := &channel{handler: &lines{}, engine: wire, out: out}
		ch.guest = conn{slot: guest, fd: -1, reply: -1}
		w := ch.writerTo(&ch.guest)
		want := replyOf(w, memory, parts[:min(len(parts), 300)])
		if ch.guest.reply < 0 {
			return
		}
		d := datagram{reply: ch.guest.reply, socket: 7}
		copy(d.head[:], "id")
		out.datagrams = append(out.datagrams, d)
		ch.flushDatagrams(out)
		checkDatagrams(t, wire.sent, want)
	})
}

// TestDatagramReplyTooLong: what would take more datagrams than can be numbered is not sent at all.
func TestDatagramReplyTooLong(t *testing.T) {
	out, err := newOutput(testAccount(), batchLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	memory, err := ring.Map(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ring.Unmap(memory) }()
	wire := &wireEngine{}
	ch := &channel{handler: &lines{}, engine: wire, out: out}
	ch.guest = conn{slot: guest, fd: -1, reply: -1}
	w := ch.writerTo(&ch.guest)
	for n := 0; n <= (contract.DatagramSize-contract.DatagramHead)<<16; n += len(memory) {
		w.Reference(memory, 0)
	}
	out.datagrams = append(out.datagrams, datagram{reply: ch.guest.reply, socket: 7})
	ch.flushDatagrams(out)
	if n := ch.stats.datagramsDropped.Load(); len(wire.sent) > 0 || n != 1 {
		t.Errorf("%d datagrams left, %d dropped", len(wire.sent), n)
	}
}

// replyOf writes a reply: of each three bytes the first says whether the part is referenced, the others how long it is.
func replyOf(out contract.Replies, memory, parts []byte) (reply []byte) {
	for ; len(parts) >= 3; parts = parts[3:] {
		n := int(binary.BigEndian.Uint16(parts[1:]))
		p := memory[len(parts)%251:]
		if p = p[:min(n, len(p))]; parts[0]&1 == 1 && len(p) > 0 {
			out.Reference(p, 0)
		} else {
			p = p[:min(n, contract.ReserveMax)]
			out.Commit(copy(out.Reserve(len(p))[:len(p)], p))
		}
		reply = append(reply, p...)
	}
	return reply
}

// checkDatagrams puts a reply's datagrams together.
func checkDatagrams(t *testing.T, sent [][]byte, want []byte) {
	t.Helper()
	var got []byte
	for i, b := range sent {
		last := i == len(sent)-1
		if len(b) <= contract.DatagramHead || len(b) > contract.DatagramSize || !last && len(b) != contract.DatagramSize {
			t.Fatalf("datagram %d of %d has %d bytes", i, len(sent), len(b))
		}
		if string(b[:2]) != "id" || binary.BigEndian.Uint16(b[2:]) != uint16(i) || binary.BigEndian.Uint16(b[4:]) != uint16(len(sent)) {
			t.Fatalf("datagram %d of %d has the head %x", i, len(sent), b[:contract.DatagramHead])
		}
		got = append(got, b[contract.DatagramHead:]...)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d datagrams bring %d bytes, and another reply than the %d bytes written", len(sent), len(got), len(want))
	}
}

// wireEngine keeps what is sent in datagrams. It does nothing else.
type wireEngine struct {
	engine
	sent    [][]byte
	sockets []int32 // by which each was sent
}

func (e *wireEngine) sendDatagrams(socket int32, msgs []mmsghdr) {
	for i := range msgs {
		e.sockets = append(e.sockets, socket)
		var b []byte
		for _, v := range unsafe.Slice((*iovec)(unsafe.Pointer(pointer(msgs[i].iov))), msgs[i].iovlen) {
			b = append(b, unsafe.Slice(pointer(v.base), v.len)...)
		}
		if msgs[i].iovlen > maxSegments {
			panic("more segments than sendmsg takes")
		}
		e.sent = append(e.sent, b)
	}
}
