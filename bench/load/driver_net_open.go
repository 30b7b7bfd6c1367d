package load

import (
	"net"
	"runtime"
	"syscall"
	"time"
)

// dispatch gives the requests of an open loop, as they arrive, to the sessions that wait for one, first come first served. It closes
// all channels when there are no more requests to come.
func (d *netDriver) dispatch(sessions []chan int64) {
	defer func() {
		for _, due := range sessions {
			close(due)
		}
	}()
	select {
	case <-d.begun:
	case <-d.halted:
		return
	}
	o := d.rec.open
	for budget := d.budget; budget > 0; budget-- {
		if !d.sleepUntil(int64(o.sent.at)) {
			return
		}
		due := d.nextInLine()
		if due == nil {
			return
		}
		d.rec.Lock()
		arrival := o.take()
		d.rec.Unlock()
		due <- arrival
	}
}

// nextInLine waits for the next session that waits, and notes how many requests do meanwhile. It returns nil when the driver was halted.
func (d *netDriver) nextInLine() chan int64 {
	select {
	case due := <-d.line:
		return due
	default:
	}
	select {
	case due := <-d.line:
		d.rec.Lock()
		d.rec.open.wait(Now())
		d.rec.Unlock()
		return due
	case <-d.halted:
		return nil
	}
}

// Timers of the runtime come within some milliseconds, the kernel's within some 100 us.
const (
	coarseSleep = 5 * time.Millisecond
	fineSleep   = 200 * time.Microsecond
)

// sleepUntil returns at the given time, or false before it when the driver was halted.
func (d *netDriver) sleepUntil(at int64) bool {
	if left := time.Duration(at - Now()); left > coarseSleep {
		timer := time.NewTimer(left - coarseSleep)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-d.halted:
			return false
		}
	}
	if left := time.Duration(at - Now()); left > fineSleep {
		ts := syscall.NsecToTimespec(int64(left - fineSleep))
		_ = syscall.Nanosleep(&ts, nil) // may be interrupted, then the rest is spun
	}
	for Now() < at {
		runtime.Gosched()
	}
	return !d.stopping.Load()
}

// attend uses one connection for the requests that come over the channel, until the connection breaks or the load ends.
func (d *netDriver) attend(c net.Conn, s *session, due chan int64, b *netBuffers) (over bool, err error) {
	for {
		idleSince := Now()
		d.line <- due
		arrival, more := <-due
		if !more {
			return true, nil
		}
		d.rec.Lock()
		b.out = d.fill(s, b.out[:0], arrival)
		Record(d.rec.lateness, Now()-max(arrival, idleSince))
		d.rec.Unlock()
		if _, err = c.Write(b.out); err == nil {
			err = d.await(c, s, b)
		}
		d.rec.Lock()
		d.settled()
		d.rec.Unlock()
		if err != nil {
			return false, err
		}
	}
}
