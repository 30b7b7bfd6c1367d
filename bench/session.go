package bench

// session is one client: it sends a group of requests, waits for all replies, and begins again. It does no I/O; a driver moves its bytes.
type session struct {
	gen     *generator
	check   checker
	group   []pending // of the workload's pipeline length
	asked   int       // requests of the group that were sent
	replied int       // and those of them that are answered
	life    int       // requests that the connection was used for
	sent    int64     // when the group was sent, monotonic nanoseconds
}

// newSession makes a session; canned is the length of each reply where it is not to be looked at, or 0.
func newSession(g *generator, canned int) *session {
	s := &session{gen: g, check: newChecker(g.keys), group: make([]pending, g.w.Pipeline)}
	s.check.canned = canned
	return s
}

// fill appends a new group of at most limit requests to dst. The last group must be answered.
func (s *session) fill(dst []byte, limit int, now int64) []byte {
	n := min(len(s.group), limit)
	if r := s.gen.w.RequestsPerConnection; r > 0 {
		n = min(n, r-s.life)
	}
	for i := range n {
		dst = s.gen.next(dst, &s.group[i])
	}
	s.asked, s.replied, s.sent = n, 0, now
	s.life += n
	return dst
}

// receive checks what came from the server and counts each completed request in r. A byte that nothing asked for is a wrong reply too.
func (s *session) receive(in []byte, now int64, r *recorder) error {
	r.BytesIn += int64(len(in))
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
			r.complete(p, s.check.take(), now-s.sent)
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

// reconnect makes the session ready for a new connection. Requests without a reply are forgotten; it returns their number.
func (s *session) reconnect() int {
	lost := s.asked - s.replied
	s.check.reset()
	s.asked, s.replied, s.life = 0, 0, 0
	return lost
}
