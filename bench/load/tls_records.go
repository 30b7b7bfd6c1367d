package load

import (
	"crypto/tls"
	"fmt"
	"io"
	"syscall"

	"ringcached/internal/handshake"
	"ringcached/internal/record"
	"ringcached/ring"
)

// records encrypts the connections of a load thread. A connection's number is that of its keys.
type records struct {
	config  *tls.Config // of handshakes
	ciphers *record.Ciphers
	plain   []byte // a group of requests that is about to be sealed
	session Session
}

// Session is what the last handshake of a load has agreed on.
type Session struct {
	Version string `json:"version"`
	Suite   string `json:"cipher_suite"`
}

func (s Session) String() string { return s.Version + ", " + s.Suite }

// secure is what a connection over TLS has beside what a plain one has.
type secure struct {
	state    record.State
	greeting *greeting // the handshake, nil: it is over, or did not begin
	partial  []byte    // the beginning of a record
	need     int       // how long partial has to become
}

// encrypt makes the thread's connections ones over TLS, with handshakes of a configuration.
func (t *thread) encrypt(config *tls.Config) {
	c := record.New(2*len(t.conns), ring.Map)
	c.Unmap = ring.Unmap
	t.records = &records{config: config, ciphers: c}
	for i := range t.conns {
		t.conns[i].secure = &secure{}
	}
}

// close zeroes the keys of all connections, and ends handshakes that are not over.
func (r *records) close(conns []conn) {
	for i := range conns {
		r.drop(&conns[i])
	}
	_ = r.ciphers.Close() // memory that cannot be unmapped is lost, and zero
}

// drop makes a connection ready for another socket.
func (r *records) drop(c *conn) {
	if g := c.secure.greeting; g != nil {
		g.stop()
		c.secure.greeting = nil
	}
	r.ciphers.Drop(uint32(c.index), &c.secure.state)
	c.secure.partial = c.secure.partial[:0]
}

// start makes the secrets of a handshake those of a connection.
func (r *records) start(c *conn, result *handshake.Result) error {
	defer result.Secrets.Zero()
	r.session = Session{tls.VersionName(result.Version), tls.CipherSuiteName(result.Suite)}
	return c.secure.state.Start(&result.Secrets)
}

// sealedMax is how long at most n bytes become when they are sealed, behind a KeyUpdate for each record.
func sealedMax(n int) int {
	return n + (n/record.MaxPlain+1)*(record.MaxOverhead+record.KeyUpdateLen)
}

// seal appends plain to dst, sealed; dst has room for sealedMax.
func (r *records) seal(c *conn, dst, plain []byte) []byte {
	slot, s := uint32(c.index), &c.secure.state
	for len(plain) > 0 {
		if s.KeyUpdateDue() {
			dst = r.ciphers.AppendKeyUpdate(slot, s, dst, false)
		}
		n := min(len(plain), record.MaxPlain)
		dst = dst[:len(dst)+r.ciphers.SealCopy(slot, s, dst[len(dst):cap(dst)], plain[:n])]
		plain = plain[n:]
	}
	return dst
}

// open opens the records in what came, in place, and hands the session what is in them. Part of a record is kept until the rest comes.
func (r *records) open(c *conn, in []byte, at int64, rec *recorder) error {
	s := c.secure
	for len(in) > 0 {
		if len(s.partial) == 0 {
			used, need, err := r.openOne(c, in, at, rec)
			if err != nil {
				return err
			}
			if in = in[used:]; need > 0 {
				s.partial, s.need = append(s.partial, in...), need
				return nil
			}
			continue
		}
		n := min(s.need-len(s.partial), len(in))
		s.partial, in = append(s.partial, in[:n]...), in[n:]
		used, need, err := r.openOne(c, s.partial, at, rec)
		if err != nil {
			return err
		}
		if s.need = need; used > 0 { // it was a whole one
			s.partial = s.partial[:0]
		}
	}
	return nil
}

// openOne opens the record at the front of in. It returns its length, or how many bytes there have to be.
func (r *records) openOne(c *conn, in []byte, at int64, rec *recorder) (used, need int, err error) {
	plain, used, event := r.ciphers.Open(uint32(c.index), &c.secure.state, in)
	switch event.Kind {
	case record.EventData:
		return used, 0, c.consume(plain, at, rec)
	case record.EventNeed:
		return 0, event.Need, nil
	case record.EventAlert:
		return 0, 0, fmt.Errorf("the server sent the TLS alert %v", event.Alert)
	case record.EventFatal:
		return 0, 0, &WrongReply{Problem: fmt.Sprintf("a TLS record deserves the alert %v", event.Alert)}
	case record.EventClosed, record.EventEnded:
		return 0, 0, ErrClosedEarly
	}
	return used, 0, nil // nothing for the session: a session ticket, a KeyUpdate
}

// farewell says close_notify, as clients do that are done.
func (r *records) farewell(c *conn) {
	var room [record.AlertLen]byte
	_, _ = sendNow(c.fd, r.ciphers.AppendAlert(uint32(c.index), &c.secure.state, room[:0], record.CloseNotify))
}

// greet begins the handshake of a connection that is open.
func (t *thread) greet(c *conn) error {
	c.secure.greeting = newGreeting(c.fd, t.records.config)
	return t.greeted(c, nil, nil, false, Now())
}

// greeted goes on with a handshake. over is why no more comes, and more says that the receive goes on, as of received.
func (t *thread) greeted(c *conn, in []byte, over error, more bool, at int64) error {
	c.receiving = more
	g := c.secure.greeting
	rest, done := g.take(in, over)
	if !done {
		if !more {
			c.receiving = true
			return t.receive(c)
		}
		return nil
	}
	c.secure.greeting = nil
	if g.err != nil {
		return fmt.Errorf("connecting: %w", handshakeFailed(g.err))
	}
	if err := t.records.start(c, &g.result); err != nil {
		return err
	}
	if g.result.Outcome == handshake.Resumed {
		t.rec.Resumed++
	}
	t.opened(c)
	return t.records.open(c, rest, at, t.rec) // of a session ticket at most: nothing was asked
}

// endOf is why nothing more comes after a receive's result, nil if something may.
func endOf(res int32) error {
	switch {
	case res == 0:
		return io.EOF
	case res < 0 && syscall.Errno(-res) != syscall.ENOBUFS:
		return syscall.Errno(-res)
	}
	return nil
}
