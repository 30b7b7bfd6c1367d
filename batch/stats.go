package batch

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

// histogramSize: bucket i counts values from 2^(i-1)+1 to 2^i; bucket 0 counts 0 and 1.
const histogramSize = 24

// Histogram counts values by powers of two: bucket i holds those above 2^(i-1) and up
// to 2^i, bucket 0 those up to 1, the last one everything larger.
type Histogram [histogramSize]uint64

func bucket(n uint32) int {
	if n <= 1 {
		return 0
	}
	return min(bits.Len32(n-1), histogramSize-1)
}

// Stats are a server's counts since start or since ResetStats, over all channels. What
// says "now" is not reset.
type Stats struct {
	Conns    uint64 // connections now
	Accepted uint64
	Rejected uint64 // above the limit
	Passed   uint64 // given to another channel, which had fewer
	MaxConns uint64

	LeastConns, MostConns uint64 // connections now, of the channel that has the fewest and of the one that has the most

	AcceptErrors     uint64
	AcceptBackoffs   uint64 // times that accepting rested for lack of descriptors, memory or (Config.Pause) room
	AcceptPausedUsec uint64
	Paused           uint64 // channels that do not accept now

	BytesRead     uint64
	BytesUploaded uint64 // of BytesRead: received straight into the Handler's memory
	BytesWritten  uint64

	Batches  uint64 // iterations of the loops that brought something
	Enters   uint64 // io_uring_enter or epoll_wait calls
	Syscalls uint64 // all system calls on the way of requests
	SQEs     uint64 // operations submitted
	CQEs     uint64 // completions or ready events
	Sends    uint64
	Receives uint64

	ShortSends   uint64 // sends that the socket did not take as a whole at once
	SendTimeouts uint64 // connections closed for taking nothing
	IdleKicks    uint64 // connections closed for sending nothing
	Rearms       uint64 // receives started again
	NoBuffers    uint64 // receives that found no provided buffer
	Overflows    uint64 // times that the completion queue was full
	LostCQEs     uint64

	ZeroCopySends  uint64 // sends that did not copy (Config.ZeroCopy)
	ZeroCopyCopied uint64 // of them those of which the kernel copied something all the same

	TLSConns      uint64 // connections that speak TLS now
	TLSRecordsIn  uint64 // opened
	TLSRecordsOut uint64 // sealed, but for alerts and KeyUpdates, and not by the kernel
	TLSKeyUpdates uint64 // that peers sent
	TLSBadRecords uint64 // each of which ended its connection

	TLSKernelConns uint64 // of TLSConns those for which the kernel seals (Config.KernelTLS)

	DatagramsDropped uint64 // requests and replies that did not fit, or that there was no room for

	BuffersTotal     uint64 // provided buffers
	BuffersOut       uint64 // of them with the server now
	SendQueueBytes   uint64 // replies that peers do not take, now
	InputBufferBytes uint64 // input that waits to be handled, or for its end, now
	Parked           uint64 // connections that are parked now

	ClientMemory      uint64 // bytes that clients make the server hold now, see Config.ClientMemory
	ClientMemoryLimit uint64
	ClientsClosed     uint64 // connections that were closed at the limit
	ClientsLacking    uint64 // connections that were closed because there was no memory

	SubmitSizes Histogram // operations per submitting system call
	ReapSizes   Histogram // completions or events per batch
	SendSizes   Histogram // bytes per send
	SendBytes   uint64    // the sum of what SendSizes counts: what was to be sent, whether or not the socket took it all
}

// counters are a channel's own. Its thread alone writes them: plain ones in every
// iteration, published afterwards, the rare ones directly.
type counters struct {
	bytesRead, bytesWritten, bytesUploaded uint64
	batches, enters, syscalls, sqes, cqes  uint64
	sends, receives                        uint64
	tlsRecordsIn, tlsRecordsOut            uint64

	published [12]atomic.Uint64
	told      [12]atomic.Uint64 // the most that anybody was told of published

	accepted, rejected, passed             atomic.Uint64
	acceptErrors                           atomic.Uint64
	acceptBackoffs, acceptPausedUsec       atomic.Uint64
	shortSends, sendTimeouts, idleKicks    atomic.Uint64
	paused                                 atomic.Uint64 // 0 or 1
	rearms, noBuffers, overflows, lostCQEs atomic.Uint64
	datagramsDropped                       atomic.Uint64
	zeroCopySends, zeroCopyCopied          atomic.Uint64
	tlsConns, tlsKeyUpdates, tlsBadRecords atomic.Uint64
	tlsKernelConns                         atomic.Uint64
	sendQueueBytes, inputBufferBytes       atomic.Uint64
	buffersTotal, buffersOut, parked       atomic.Uint64
	sendBytes                              atomic.Uint64 // once for each flush
	submitSizes, reapSizes, sendSizes      histogram
}

// histogram is a Histogram in the making.
type histogram [histogramSize]atomic.Uint64

