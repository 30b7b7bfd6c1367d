package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"ringcached/internal/handshake"
	"ringcached/internal/record"
)

// spoiler is a connection that changes what is written, once it is to.
type spoiler struct {
	net.Conn
	r    *rand.Rand
	bad  bool
	last []byte // that was written before
}

// Write implements net.Conn.
func (s *spoiler) Write(b []byte) (int, error) {
	said := append([]byte{}, b...)
	if s.bad {
		switch s.r.IntN(4) {
		case 0: // another bit
			said[s.r.IntN(len(said))] ^= 1 << s.r.IntN(8)
		case 1: // a record twice
			said = append(append([]byte{}, s.last...), said...)
		case 2: // bytes that are missing
			said = said[:s.r.IntN(len(said))]
		case 3: // something before
			at := s.r.IntN(1 << 16)
			said = append(append([]byte{}, noise[at:at+1+s.r.IntN(100)]...), said...)
		}
	}
	s.last = said
	if _, err := s.Conn.Write(said); err != nil {
		return 0, err
	}
	return len(b), nil
}

// badTLS is a client that the server cannot understand, before its handshake or behind it: it gets an alert or nothing, and no reply.
func badTLS(_ context.Context, s *server, r *rand.Rand) error {
	c, err := s.connect(r, s.secure)
	if err != nil {
		return err
	}
	defer c.tcp.Close()
	c.mayBeCut = true
	_ = c.tcp.SetDeadline(time.Now().Add(patience))
	switch r.IntN(4) {
	case 0: // not TLS
		_, _ = io.WriteString(c.tcp, strings.Repeat("get key-1\r\n", 1+r.IntN(1000)))
		return endsInAlert(c)
	case 1: // a handshake that is broken off
		_, _ = c.tcp.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}[:r.IntN(12)])
		if r.IntN(2) == 0 {
			c.reset()
		}
		return errCut
	}
	between := &spoiler{Conn: c.tcp, r: r}
	secure := tls.Client(between, s.trust)
	if err := secure.Handshake(); err != nil {
		return c.judge(err)
	}
	c.Conn, c.in = secure, bufio.NewReader(secure)
	if err := c.say([]byte("get key-1\r\n")); err != nil {
		return err
	}
	if err := c.values([]string{"key-1"}, false); err != nil {
		return err
	}
	between.bad = true
	for range 2 { // if the first one is only half there, the second cannot be right
		_, _ = secure.Write([]byte("mn\r\n"))
	}
	_ = c.tcp.CloseWrite()
	_ = c.tcp.SetReadDeadline(time.Now().Add(patience))
	said, err := c.in.ReadByte()
	switch {
	case err == nil:
		return fmt.Errorf("WRONG REPLY: %q to a record that was changed", said)
	case os.IsTimeout(err):
		return fmt.Errorf("not closed after %v: %w", patience, err)
	}
	return errCut
}

// endsInAlert reads an alert in the clear, or the end.
func endsInAlert(c *client) error {
	got, err := io.ReadAll(c.tcp)
	if os.IsTimeout(err) || len(got) > 0 && (len(got) != 7 || got[0] != 21) {
		return fmt.Errorf("WRONG REPLY: %.100q, %w to a client without TLS", got, err)
	}
	return errCut
}

// keyUpdates is a client that asks for new keys again and again.
func keyUpdates(_ context.Context, s *server, r *rand.Rand) error {
	c, err := s.connect(r, s.secure)
	if err != nil {
		return err
	}
	defer c.Close()
	config := s.trust.Clone()
	config.MinVersion, config.ClientSessionCache = tls.VersionTLS13, nil
	result, err := handshake.Connect(c.tcp, config, time.Now().Add(patience))
	if err != nil {
		return c.judge(err)
	}
	secure := &updating{Conn: c.tcp, in: result.Leftover, ciphers: record.New(2, func(n int) ([]byte, error) { return make([]byte, n), nil })}
	if err := secure.state.Start(&result.Secrets); err != nil {
		return err
	}
	result.Secrets.Zero()
	c.Conn, c.in = secure, bufio.NewReader(secure)
	for range 5 {
		if err := text(c); err != nil {
			return err
		}
	}
	return nil
}

// updating is a connection over TLS 1.3 that asks for new keys with each record. One goroutine may read while another writes.
type updating struct {
	net.Conn
	mu      sync.Mutex
	ciphers *record.Ciphers
	state   record.State
	in      []byte // received, and not opened
	plain   []byte // opened, and not read
}

// Write implements net.Conn.
func (u *updating) Write(b []byte) (n int, err error) {
	for n < len(b) {
		part := b[n:min(n+record.MaxPlain, len(b))]
		u.mu.Lock()
		said := u.ciphers.AppendKeyUpdate(0, &u.state, nil, true)
		sealed := make([]byte, len(part)+u.state.Overhead())
		said = append(said, sealed[:u.ciphers.SealCopy(0, &u.state, sealed, part)]...)
		u.mu.Unlock()
		if _, err := u.Conn.Write(said); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// Read implements net.Conn.
func (u *updating) Read(b []byte) (int, error) {
	for {
		if n := copy(b, u.plain); n > 0 {
			u.plain = u.plain[n:]
			return n, nil
		}
		u.mu.Lock()
		plain, used, event := u.ciphers.Open(0, &u.state, u.in)
		u.plain = append(u.plain, plain...)
		u.in = u.in[used:]
		u.mu.Unlock()
		switch {
		case len(u.plain) > 0:
			continue
		case event.Kind == record.EventClosed:
			return 0, io.EOF
		case event.Kind > record.EventKeyUpdate:
			return 0, fmt.Errorf("the server sent the alert %v, or a record for which it gets that", event.Alert)
		case event.Kind != record.EventNeed:
			continue
		}
		buffer := make([]byte, 64<<10)
		n, err := u.Conn.Read(buffer)
		if n == 0 {
			return 0, err
		}
		u.in = append(u.in, buffer[:n]...)
	}
}
