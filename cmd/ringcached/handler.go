package main

import (
	"time"

	"ringcached/batch"
	"ringcached/proto"
)

// handler lets a channel of package batch serve a worker of package proto. The
// two know nothing of each other; their methods fit but for the types of what
// is written to and of what is to happen next.
type handler struct {
	*proto.Worker
	clock *clock // of channel 0, nil in the others
}

var (
	_ batch.Handler         = handler{}
	_ proto.DatagramReplies = (*batch.Output)(nil)
)

func newHandler(w *proto.Worker, channel int, c *clock) handler {
	if channel != 0 {
		c = nil
	}
	return handler{w, c}
}

// Open begins a connection, which speaks the protocol of its listener.
func (h handler) Open(conn uint32, label uint8) {
	if protocol, named := protocolOf(label); named {
		h.Worker.OpenAs(conn, protocol)
		return
	}
	h.Worker.Open(conn)
}

func (h handler) Data(conn uint32, in []byte, out *batch.Output) (int, batch.Next) {
	n, next := h.Worker.Data(conn, in, out)
	return n, batch.Next(next)
}

func (h handler) Filled(conn uint32, n int, out *batch.Output) batch.Next {
	return batch.Next(h.Worker.Filled(conn, n, out))
}

// Closed passes on why a connection ended, as watchers read it.
func (h handler) Closed(conn uint32, why batch.Reason) {
	h.Worker.Ending(conn, closeReasons[why])
	h.Worker.Closed(conn)
}

// closeReasons are memcached's names.
var closeReasons = [...]string{
	batch.ReasonNormal: "normal", batch.ReasonError: "error", batch.ReasonIdle: "idle_timeout", batch.ReasonShutdown: "shutdown",
}

func (h handler) Push(conn uint32, out *batch.Output) bool { return h.Worker.Push(conn, out) }

func (h handler) Datagram(in []byte, out *batch.Output) { h.Worker.Datagram(in, out) }

// Tick runs the store's second from the first channel's loop: one clock, and no
// thread of its own for it.
func (h handler) Tick(now time.Time) {
	if h.clock != nil {
		h.clock.tick(now)
	}
}

// Data converts a proto.Next by number, and both packages know how long a datagram is:
// these lines do not compile unless the numbers agree.
var _ = [1]struct{}{}[proto.DatagramSize-batch.DatagramSize]
var _ = [1]struct{}{}[proto.Fill-proto.Next(batch.Fill)]
var _ = [1]struct{}{}[proto.More-proto.Next(batch.More)]
var _ = [1]struct{}{}[proto.Yield-proto.Next(batch.Yield)]
var _ = [1]struct{}{}[proto.Close-proto.Next(batch.Close)]
var _ = [1]struct{}{}[proto.Crowded-proto.Next(batch.Crowded)]
var _ = [1]struct{}{}[proto.Wait-proto.Next(batch.Wait)]