// count counts a value. Only one thread writes, so that an addition that is not atomic will do.
func (h *histogram) count(n uint32) {
	b := &h[bucket(n)]
	b.Store(b.Load() + 1)
}

func (h *histogram) addTo(sum *Histogram) {
	for i := range h {
		sum[i] += h[i].Load()
	}
}

// publish makes the plain counters visible. It is called before replies are sent, so
// that who has seen a reply also sees what it cost.
func (k *counters) publish() {
	for i, v := range [...]uint64{k.bytesRead, k.bytesWritten, k.batches, k.enters, k.syscalls, k.sqes, k.cqes, k.sends, k.receives, k.bytesUploaded, k.tlsRecordsIn, k.tlsRecordsOut} {
		if p := &k.published[i]; p.Load() != v {
			p.Store(v)
		}
	}
}

// tell returns a published counter, or what it was when somebody asked before if that was more: flush counts replies that it then finds were not
// sent, and whoever computes rates of a counter takes a lower one for a server that was restarted.
func (k *counters) tell(i int) uint64 {
	for {
		now, told := k.published[i].Load(), k.told[i].Load()
		if now <= told {
			return told
		}
		if k.told[i].CompareAndSwap(told, now) {
			return now
		}
	}
}

func (k *counters) addTo(s *Stats) {
	for i, p := range []*uint64{&s.BytesRead, &s.BytesWritten, &s.Batches, &s.Enters, &s.Syscalls, &s.SQEs, &s.CQEs, &s.Sends, &s.Receives, &s.BytesUploaded, &s.TLSRecordsIn, &s.TLSRecordsOut} {
		*p += k.tell(i)
	}
	for _, f := range []struct {
		sum  *uint64
		part *atomic.Uint64
	}{
		{&s.Accepted, &k.accepted}, {&s.Rejected, &k.rejected}, {&s.Passed, &k.passed}, {&s.AcceptErrors, &k.acceptErrors},
		{&s.AcceptBackoffs, &k.acceptBackoffs}, {&s.AcceptPausedUsec, &k.acceptPausedUsec},
		{&s.ShortSends, &k.shortSends}, {&s.SendTimeouts, &k.sendTimeouts}, {&s.IdleKicks, &k.idleKicks}, {&s.Paused, &k.paused},
		{&s.Rearms, &k.rearms}, {&s.NoBuffers, &k.noBuffers}, {&s.Overflows, &k.overflows}, {&s.LostCQEs, &k.lostCQEs},
		{&s.DatagramsDropped, &k.datagramsDropped}, {&s.ZeroCopySends, &k.zeroCopySends}, {&s.ZeroCopyCopied, &k.zeroCopyCopied},
		{&s.TLSConns, &k.tlsConns}, {&s.TLSKeyUpdates, &k.tlsKeyUpdates}, {&s.TLSBadRecords, &k.tlsBadRecords}, {&s.TLSKernelConns, &k.tlsKernelConns},
		{&s.SendQueueBytes, &k.sendQueueBytes}, {&s.InputBufferBytes, &k.inputBufferBytes},
		{&s.BuffersTotal, &k.buffersTotal}, {&s.BuffersOut, &k.buffersOut}, {&s.Parked, &k.parked}, {&s.SendBytes, &k.sendBytes},
	} {
		*f.sum += f.part.Load()
	}
	k.submitSizes.addTo(&s.SubmitSizes)
	k.reapSizes.addTo(&s.ReapSizes)
	k.sendSizes.addTo(&s.SendSizes)
}

// minus subtracts what was counted at the last reset, but for what says "now".
func (s Stats) minus(o *Stats) Stats {
	for _, f := range []struct{ a, b *uint64 }{
		{&s.Accepted, &o.Accepted}, {&s.Rejected, &o.Rejected}, {&s.Passed, &o.Passed}, {&s.AcceptErrors, &o.AcceptErrors},
		{&s.AcceptBackoffs, &o.AcceptBackoffs}, {&s.AcceptPausedUsec, &o.AcceptPausedUsec},
		{&s.BytesRead, &o.BytesRead}, {&s.BytesWritten, &o.BytesWritten}, {&s.BytesUploaded, &o.BytesUploaded},
		{&s.Batches, &o.Batches},
		{&s.Enters, &o.Enters}, {&s.Syscalls, &o.Syscalls}, {&s.SQEs, &o.SQEs}, {&s.CQEs, &o.CQEs},
		{&s.Sends, &o.Sends}, {&s.Receives, &o.Receives}, {&s.ShortSends, &o.ShortSends},
		{&s.SendTimeouts, &o.SendTimeouts}, {&s.IdleKicks, &o.IdleKicks}, {&s.Rearms, &o.Rearms}, {&s.NoBuffers, &o.NoBuffers},
		{&s.Overflows, &o.Overflows}, {&s.LostCQEs, &o.LostCQEs}, {&s.DatagramsDropped, &o.DatagramsDropped},
		{&s.ZeroCopySends, &o.ZeroCopySends}, {&s.ZeroCopyCopied, &o.ZeroCopyCopied},
		{&s.TLSRecordsIn, &o.TLSRecordsIn}, {&s.TLSRecordsOut, &o.TLSRecordsOut},
		{&s.TLSKeyUpdates, &o.TLSKeyUpdates}, {&s.TLSBadRecords, &o.TLSBadRecords},
		{&s.SendBytes, &o.SendBytes}, {&s.ClientsClosed, &o.ClientsClosed}, {&s.ClientsLacking, &o.ClientsLacking},
	} {
		*f.a -= *f.b
	}
	for i := range histogramSize {
		s.SubmitSizes[i] -= o.SubmitSizes[i]
		s.ReapSizes[i] -= o.ReapSizes[i]
		s.SendSizes[i] -= o.SendSizes[i]
	}
	return s
}

