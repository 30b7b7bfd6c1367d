package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connectionsMost is how many connections are open at a time. More wait in the listener's queue.
const connectionsMost = 64

// FilesMost is how many descriptors a Server has at the most: those of its connections, of the listener, and of its copy for another process.
const FilesMost = connectionsMost + 2

// crowdedTime is how often room is asked for while there is none.
const crowdedTime = 100 * time.Millisecond

// listener is a net.Listener with a bound on the connections that it has accepted and that are not closed.
type listener struct {
	net.Listener
	crowded func() // is called when there is no room: asks for some

	room   chan struct{} // has an element for each connection
	closed chan struct{}
	once   sync.Once
}

func newListener(l net.Listener, crowded func()) *listener {
	return &listener{Listener: l, crowded: crowded, room: make(chan struct{}, connectionsMost), closed: make(chan struct{})}
}

// Accept waits for room, and then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	if !l.enter() {
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &connection{Conn: conn, room: l.room}, nil
}

// enter waits for room, and takes it. False: the listener is closed.
func (l *listener) enter() bool {
	for {
		if l.full() {
			l.crowded()
		}
		select {
		case l.room <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-time.After(crowdedTime):
		}
	}
}

// full reports whether a further connection would wait.
func (l *listener) full() bool { return len(l.room) == cap(l.room) }

// Close closes the listener; connections stay.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// connection makes room when it is closed.
type connection struct {
	net.Conn
	room <-chan struct{}
	once sync.Once
}

func (c *connection) Close() error {
	c.once.Do(func() { <-c.room })
	return c.Conn.Close()
}

// requestGap is the least time from one request of a connection to the next: a client that asks without end is to take no core for that.
const requestGap = 10 * time.Millisecond

// paceKey is the key of a connection's *pace in the context of its requests.
type paceKey struct{}

// pace is when a connection had its last request answered. Only the goroutine that serves the connection uses it.
type pace struct{ last time.Time }

func withPace(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, paceKey{}, new(pace))
}

// paced waits until the request may be answered.
func paced(r *http.Request) {
	p := r.Context().Value(paceKey{}).(*pace) // each connection has one
	time.Sleep(requestGap - time.Since(p.last))
	p.last = time.Now()
}
