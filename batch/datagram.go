package batch

import (
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/ring"
)

const (
	// datagramBuffer holds any UDP payload. Only what a request fills of it is touched.
	datagramBuffer = 64 << 10
	// datagramName holds the largest address: struct sockaddr_in6.
	datagramName = 28
	// datagramsAtOnce is how many requests one system call brings at most.
	datagramsAtOnce = 16
	// framesAtOnce is how many datagrams, of one reply or of several, are handed to the engine at once.
	framesAtOnce = 64
	// guest stands in reply.conn for the sender of a datagram, which is no connection.
	guest = ^uint32(0)
)

// datagram is a reply that leaves in datagrams, and where it goes.
type datagram struct {
	reply   int32
	socket  int32 // descriptor
	name    unsafe.Pointer
	nameLen uint32
	head    [contract.DatagramHead]byte // of the request
}

// mmsghdr is the kernel's structure for one of several messages.
type mmsghdr struct {
	msghdr
	sent uint32
	_    uint32
}

// datagramReceived handles a request that came on a UDP socket from the given address.
func (ch *channel) datagramReceived(socket int32, from, in []byte) {
	ch.stats.receives++
	ch.stats.bytesRead += uint64(len(in))
	if ch.out.spent() || len(in) < contract.DatagramHead {
		ch.stats.datagramsDropped.Add(1)
		return
	}
	out := ch.out
	ch.guest = conn{slot: guest, fd: -1, reply: -1}
	ch.handler.Datagram(in, ch.writerTo(&ch.guest))
	if ch.guest.reply < 0 {
		return
	}
	d := datagram{reply: ch.guest.reply, socket: socket, name: out.scratch(len(from)), nameLen: uint32(len(from))}
	if d.name == nil || out.replies[d.reply].failed {
		ch.stats.datagramsDropped.Add(1)
		ch.stats.bytesWritten -= uint64(out.replies[d.reply].bytes)
		return
	}
	copy(unsafe.Slice((*byte)(d.name), len(from)), from)
	copy(d.head[:], in)
	out.datagrams = append(out.datagrams, d)
}

// flushDatagrams sends the replies to datagrams. Like the other replies they have been
// sent, or are lost, when the engine settles the flush.
func (ch *channel) flushDatagrams(out *Output) {
	var socket int32
	var msgs []mmsghdr // to leave by it, in scratch memory
	for i := range out.datagrams {
		d := &out.datagrams[i]
		r := &out.replies[d.reply]
		const payload = contract.DatagramSize - contract.DatagramHead
		total := (r.bytes + payload - 1) / payload
		if total > 1<<16-1 {
			ch.stats.datagramsDropped.Add(1)
			ch.stats.bytesWritten -= uint64(r.bytes)
			continue
		}
		ch.cut = cutter{out: out, next: r.first, parts: ch.cut.parts}
		for seq := range total {
			if len(msgs) == cap(msgs) || d.socket != socket {
				ch.engine.sendDatagrams(socket, msgs)
				socket, msgs = d.socket, out.messages(framesAtOnce)
			}
			message, ok := ch.frame(out, d, seq, total)
			if !ok || cap(msgs) == 0 { // there is no memory for it
				ch.stats.datagramsDropped.Add(1)
				ch.stats.bytesWritten -= uint64(r.bytes - seq*payload)
				break
			}
			msgs = append(msgs, mmsghdr{msghdr: message})
		}
	}
	ch.engine.sendDatagrams(socket, msgs)
}

// messages returns scratch memory for n messages, of which there are none yet; nil: there is no memory.
func (o *Output) messages(n int) []mmsghdr {
	if memory := o.scratch(n * int(unsafe.Sizeof(mmsghdr{}))); memory != nil {
		return unsafe.Slice((*mmsghdr)(memory), n)[:0]
	}
	return nil
}

// frame makes one datagram: a head and the next part of the reply. It reports false where there is no memory for it.
func (ch *channel) frame(out *Output, d *datagram, seq, total int) (m msghdr, ok bool) {
	head := out.scratch(contract.DatagramHead)
	parts := ch.cut.take(contract.DatagramSize - contract.DatagramHead)
	names := (*iovec)(out.scratch((1 + len(parts)) * int(unsafe.Sizeof(iovec{}))))
	if head == nil || names == nil {
		return m, false
	}
	ch.handler.Frame(unsafe.Slice((*byte)(head), contract.DatagramHead), d.head[:], seq, total)
	vec := unsafe.Slice(names, 1+len(parts))
	vec[0] = iovec{uintptr(head), contract.DatagramHead}
	copy(vec[1:], parts)
	return msghdr{name: uintptr(d.name), namelen: uint64(d.nameLen), iov: uintptr(unsafe.Pointer(&vec[0])), iovlen: uint64(len(vec))}, true
}

// cutter takes a reply's segments apart.
type cutter struct {
	out   *Output
	next  int32
	off   int
	parts []iovec
}

// take returns the next n bytes, or as many as there are, as iovecs that are valid
// until the next take.
func (c *cutter) take(n int) []iovec {
	c.parts = c.parts[:0]
	for n > 0 && c.next >= 0 {
		s := &c.out.segments[c.next]
		k := min(n, s.len-c.off)
		if k > 0 {
			c.parts = append(c.parts, iovec{s.addr + uintptr(c.off), k})
		}
		n -= k
		if c.off += k; c.off == s.len {
			c.next, c.off = s.next, 0
		}
	}
	return c.parts
}

// payload is how many bytes of the reply the message carries: all but the head, which is
// not counted as written.
func (m *mmsghdr) payload() (n int) {
	for _, v := range unsafe.Slice((*iovec)(unsafe.Pointer(pointer(m.iov))), m.iovlen)[1:] {
		n += v.len
	}
	return n
}

// datagramSlots is the memory for receiving messages with their addresses, each into a
// buffer of its own.
type datagramSlots struct {
	mem  []byte
	msgs []mmsghdr
}

// slotSize: iovec, address and payload of one message.
const slotSize = 16 + 32 + datagramBuffer

func newDatagramSlots(n int) (s datagramSlots, err error) {
	hdrs := n * int(unsafe.Sizeof(mmsghdr{}))
	if s.mem, err = ring.Map(hdrs + n*slotSize); err != nil {
		return s, err
	}
	s.msgs = unsafe.Slice((*mmsghdr)(unsafe.Pointer(&s.mem[0])), n)
	for i := range s.msgs {
		slot := unsafe.Pointer(&s.mem[hdrs+i*slotSize])
		*(*iovec)(slot) = iovec{uintptr(slot) + 48, datagramBuffer}
		s.msgs[i].iov, s.msgs[i].iovlen = uintptr(slot), 1
		s.reset(i)
	}
	return s, nil
}

// reset prepares slot i for the next message.
func (s *datagramSlots) reset(i int) {
	m := &s.msgs[i]
	m.name, m.namelen, m.flags, m.sent = m.iov+16, datagramName, 0, 0
}

// message returns the address and the first n bytes of the message in slot i, and
// whether it is whole.
func (s *datagramSlots) message(i, n int) (from, in []byte, whole bool) {
	m := &s.msgs[i]
	from = unsafe.Slice(pointer(m.name), min(m.namelen, datagramName))
	return from, unsafe.Slice(pointer(m.iov+48), n), m.flags&unix.MSG_TRUNC == 0
}

func (s *datagramSlots) close() {
	if s.mem != nil {
		_ = ring.Unmap(s.mem)
	}
	*s = datagramSlots{}
}