// Sockets tells of what a channel has open, of most connections in a call: from 0 on also
// of what it listens on, and then from the next that the last call gave, while there are more. A
// connection that stays is reported once. Only the Handler of that channel may call it, on its own thread.
func (s *Server) Sockets(channel int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool) {
	ch := s.channels[channel]
	if from == 0 {
		s.listenersOf(ch, tell)
	}
	return ch.conns.some(from, most, func(c *conn) { tell(ch.socket(c)) })
}

// listenersOf tells of what a channel listens on.
func (s *Server) listenersOf(ch *channel, tell func(contract.Socket)) {
	since := int(time.Since(ch.started) / time.Second)
	for _, l := range ch.listeners {
		tell(s.listening(l, since))
	}
	for _, l := range ch.datagrams {
		tell(contract.Socket{FD: l.fd, Transport: "udp", Local: l.addr, Phase: contract.PhaseDatagram, Idle: since})
	}
}

// listening describes a socket that the server has listened on for since seconds.
func (s *Server) listening(l listener, since int) contract.Socket {
	k := contract.Socket{FD: l.fd, Transport: "tcp", Local: l.addr, Phase: contract.PhaseListening, Idle: since}
	if l.isUnix() {
		k.Transport, k.Path = "unix", s.config.Unix
	}
	return k
}

// Socket tells of one connection, likewise.
func (s *Server) Socket(channel int, conn uint32) contract.Socket {
	ch := s.channels[channel]
	return ch.socket(ch.conns.at(conn))
}

// Descriptor is the FD of one connection, likewise.
func (s *Server) Descriptor(channel int, conn uint32) int {
	ch := s.channels[channel]
	return ch.descriptor(ch.conns.at(conn))
}

func (ch *channel) descriptor(c *conn) int {
	if ch.direct {
		return -1
	}
	return int(c.fd)
}

// number is what the log calls c: its descriptor, or if that is a direct one the Handler's number for it.
func (ch *channel) number(c *conn) int {
	if fd := ch.descriptor(c); fd >= 0 {
		return fd
	}
	return int(c.slot)
}

// socket asks the kernel for the addresses: a record that kept them would be larger for
// every idle connection.
func (ch *channel) socket(c *conn) contract.Socket {
	k := contract.Socket{Conn: c.slot, FD: ch.descriptor(c), Transport: "tcp", Phase: c.phase(), Idle: int(ch.second - c.active)}
	if c.is(flagLocal) {
		k.Transport, k.Path = "unix", ch.config.Unix
		return k
	}
	if k.FD >= 0 {
		k.Peer = askAddress(unix.SYS_GETPEERNAME, k.FD)
		k.Local = askAddress(unix.SYS_GETSOCKNAME, k.FD)
	}
	return k
}

// phase says what c is doing.
func (c *conn) phase() contract.Phase {
	switch {
	case c.send != sendIdle:
		return contract.PhaseSending
	case c.closing():
		return contract.PhaseClosing
	case c.life == lifeNew:
		return contract.PhaseNew
	case c.is(flagReady):
		return contract.PhaseReady
	case c.inputBuffer != 0:
		return contract.PhasePartial
	}
	return contract.PhaseIdle
}

// address is a socket's address; not valid if there is none.
func address(sa unix.Sockaddr, err error) netip.AddrPort {
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// Stopping says that the server has been told to stop: channels may have ended.
func (s *Server) Stopping() bool { return s.stopping.Load() }

// askAddress is an address of a socket as the system call of that number tells it; not valid if there is none. Package unix would ask for the
// protocol too, and take memory, for each of many thousands.
func askAddress(call uintptr, fd int) netip.AddrPort {
	var raw unix.RawSockaddrInet6 // the longer one
	size := uint32(unsafe.Sizeof(raw))
	if _, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return netip.AddrPort{}
	}
	switch raw.Family {
	case unix.AF_INET:
		raw := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		return netip.AddrPortFrom(netip.AddrFrom4(raw.Addr), ntohs(raw.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), ntohs(raw.Port))
	}
	return netip.AddrPort{}
}

// ntohs is a port as the network writes it.
func ntohs(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}
