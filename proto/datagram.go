package proto

import (
	"bytes"
	"encoding/binary"
	"math"

	"ringcached/internal/contract"
	"ringcached/proto/admin"
)

// noConnection is the connection number of a request that came in a datagram.
const noConnection = admin.NoConn

const (
	// replyNoDatagram refuses a command that is for connections.
	replyNoDatagram = "CLIENT_ERROR not over UDP\r\n"
	// replyLongDatagrams stands for a reply that is longer than allowed.
	replyLongDatagrams = "SERVER_ERROR reply too large for UDP\r\n"
)

// Datagram handles the requests that came as one datagram, whose first byte tells the protocol, whatever Config.Protocol says. -R does not
// limit how many of them it handles.
//
// The sender's address may be forged. Therefore:
//   - Datagram ignores what is no request, and all behind it: an unknown command, an error that closes a connection, a request that is not
//     complete. No reply of any server is a request, so two servers never answer each other.
//   - It refuses commands of administration, see overConnections.
//   - A reply is complete and at most Config.Amplification times as long as the request. In place of a longer one the sender gets an error, or
//     nothing if even that is too long.
func (w *Worker) Datagram(in []byte, out contract.DatagramReplies) {
	if len(in) <= contract.DatagramHead || binary.BigEndian.Uint16(in[4:]) != 1 || w.srv.config.Auth != nil {
		w.tally.Add(admin.DatagramsIgnored) // too short, a part of several, or from a client that cannot have authenticated
		return
	}
	g := &w.limited
	*g = limitedReplies{DatagramReplies: out, most: w.srv.longestReply(len(in))}
	s := &w.single
	*s = session{}
	s.settle(w.srv.firstMode(ProtocolAuto))
	w.begin(noConnection, g)
	end := w.serveDatagram(s, in[contract.DatagramHead:])
	w.commit()
	switch {
	case end == endNoLine:
		g.discard()
		w.tally.Add(admin.DatagramsIgnored)
	case end == endFull || g.size > g.most:
		g.discard()
		w.tally.Add(admin.DatagramsTooLarge)
		w.tooLarge(s)
	case end == endNoRequest:
		w.tally.Add(admin.DatagramsIgnored)
	}
	w.end()
	w.abort(s) // an upload that is not complete
	*g = limitedReplies{}
}

// datagramEnd is how the handling of a datagram ended.
type datagramEnd uint8

const (
	endServed    datagramEnd = iota
	endNoRequest             // what follows is no request, or not a complete one
	endNoLine                // in a line that does not end, after replies to a part of it
	endFull                  // the reply is too long
)

// serveDatagram serves all requests of a datagram.
func (w *Worker) serveDatagram(s *session, in []byte) datagramEnd {
	next := contract.Yield
	for len(in) > 0 && next == contract.Yield {
		var n int
		n, next = w.serve(s, in)
		if in = in[n:]; next == contract.Yield && w.full {
			return choose(s.mode == modeKeys && bytes.IndexByte(in, '\n') < 0, endNoLine, endFull)
		}
	}
	switch s.mode {
	case modeKeys, modeExptime, modeSkip:
		return endNoLine
	case modeUpload, modeBroken:
		return endNoRequest
	}
	if next != contract.Close && len(in) > 0 {
		return endNoRequest
	}
	return endServed
}

// tooLarge replies that the reply is too large, if there is room for that.
func (w *Worker) tooLarge(s *session) {
	size := len(replyLongDatagrams)
	if s.home == modeFrame {
		size = headerLen + len(statusTexts[statusTooLarge])
	}
	switch {
	case size > w.limited.most:
	case s.home == modeFrame:
		w.frameError(w.frame.echo, statusTooLarge)
	default:
		w.write(replyLongDatagrams)
	}
}

// longestReply is how many bytes of reply a datagram of n bytes may have, so that with the heads of its datagrams it is within
// Config.Amplification.
func (s *Server) longestReply(n int) int {
	if s.config.Amplification <= 0 {
		return math.MaxInt
	}
	wire := n * s.config.Amplification
	return wire/contract.DatagramSize*(contract.DatagramSize-contract.DatagramHead) + max(0, wire%contract.DatagramSize-contract.DatagramHead)
}

// limitedReplies is the reply to a datagram. It is full as soon as it is longer than allowed.
type limitedReplies struct {
	contract.DatagramReplies
	size, most int // bytes
}

func (g *limitedReplies) discard() {
	g.Discard()
	g.size = 0
}

// Reserve implements Replies. It gives no more room than the caller asks for or the limit allows, so that a reply that gets too long is
// noticed soon.
func (g *limitedReplies) Reserve(n int) []byte {
	b := g.DatagramReplies.Reserve(n)
	return b[:0:min(cap(b), max(n, g.most-g.size))]
}

// Commit implements Replies.
func (g *limitedReplies) Commit(n int) {
	g.size += n
	g.DatagramReplies.Commit(n)
}

// Reference implements Replies.
func (g *limitedReplies) Reference(p []byte, ref uint64) {
	g.size += len(p)
	g.DatagramReplies.Reference(p, ref)
}

// Full implements Replies.
func (g *limitedReplies) Full() bool { return g.size > g.most || g.DatagramReplies.Full() }

// overConnections makes a command that is refused in datagrams, because it changes the server for everybody, may go on for long, or is about
// other clients, and no address or password proves who asks.
func overConnections(run func(*Worker, *session, *request) (int, step)) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, s *session, r *request) (int, step) {
		if w.conn == noConnection {
			w.tally.Add(admin.DatagramsRefused)
			return w.reply(r, replyNoDatagram)
		}
		return run(w, s, r)
	}
}

// frameOverConnections refuses a binary request in a datagram for the same reasons.
func (w *Worker) frameOverConnections(f *frame) (int, step) {
	w.tally.Add(admin.DatagramsRefused)
	return w.frameDone(f, statusInvalid, 0)
}

// datagramStatistics are the groups of statistics that a datagram may ask for: asking changes nothing, and they name no key and no client.
var datagramStatistics = map[string]bool{"": true, "settings": true, "items": true, "slabs": true, "batch": true}

// Frame writes the head of datagram number seq, from 0, of total that make up the reply to the request in.
func (w *Worker) Frame(head, in []byte, seq, total int) {
	copy(head, in[:2])
	binary.BigEndian.PutUint16(head[2:], uint16(seq))
	binary.BigEndian.PutUint16(head[4:], uint16(total))
	binary.BigEndian.PutUint16(head[6:], 0)
}
