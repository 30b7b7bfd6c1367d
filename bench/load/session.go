package load

import "math/rand/v2"

// session is one client: it sends a group of requests, waits for all replies, and begins again. It does no I/O; a
// driver moves its bytes.
type session struct {
	gen       *generator
	check     checker
	group     []pending  // of the workload's pipeline length
	asked     int        // requests of the group that were sent
	replied   int        // and those of them that are answered
	life      int        // requests that the connection was used for
	since     int64      // from when the group's latency counts, monotonic nanoseconds
	datagrams *datagrams // nil: not over UDP
}

// conn is one session's connection, by which a driver knows it.
type conn struct {
	*session
	secure     *secure // nil: the connection is plain
	index      int
	generation uint32 // of the socket: what comes of an earlier one is recognised by it
	fd         int    // -1: none
	slot       []byte // memory for a group of requests, the session's alone
	unsent     []byte // rest of the group in slot that is being sent
	expires    int64  // when a request over UDP is lost
	idleSince  int64  // or since when a short connection is being opened
	busy       bool   // a group of requests is under way
	receiving  bool   // a receive is under way
	ending     bool   // hung up; it is over when the receive is
	connecting bool   // of epollMover: connected when it is writable
	blocked    bool   // of epollMover: unsent waits until it is writable
}

// newSession makes a session; canned is the length of each reply where it is not to be looked at, or 0.
func newSession(g *generator, canned int) *session {
	s := &session{gen: g, check: checker{d: g.d, canned: canned}, group: make([]pending, g.w.Pipeline)}
	if g.w.Transport == TransportUDP {
		s.datagrams = &datagrams{}
	}
	return s
}

// fill appends a new group of at most limit requests to dst, whose latency counts from since. The last group must be
// over.
func (s *session) fill(dst []byte, limit int, since int64) []byte {
	n := min(len(s.group), limit)
	if r := s.gen.w.RequestsPerConnection; r > 0 {
		n = min(n, r-s.life)
	}
	if s.datagrams != nil && n > 0 {
		dst = s.datagrams.header(dst)
	}
	for i := range n {
		dst = s.gen.next(dst, &s.group[i])
	}
	s.asked, s.replied, s.since = n, 0, since
	s.life += n
	return dst
}

// receive checks what came from the server, over UDP one datagram, and counts each completed request in r. A byte
// that nothing asked for is a wrong reply too.
func (s *session) receive(in []byte, now int64, r *recorder) error {
	if s.datagrams != nil {
		return s.receiveDatagram(in, now, r)
	}
	r.BytesIn += int64(len(in))
	return s.consume(in, now, r)
}

// consume checks the next bytes of replies.
func (s *session) consume(in []byte, now int64, r *recorder) error {
	for len(in) > 0 {
		if s.idle() {
			return &WrongReply{Problem: "bytes that no request asked for"}
		}
		p := &s.group[s.replied]
		n, done, err := s.check.feed(in, p)
		if err != nil {
			return err
		}
		in = in[n:]
		if done {
			s.replied++
			r.complete(p, s.check.take(), now-s.since)
		}
	}
	return nil
}

// idle reports that everything that was asked is answered.
func (s *session) idle() bool { return s.replied == s.asked }

// spent reports that the connection has served as many requests as the workload gives it.
func (s *session) spent() bool {
	r := s.gen.w.RequestsPerConnection
	return r > 0 && s.life >= r
}

// lose gives up requests without a reply, which may still come, and counts them in r.
func (s *session) lose(r *recorder) {
	r.Lost += int64(s.asked - s.replied)
	s.reconnect()
}

// reconnect makes the session ready for a new connection. Requests without a reply are forgotten.
func (s *session) reconnect() {
	s.check.reset()
	s.asked, s.replied, s.life = 0, 0, 0
}

// A generator draws requests of a workload and renders them. It belongs to one load thread and serves all sessions of
// it.
type generator struct {
	w    *Workload
	d    *dialect
	src  *rand.PCG
	draw func() uint32 // the number of a key
	gets uint64        // a random 64-bit number below it is a get
}

func newGenerator(w *Workload, keys *KeySpace, seed, thread uint64) *generator {
	src := rand.NewPCG(seed, thread)
	return &generator{
		w: w, d: newDialect(w.Protocol, w.Multiget, keys), src: src, draw: w.picker(src),
		gets: uint64(float64(w.Gets) / float64(w.Gets+w.Sets) * (1 << 63) * 2),
	}
}

// next draws a request into p and appends its bytes to dst.
func (g *generator) next(dst []byte, p *pending) []byte {
	p.set = g.w.Sets > 0 && (g.w.Gets == 0 || g.src.Uint64() >= g.gets)
	p.keys = p.keys[:0]
	if p.set {
		key := g.draw()
		p.keys = append(p.keys, key)
		dst = g.d.keys.AppendValue(g.d.append(dst, &g.d.set, key), key)
		return append(dst, g.d.tail...)
	}
	dst = append(dst, g.d.begin...)
	for range g.w.Multiget {
		key := g.draw()
		p.keys = append(p.keys, key)
		dst = g.d.append(dst, &g.d.ask, key)
	}
	return append(dst, g.d.end...)
}
