package batch

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/batch/handshakes"
	"ringcached/internal/contract"
	"ringcached/internal/handshake"
	"ringcached/internal/record"
	"ringcached/ring"
)

// A connection that speaks TLS is accepted like any other, and then is the handshake pool's (batch/handshakes), off the channels. When that has the
// secrets, the connection goes to a channel and is served like any other: what is received is opened in place before the Handler sees it, and what the
// Handler writes is sealed when the batch is flushed (tls_send.go). Between two records the connection has its secrets and counters in a table beside
// connTable, and nothing else. Expanded keys, which take four times the memory, are kept only of those that were busy lately (record.Ciphers).

// cipherEntries is for how many directions of connections a channel keeps the expanded keys.
const cipherEntries = 4096

// tlsState is what a connection keeps of TLS.
type tlsState struct {
	record.State
	alert record.Alert // the last record that it is to send, see flagAlert
}

// tlsChannel is a channel's part of TLS.
type tlsChannel struct {
	states  []*[1 << chunkBits]tlsState // by slot; nil where none was needed yet
	mapped  [][]byte
	ciphers *record.Ciphers // nil: no connection spoke TLS yet
}

func (ch *channel) tlsState(c *conn) *tlsState {
	return &ch.tls.states[c.slot>>chunkBits][c.slot&(1<<chunkBits-1)]
}

// startTLS gives c the secrets to go on with.
func (ch *channel) startTLS(c *conn, secrets *record.Secrets) error {
	t, chunk := &ch.tls, int(c.slot>>chunkBits)
	if t.ciphers == nil {
		t.ciphers = record.New(cipherEntries, ch.memory.of.mapMemory)
		t.ciphers.Unmap = ring.Unmap
	}
	for chunk >= len(t.states) {
		t.states = append(t.states, nil)
	}
	if t.states[chunk] == nil {
		mem, err := ch.memory.of.mapMemory(int(unsafe.Sizeof(tlsState{})) << chunkBits)
		if err != nil {
			return err
		}
		t.mapped = append(t.mapped, mem)
		t.states[chunk] = (*[1 << chunkBits]tlsState)(unsafe.Pointer(&mem[0]))
	}
	if err := ch.tlsState(c).Start(secrets); err != nil {
		return err
	}
	c.set(flagTLS)
	ch.stats.tlsConns.Add(1)
	ch.startKernelTLS(c)
	return nil
}

// endTLS forgets c's secrets.
func (ch *channel) endTLS(c *conn) {
	if !c.is(flagTLS) {
		return
	}
	s := ch.tlsState(c)
	ch.tls.ciphers.Drop(c.slot, &s.State)
	s.alert = 0
	if c.is(flagKernelTLS) {
		ch.stats.tlsKernelConns.Add(^uint64(0))
	}
	c.clear(flagTLS | flagKernelTLS)
	ch.stats.tlsConns.Add(^uint64(0))
}

func (t *tlsChannel) close() {
	if t.ciphers != nil {
		_ = t.ciphers.Close()
	}
	for _, mem := range t.mapped {
		clear(mem)
		_ = ring.Unmap(mem)
	}
	t.states, t.mapped, t.ciphers = nil, nil, nil
}

// secured is a connection whose handshake has succeeded.
type secured struct {
	secrets  record.Secrets
	leftover []byte // records that came with the handshake's last
}

// peerOf is what the handshake of a listener's connections asks of clients.
func peerOf(label uint8) handshake.Peer {
	switch contract.TLSLabel(label) {
	case contract.LabelMutualTLS:
		return handshake.PeerRequired
	case contract.LabelBasicTLS:
		return handshake.PeerNone
	}
	return handshake.PeerByMode
}

// speaksTLS says that the connection that an event named speaks TLS.
func (ch *channel) speaksTLS(t token) bool {
	if ch.tls.ciphers == nil {
		return false
	}
	c := ch.conns.find(t.slot(), t.gen())
	return c != nil && c.is(flagTLS)
}

// speaksTLS says that a handshake comes before anything else.
func (a arrival) speaksTLS() bool { return contract.TLSLabel(a.label) != 0 && a.secured == nil }

// shakeHands has the handshake of a connection made that the server has counted in. While that takes, this channel does not end.
func (ch *channel) shakeHands(a arrival) {
	if !ch.inbox.expect() {
		_ = unix.Close(int(a.fd))
		ch.server.depart()
		return
	}
	ch.server.handshakes.Start(int(a.fd), peerOf(a.label), func(r handshake.Result, ok bool) {
		if ok {
			a.secured = &secured{r.Secrets, r.Leftover}
			ch.afterHandshake(a)
		} else {
			ch.server.depart()
		}
		r.Secrets.Zero()
		ch.inbox.came()
		if ch.server.stopping.Load() {
			ch.wake() // it may wait for this one only
		}
	})
}

// afterHandshake gives the connection to the channel with the fewest, or back to this one, which accepted it. It runs on a goroutine of the pool.
func (ch *channel) afterHandshake(a arrival) {
	s := ch.server
	if !s.config.Stay && !s.config.Steer && !s.stopping.Load() {
		if to := ch.claim(ch.load.Load()); to != nil {
			if to.give(a) {
				ch.stats.passed.Add(1)
				return
			}
			to.load.Add(-1)
		}
	}
	ch.load.Add(1)
	ch.give(a) // which takes it, as shakeHands expects one
}

