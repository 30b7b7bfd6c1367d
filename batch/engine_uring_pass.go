package batch

import "ringcached/ring"

// A token's generation tells of an arrival that is passed on: the channel that it goes to, its label, and whether it came by the unix socket.
const (
	labelGen = 12 // bits of the channel's number, which is below maxThreads
	localGen = 1 << 23
)

func (a arrival) gen(to *channel) uint32 {
	gen := uint32(to.id) | uint32(a.label)<<labelGen
	if a.local {
		gen |= localGen
	}
	return gen
}

// arrivalOf is the arrival that gen made the generation of.
func arrivalOf(fd int32, gen uint32) arrival {
	return arrival{fd, gen&localGen != 0, uint8(gen >> labelGen)}
}

// receiver is the number of the channel that it goes to.
func receiver(gen uint32) uint32 { return gen & (1<<labelGen - 1) }

func (e *uringEngine) pass(a arrival, to *channel) bool {
	if !e.ch.direct {
		return to.give(a)
	}
	fd := to.ringFD.Load()
	if fd == 0 || !to.inbox.expect() { // it has no ring yet, or has ended
		return false
	}
	gen := a.gen(to)
	sqe := e.sqe()
	sqe.PrepSendDirect(int(fd), int(a.fd), uint64(makeToken(kindPassed, gen, 0)))
	e.passing++
	e.queue(sqe, makeToken(kindPass, gen, uint32(a.fd)))
	return true
}

// passEnded takes the end of pass: the other ring has a descriptor of its own, or else the connection stays here.
func (e *uringEngine) passEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	e.passing--
	if cqe.Res >= 0 {
		sqe := e.sqe()
		sqe.PrepCloseDirect(int(t.slot()))
		sqe.SkipSuccess()
		e.queue(sqe, makeToken(kindIgnore, 0, 0))
		return
	}
	to := ch.server.channels[receiver(t.gen())]
	to.load.Add(-1)
	to.inbox.came()
	ch.load.Add(1)
	ch.openArrival(arrivalOf(int32(t.slot()), t.gen()))
}

// passed takes a direct descriptor that another ring has sent.
func (e *uringEngine) passed(t token, cqe *ring.CQE) {
	e.ch.openArrival(arrivalOf(cqe.Res, t.gen()))
	e.ch.inbox.came()
}
