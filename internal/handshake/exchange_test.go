package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"ringcached/internal/record"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// dial makes a connection of TCP, with both ends.
func dial(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dialed.Close()
		accepted.Close()
	})
	if err := dialed.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}

// ended is what Do returned, and what the client's side did.
type ended struct {
	Result
	err       error
	clientErr error
	client    *tls.Conn
	conn      net.Conn // the server's end
}

// meet lets a client of crypto/tls do a handshake with server. If refused is expected, the client then waits for what the server sends, for
// that is how a client of TLS 1.3 learns that its certificate is not good, and hangs up.
func meet(t testing.TB, server *Server, peer Peer, config *tls.Config, refused bool) (e ended) {
	t.Helper()
	near, far := dial(t)
	e.conn = near
	e.client = tls.Client(far, config)
	clientDone := make(chan error)
	go func() {
		err := e.client.Handshake()
		if refused {
			if err == nil {
				_, err = e.client.Read(make([]byte, 1))
			}
			far.Close()
		}
		clientDone <- err
	}()
	e.Result, e.err = server.Do(near, time.Now().Add(patience), peer)
	if e.err != nil && !refused {
		far.Close()
	}
	e.clientErr = <-clientDone
	return e
}

// line is a server's connection after a handshake, through package record.
type line struct {
	t       testing.TB
	conn    net.Conn
	ciphers *record.Ciphers
	state   record.State
	input   []byte // not opened yet
}

func newLine(t testing.TB, e *ended) *line {
	t.Helper()
	l := &line{t: t, conn: e.conn, input: e.Leftover}
	l.ciphers = record.New(4, func(n int) ([]byte, error) { return make([]byte, n), nil })
	if err := l.state.Start(&e.Secrets); err != nil {
		t.Fatal(err)
	}
	e.Secrets.Zero()
	return l
}

// read returns the next data of the client's.
func (l *line) read() (string, error) {
	buffer := make([]byte, 32<<10)
	for {
		plain, used, event := l.ciphers.Open(1, &l.state, l.input)
		switch event.Kind {
		case record.EventData:
			text := string(plain)
			l.input = l.input[used:]
			return text, nil
		case record.EventNone, record.EventKeyUpdate:
			l.input = l.input[used:]
			continue
		case record.EventNeed:
		default:
			return "", errors.New("not data")
		}
		n, err := l.conn.Read(buffer)
		if err != nil {
			return "", err
		}
		l.input = append(bytes.Clone(l.input), buffer[:n]...)
	}
}

// write sends a text in one record.
func (l *line) write(text string) {
	l.t.Helper()
	record := make([]byte, len(text)+l.state.Overhead())
	n := l.ciphers.SealCopy(1, &l.state, record, []byte(text))
	if n == 0 {
		l.t.Fatal("nothing was sealed")
	}
	if _, err := l.conn.Write(record[:n]); err != nil {
		l.t.Fatal(err)
	}
}

// talk goes on after a handshake, over package record: some texts each way. It fails if a number in a sequence is wrong.
func talk(t testing.TB, e *ended) {
	t.Helper()
	l := newLine(t, e)
	for _, text := range []string{"get a\r\n", "x", string(bytes.Repeat([]byte("y"), 10000))} {
		if _, err := e.client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		for got := ""; got != text; {
			more, err := l.read()
			if err != nil {
				t.Fatalf("reading %d bytes: %v", len(text), err)
			}
			got += more
			if len(got) > len(text) {
				t.Fatalf("%d bytes came of %d", len(got), len(text))
			}
		}
		l.write(text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(e.client, got); err != nil || string(got) != text {
			t.Fatalf("the client read %d bytes: %v", len(got), err)
		}
	}
}
