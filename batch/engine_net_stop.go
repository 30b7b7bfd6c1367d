package batch

import "time"

// stop ends everything, as channels do (see stop.go): for a while it goes on as ever, then the input of every connection is ended behind
// what the kernel has received, and after Config.DrainTimeout whoever is left goes.
func (e *netEngine) stop() {
	close(e.stopped)
	for _, l := range e.listeners {
		_ = l.Close()
	}
	e.accepting.Wait()
	begin := time.Now()
	deadline := begin.Add(e.config.DrainTimeout)
	receives, input := e.receives(), begin // of the last input
	for e.server.conns.Load() > 0 {
		time.Sleep(stopTick)
		now := time.Now()
		if n := e.receives(); n != receives {
			receives, input = n, now
		}
		switch quiet := now.Sub(input) >= quietTime || now.Sub(begin) >= inputTime; {
		case e.server.hurried.Load(), now.After(deadline):
			e.inputOver.Store(true)
			e.each((*netConn).abort)
		case quiet && !e.inputOver.Load():
			e.inputOver.Store(true)
			e.each((*netConn).endInput)
		}
	}
}

// endInput makes the connection's goroutine read the end of its input once it has read all that the kernel holds.
func (c *netConn) endInput() { _ = c.nc.CloseRead() }

// receives is how often something was received.
func (e *netEngine) receives() uint64 {
	var sum Stats
	e.addTo(&sum)
	return sum.Receives
}