// openSecured begins to serve a connection that speaks TLS, which is counted in.
func (ch *channel) openSecured(c *conn, a *secured) {
	err := ch.startTLS(c, &a.secrets)
	a.secrets.Zero()
	if err != nil {
		ch.load.Add(-1)
		ch.server.depart()
		ch.lacks(c, fmt.Errorf("no memory for what a connection keeps of TLS: %w", err))
		return
	}
	t := c.token(kindNone)
	ch.open(c)
	if ch.stopping {
		ch.stop.input = time.Now() // its first request is on its way
	}
	if len(a.leftover) > 0 && ch.conns.find(t.slot(), t.gen()) != nil {
		ch.received(c, a.leftover)
	}
}

// opened is what became of records that were opened in place.
type opened struct {
	from, to int // where their plaintext is
	next     int // where records begin that are not opened: the rest of them has not come
	event    record.Event
}

// openRecords opens the records in buf from next on, and moves what was in them behind the plaintext in buf[from:to].
func (ch *channel) openRecords(c *conn, buf []byte, from, to, next int) opened {
	s, o := ch.tlsState(c), opened{from: from, to: to, next: next}
	for o.next < len(buf) {
		plain, used, event := ch.tls.ciphers.Open(c.slot, &s.State, buf[o.next:])
		switch event.Kind {
		case record.EventNeed:
			return o
		case record.EventData:
			ch.stats.tlsRecordsIn++
			if o.from == o.to { // the first: it stays where it is
				o.from = o.next + s.Prefix()
				o.to = o.from
			}
			o.to += copy(buf[o.to:], plain)
		case record.EventNone:
			ch.stats.tlsRecordsIn++
		case record.EventKeyUpdate:
			ch.stats.tlsRecordsIn++
			ch.stats.tlsKeyUpdates.Add(1)
			if s.KeyUpdateDue() {
				ch.writerTo(c).reply() // it is sent with the replies, or for want of any, by itself
			}
		default: // nothing is opened any more
			o.event, o.next = event, len(buf)
			return o
		}
		o.next += used
	}
	return o
}

// receivedSealed is received's way for a connection that speaks TLS, if the input can be handled at once.
func (ch *channel) receivedSealed(c *conn, data []byte) {
	t := c.token(kindNone)
	o := ch.openRecords(c, data, 0, 0, 0)
	rest := data[o.from:o.to]
	if len(rest) > 0 {
		rest = ch.serve(c, rest)
	}
	if ch.conns.find(t.slot(), t.gen()) == nil || c.closing() {
		return
	}
	if sealed := data[o.next:]; len(rest)+len(sealed) > 0 {
		if !ch.keep(c, rest) {
			return
		}
		s := ch.inputBuffer(c)
		s.opened, s.sealed = len(s.buf), len(s.buf)
		if !ch.keep(c, sealed) {
			return
		}
	}
	ch.recordsEnded(c, o.event)
}

// openBuffered opens the records in c's input buffer.
func (ch *channel) openBuffered(c *conn, s *inputBuffer) record.Event {
	o := ch.openRecords(c, s.buf, s.off, s.opened, s.sealed)
	if o.next > s.sealed {
		s.began = ch.second
	}
	s.off, s.opened, s.sealed = o.from, o.to, o.next
	return o.event
}

// recordsEnded takes what ended the records of c, if anything has, after what came before it was handled.
func (ch *channel) recordsEnded(c *conn, event record.Event) {
	switch event.Kind {
	case record.EventClosed:
		ch.engine.pause(c)
		ch.ended(c)
	case record.EventAlert:
		ch.config.log(1, "<%d closed: its peer sent the TLS alert %v", ch.number(c), event.Alert)
		ch.kill(c)
	case record.EventFatal:
		ch.stats.tlsBadRecords.Add(1)
		ch.config.log(1, "<%d closed: a TLS record that cannot be opened (%v)", ch.number(c), event.Alert)
		c.endsFor(contract.ReasonError)
		ch.tlsState(c).alert = event.Alert
		ch.hangUp(c)
	}
}

// recordSeconds is how long the rest of a record of TLS may take to come before its beginning counts for nothing.
const recordSeconds = 2

// hasUnhandled says that there is input of c that was received, and can be handled now or as soon as its record has come. Of a record that does not come the
// beginning counts for nothing.
func (ch *channel) hasUnhandled(c *conn) bool {
	s := ch.inputBuffer(c)
	return s != nil && (!s.tls || c.is(flagReady) || c.send != sendIdle || len(s.rest()) > 0 || ch.second-s.began <= recordSeconds)
}

// TLSStats are counts of what happens to connections before they are served over TLS, since the start.
type TLSStats struct {
	Handshakes       handshake.Counts // by outcome
	Running, Waiting int              // now: being made, and waiting for their turn
}

// TLSStats returns the counts of handshakes. Without Config.TLS they are 0.
func (s *Server) TLSStats() (t TLSStats) {
	if s.handshakes != nil {
		t.Handshakes = s.config.TLS.Counts()
		t.Running, t.Waiting = s.handshakes.InProgress()
	}
	return t
}

// newPool makes the pool, if any connection can need it.
func (s *Server) newPool() {
	if s.config.TLS != nil {
		s.handshakes = handshakes.New(s.config.TLS, s.config.TLSHandshakes, s.config.TLSHandshakeTimeout, s.config.log)
	}
}
