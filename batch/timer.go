package batch

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tick       = time.Second           // how often a channel looks at what time brings
	starveTick = 5 * time.Millisecond  // and at inputs for which the Handler had no memory
	trimTick   = 20 * time.Millisecond // and at memory that is to be given back
)

// period is how often the timer has to fire now.
func (ch *channel) period() time.Duration {
	switch {
	case ch.stopping:
		return stopTick
	case len(ch.starving) > 0:
		return starveTick
	case ch.trimming:
		return trimTick
	case ch.acceptPaused && len(ch.waiting) == 0:
		return acceptRetry
	}
	return tick
}

// setTimer makes the timer fire as often as is needed now. A whole second since the last look at everything is never exceeded by it.
// It cannot fail where it did not when the channel was made.
func (ch *channel) setTimer() {
	every := ch.period()
	if every == ch.every {
		return
	}
	ch.every = every
	first := max(min(every, tick-time.Since(ch.ticks)), time.Millisecond)
	_ = armTimer(ch.timerFD, first, every)
}

func armTimer(fd int, first, every time.Duration) error {
	spec := unix.ItimerSpec{Interval: unix.NsecToTimespec(int64(every)), Value: unix.NsecToTimespec(int64(first))}
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(fd, 0, &spec, nil))
}

// ticked is called by the engine when the timer fired.
func (ch *channel) ticked() {
	clearCounter(ch.timerFD)
	if now := time.Now(); ch.stopping || now.Sub(ch.ticks) >= tick-trimTick {
		ch.ticks = now
		ch.lookAround(now)
	} else {
		ch.endUnwanted()
		if ch.acceptPaused {
			ch.resumeAccept()
		}
		if ch.trimming {
			ch.trim()
		}
	}
	ch.setTimer()
}
