package conversation

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// silence is how long a server may take to answer.
const silence = 20 * time.Second

// RunConn holds the conversation over connections that dial makes, to a server that was started with the script's Flags. The server may
// have been used: it is flushed and its statistics are reset first, unless it is not for everybody to talk to. Dial fails the test by
// itself if it cannot connect.
func (s *Script) RunConn(t testing.TB, dial func() net.Conn, mode Mode) {
	t.Helper()
	if !slices.Contains(s.Flags, "-Y") && !slices.Contains(s.Flags, "-B") {
		clean(t, dial)
	}
	p := &connPeer{dial: dial}
	defer func() { _ = p.hangup() }()
	s.run(t, p, mode)
}

// clean makes a server as good as new. What it answers is of no interest: flush_all may be forbidden.
func clean(t testing.TB, dial func() net.Conn) {
	t.Helper()
	c := dial()
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(silence))
	if _, err := io.WriteString(c, "flush_all\r\nverbosity 0\r\nstats reset\r\nquit\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("preparing the server: %v", err)
	}
}

// connPeer is a server on the network.
type connPeer struct {
	dial func() net.Conn
	conn net.Conn
	said chan struct{} // closed when everything was written
}

func (p *connPeer) connect() error {
	p.conn = p.dial()
	return nil
}

// say writes beside the reading, since a server may stop reading while its answers are not taken. It fails only when the server has closed,
// which the conversation notices in what it reads.
func (p *connPeer) say(b []byte, split bool) error {
	before, done, c := p.said, make(chan struct{}), p.conn
	p.said = done
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		_ = c.SetWriteDeadline(time.Now().Add(silence))
		if !split {
			_, _ = c.Write(b)
			return
		}
		for piece := range cut(b) {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}()
	return nil
}

func (p *connPeer) wait(seconds int) error {
	time.Sleep(time.Duration(seconds) * time.Second)
	return nil
}

func (p *connPeer) realTime() bool { return true }

// Read implements peer.
func (p *connPeer) Read(b []byte) (int, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(silence))
	n, err := p.conn.Read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errSilent
	case errors.Is(err, syscall.ECONNRESET):
		err = io.EOF // closed while we were still sending
	}
	return n, err
}

func (p *connPeer) hangup() error {
	if p.conn == nil {
		return nil
	}
	err := p.conn.Close()
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = nil // TLS says goodbye, to a server that has gone
	}
	if p.said != nil {
		<-p.said
	}
	p.conn, p.said = nil, nil
	return err
}
