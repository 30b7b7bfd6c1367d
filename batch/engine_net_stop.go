package batch

import (
	"time"

	"golang.org/x/sys/unix"
)

// lingerLook is how often a connection that lingers while the server stops looks whether its peer has taken everything.
const lingerLook = 5 * time.Millisecond

// stop ends everything, as channels do (see stop.go): for a while it goes on as ever, then the input of every connection is cut behind
// what the kernel has received, and after Config.DrainTimeout whoever is left goes.
func (e *netEngine) stop() {
	close(e.stopped)
	begin := time.Now()
	deadline := begin.Add(e.config.DrainTimeout)
	receives, input := e.receives(), begin // of the last input
	for !e.inputOver.Load() || e.server.conns.Load() > 0 {
		time.Sleep(stopTick)
		now := time.Now()
		if n := e.receives(); n != receives {
			receives, input = n, now
		}
		late := e.server.hurried.Load() || now.After(deadline)
		if !e.inputOver.Load() && (late || now.Sub(input) >= quietTime || now.Sub(begin) >= inputTime) {
			for _, l := range e.listeners {
				_ = l.Close()
			}
			e.accepting.Wait()
			e.inputOver.Store(true)
			e.each((*netConn).lookUp)
		}
		if late {
			e.each((*netConn).abort)
		}
	}
}

// lookUp makes the connection's goroutine stop waiting for input, and notice that it is over.
func (c *netConn) lookUp() { _ = c.nc.SetReadDeadline(past) }

// cutInput is called before each read when input is over. It returns how much of the room the next one may fill, none when all has been
// read that had arrived when it was first called.
func (c *netConn) cutInput(to []byte) ([]byte, error) {
	if !c.cut {
		c.cut = true
		c.owed, _ = unix.IoctlGetInt(int(c.fd), unix.SIOCINQ)
	}
	if c.owed <= 0 {
		return nil, errUnwanted
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(tick)) // the one that lookUp has set would be taken for it
	if c.aborted.Load() {
		return nil, errUnwanted
	}
	return to[:min(len(to), c.owed)], nil
}

// receives is how often something was received.
func (e *netEngine) receives() uint64 {
	var sum Stats
	e.addTo(&sum)
	return sum.Receives
}
