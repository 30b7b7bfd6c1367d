package soak

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errCut is the end of a connection that may end: its server has handed over, or it did not read for long.
var errCut = errors.New("cut off")

// client is a connection of one goroutine.
type client struct {
	net.Conn                // over TLS, if it speaks that
	tcp        *net.TCPConn // what is below it, or itself
	in         *bufio.Reader
	s          *server
	r          *rand.Rand
	generation int64 // of the server when it connected
	mayBeCut   bool  // at any time
}

// dial connects, every third time over TLS.
func (s *server) dial(r *rand.Rand) (*client, error) {
	if r.IntN(3) > 0 {
		return s.connect(r, s.tcp)
	}
	c, err := s.connect(r, s.secure)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(c.tcp, s.trust)
	_ = c.tcp.SetDeadline(time.Now().Add(patience))
	if err := secure.Handshake(); err != nil {
		c.Close()
		return nil, c.judge(err)
	}
	_ = c.tcp.SetDeadline(time.Time{})
	c.Conn, c.in = secure, bufio.NewReader(secure)
	return c, nil
}

// connect makes a connection without TLS to one of the server's addresses.
func (s *server) connect(r *rand.Rand, addr string) (*client, error) {
	generation := s.generation.Load()
	// Ports of connections that we close first stay in use for a minute, so one address has too few.
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+r.IntN(250)))}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w", err), s.dead())
	}
	return &client{Conn: conn, tcp: conn.(*net.TCPConn), in: bufio.NewReader(conn), s: s, r: r, generation: generation}, nil
}

// isEnd reports that an error is what an ended connection gives.
func isEnd(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ENOTCONN} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// judge tells an end of the connection that is in order from others.
func (c *client) judge(err error) error {
	switch {
	case err == nil:
		return nil
	case os.IsTimeout(err):
		return fmt.Errorf("no answer for %v: %w", patience, err)
	case !isEnd(err):
		return err
	case c.mayBeCut || c.generation%2 == 1 || c.generation != c.s.generation.Load():
		return errCut
	}
	return errors.Join(fmt.Errorf("cut off without a hand-over: %w", err), c.s.dead())
}

func (c *client) say(text []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write(text)
	return c.judge(err)
}

// line reads a line without its end.
func (c *client) line() (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", c.judge(err)
	}
	return strings.TrimSuffix(line, "\r\n"), nil
}

// bytes reads n bytes.
func (c *client) bytes(n int) ([]byte, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, n)
	_, err := io.ReadFull(c.in, b)
	return b, c.judge(err)
}

// value reads a value of n bytes and the end of its line, and checks it.
func (c *client) value(key string, n int) error {
	b, err := c.bytes(n + 2)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		return fmt.Errorf("WRONG BYTES: the value of %s, %d bytes, ends in %q", key, n, b[n:])
	}
	return checkValue(key, b[:n])
}

// anyOf reads a line that is one of these.
func (c *client) anyOf(lines ...string) error {
	got, err := c.line()
	if err != nil {
		return err
	}
	for _, want := range lines {
		if got == want {
			return nil
		}
	}
	return fmt.Errorf("WRONG REPLY: %.100q, want one of %q", got, lines)
}

// reset closes the connection with RST.
func (c *client) reset() {
	_ = c.tcp.SetLinger(0)
	c.tcp.Close()
}

// closeWrite ends what the client says: by FIN, or over TLS by close_notify.
func (c *client) closeWrite() error {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		return secure.CloseWrite()
	}
	return c.tcp.CloseWrite()
}

// stored are the answers to a set of whatever kind that works, or for which there is no memory.
var stored = []string{"STORED", "SERVER_ERROR out of memory storing object"}

// values reads the reply to a get of the keys: those that are there, in their order.
func (c *client) values(keys []string, cas bool) error {
	fields := 4
	if cas {
		fields = 5
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "END" {
			return nil
		}
		f := strings.Fields(line)
		if len(f) != fields || f[0] != "VALUE" {
			return fmt.Errorf("WRONG REPLY: %.100q to a get", line)
		}
		for len(keys) > 0 && keys[0] != f[1] {
			keys = keys[1:]
		}
		if len(keys) == 0 {
			return fmt.Errorf("WRONG REPLY: %.100q to a get of other keys, or in another order", line)
		}
		keys = keys[1:]
		n, err := strconv.Atoi(f[3])
		if err != nil {
			return fmt.Errorf("WRONG REPLY: %.100q to a get", line)
		}
		if err := c.value(f[1], n); err != nil {
			return err
		}
	}
}

// pipeline is requests that are sent at once, and how their replies are read.
type pipeline struct {
	requests bytes.Buffer
	replies  []func() error
}

func (p *pipeline) add(reply func() error, format string, args ...any) {
	fmt.Fprintf(&p.requests, format, args...)
	if reply != nil {
		p.replies = append(p.replies, reply)
	}
}

// exchange sends the requests, while it reads the replies: the server stops reading from who does not.
func (c *client) exchange(p *pipeline) error {
	said := make(chan error, 1)
	go func() { said <- c.say(p.requests.Bytes()) }()
	for _, reply := range p.replies {
		if err := reply(); err != nil {
			c.Close() // ends the saying
			<-said
			return err
		}
	}
	return <-said
}
