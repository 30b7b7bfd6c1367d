package batch

import (
	"math/bits"
	"sync/atomic"
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

	BytesRead    uint64
	BytesFilled  uint64 // of BytesRead: received straight into the Handler's memory
	BytesWritten uint64

	Batches  uint64 // turns of the loops that brought something
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

	HeldSends  uint64 // sends that did not copy (Config.ZeroCopy)
	HeldCopied uint64 // of them those of which the kernel copied something all the same

	DatagramsDropped uint64 // requests and replies that did not fit, or that there was no room for

	BuffersTotal uint64 // provided buffers
	BuffersOut   uint64 // of them with the server now
	BacklogBytes uint64 // replies that peers do not take, now
	StashBytes   uint64 // input waiting for its turn or its end, now
	Parked       uint64 // connections that are parked now

	ClientMemory      uint64 // bytes that clients make the server hold now, see Config.ClientMemory
	ClientMemoryLimit uint64
	ClientsClosed     uint64 // connections that were closed at the limit
	ClientsLacking    uint64 // connections that were closed because there was no memory

	SubmitSizes Histogram // operations per submitting system call
	ReapSizes   Histogram // completions or events per batch
	SendSizes   Histogram // bytes per send
}

// counters are a channel's own. Its thread alone writes them: plain ones in every
// turn, published afterwards, the rare ones directly.
type counters struct {
	bytesRead, bytesWritten, bytesFilled  uint64
	batches, enters, syscalls, sqes, cqes uint64
	sends, receives                       uint64

	published [10]atomic.Uint64

	accepted, rejected, passed             atomic.Uint64
	acceptErrors                           atomic.Uint64
	acceptBackoffs, acceptPausedUsec       atomic.Uint64
	shortSends, sendTimeouts, idleKicks    atomic.Uint64
	paused                                 atomic.Uint64 // 0 or 1
	rearms, noBuffers, overflows, lostCQEs atomic.Uint64
	datagramsDropped                       atomic.Uint64
	heldSends, heldCopied                  atomic.Uint64
	backlogBytes, stashBytes               atomic.Uint64
	buffersTotal, buffersOut, parked       atomic.Uint64
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
	for i, v := range [...]uint64{k.bytesRead, k.bytesWritten, k.batches, k.enters, k.syscalls, k.sqes, k.cqes, k.sends, k.receives, k.bytesFilled} {
		if p := &k.published[i]; p.Load() != v {
			p.Store(v)
		}
	}
}

func (k *counters) addTo(s *Stats) {
	for i, p := range []*uint64{&s.BytesRead, &s.BytesWritten, &s.Batches, &s.Enters, &s.Syscalls, &s.SQEs, &s.CQEs, &s.Sends, &s.Receives, &s.BytesFilled} {
		*p += k.published[i].Load()
	}
	for _, f := range []struct {
		sum  *uint64
		part *atomic.Uint64
	}{
		{&s.Accepted, &k.accepted}, {&s.Rejected, &k.rejected}, {&s.Passed, &k.passed}, {&s.AcceptErrors, &k.acceptErrors},
		{&s.AcceptBackoffs, &k.acceptBackoffs}, {&s.AcceptPausedUsec, &k.acceptPausedUsec},
		{&s.ShortSends, &k.shortSends}, {&s.SendTimeouts, &k.sendTimeouts}, {&s.IdleKicks, &k.idleKicks}, {&s.Paused, &k.paused},
		{&s.Rearms, &k.rearms}, {&s.NoBuffers, &k.noBuffers}, {&s.Overflows, &k.overflows}, {&s.LostCQEs, &k.lostCQEs},
		{&s.DatagramsDropped, &k.datagramsDropped}, {&s.HeldSends, &k.heldSends}, {&s.HeldCopied, &k.heldCopied},
		{&s.BacklogBytes, &k.backlogBytes}, {&s.StashBytes, &k.stashBytes},
		{&s.BuffersTotal, &k.buffersTotal}, {&s.BuffersOut, &k.buffersOut}, {&s.Parked, &k.parked},
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
		{&s.BytesRead, &o.BytesRead}, {&s.BytesWritten, &o.BytesWritten}, {&s.BytesFilled, &o.BytesFilled},
		{&s.Batches, &o.Batches},
		{&s.Enters, &o.Enters}, {&s.Syscalls, &o.Syscalls}, {&s.SQEs, &o.SQEs}, {&s.CQEs, &o.CQEs},
		{&s.Sends, &o.Sends}, {&s.Receives, &o.Receives}, {&s.ShortSends, &o.ShortSends},
		{&s.SendTimeouts, &o.SendTimeouts}, {&s.IdleKicks, &o.IdleKicks}, {&s.Rearms, &o.Rearms}, {&s.NoBuffers, &o.NoBuffers},
		{&s.Overflows, &o.Overflows}, {&s.LostCQEs, &o.LostCQEs}, {&s.DatagramsDropped, &o.DatagramsDropped},
		{&s.HeldSends, &o.HeldSends}, {&s.HeldCopied, &o.HeldCopied},
		{&s.ClientsClosed, &o.ClientsClosed}, {&s.ClientsLacking, &o.ClientsLacking},
	} {
		// BytesWritten may have been counted a little too high at the reset, see flush.
		*f.a -= min(*f.a, *f.b)
	}
	for i := range histogramSize {
		s.SubmitSizes[i] -= o.SubmitSizes[i]
		s.ReapSizes[i] -= o.ReapSizes[i]
		s.SendSizes[i] -= o.SendSizes[i]
	}
	return s
}
