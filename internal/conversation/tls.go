package conversation

import (
	"crypto/tls"
	"net"
	"testing"
)

// RunTLS is RunConn over TLS, with what config says. Dial makes the connections below it, which are plain. In a split conversation each byte that is said
// has a record of its own, and each record comes in two pieces; in a pipeline a record has as many requests as there is room for.
func (s *Script) RunTLS(t testing.TB, dial func() net.Conn, config *tls.Config, mode Mode) {
	t.Helper()
	config = config.Clone()
	config.DynamicRecordSizingDisabled = mode == Pipelined // else records are short in the beginning
	s.RunConn(t, func() net.Conn {
		c := dial()
		if mode == Split {
			c = &cutConn{Conn: c}
		}
		return tls.Client(c, config)
	}, mode)
}

// cutConn is a connection that cuts what is written in two, each time a byte further on: so the records of a conversation are cut everywhere.
type cutConn struct {
	net.Conn
	at int
}

// Write implements net.Conn.
func (c *cutConn) Write(b []byte) (int, error) {
	c.at++
	at := c.at % max(len(b), 1)
	n, err := c.Conn.Write(b[:at])
	if err != nil {
		return n, err
	}
	m, err := c.Conn.Write(b[at:])
	return n + m, err
}
