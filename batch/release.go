package batch

import (
	"errors"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// release is how far the server is with giving its sockets away.
type release struct {
	wanted atomic.Bool
	let    atomic.Int32  // channels that do not accept any more
	done   chan struct{} // closed when none does
}

// Accept begins to accept connections and to receive datagrams, where Config.Hold has kept the server from it. It is called once, when the
// server is ready.
func (s *Server) Accept() {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.ownsPath = s.unixFD >= 0 && !s.config.UnixStays
	if s.ownsPath {
		_ = unix.Listen(s.unixFD, s.config.Backlog) // from here on the kernel tells peers this process
	}
	if err := s.steer(); err != nil { // not before: until now the sockets were another's
		s.config.log(0, "%v", err)
	}
	s.open.Store(true)
	s.wakeAll()
}

func (s *Server) wakeAll() {
	for _, ch := range s.channels {
		ch.wake()
	}
}

// Listening returns new descriptors of all that is listened on, which are the caller's to close, as Inherit takes them. Those of an address
// come in the kernel's order.
func (s *Server) Listening() (sockets []Passed, err error) {
	s.closing.Lock()
	defer s.closing.Unlock()
	var all []listener
	for _, ch := range s.channels {
		all = append(append(all, ch.listeners...), ch.datagrams...)
	}
	slices.SortStableFunc(all, byIndex)
	if s.unixFD >= 0 {
		all = append(all, listener{fd: s.unixFD})
	}
	for _, l := range all {
		if !l.shared && err == nil {
			if l, err = l.duplicate(); err == nil {
				sockets = append(sockets, Passed{l.fd, l.label})
			}
		}
	}
	if err == nil && len(sockets) == 0 {
		err = errors.New("the server has stopped")
	}
	if err != nil {
		for _, l := range sockets {
			_ = unix.Close(l.FD)
		}
		return nil, err
	}
	return sockets, nil
}

// Release ends accepting connections and receiving datagrams, for good: the sockets are somebody else's who has them too. It returns when
// no channel takes anything from them any more. The connections are served as before. Only a server that was ready may be asked.
func (s *Server) Release() {
	s.closing.Lock()
	s.release.wanted.Store(true)
	s.wakeAll()
	s.closing.Unlock()
	<-s.release.done
}

// followRelease does what Accept and Release want.
func (ch *channel) followRelease() {
	if ch.held && ch.server.open.Load() && !ch.stopping {
		ch.held = false
		ch.engine.accept()
		ch.engine.receiveDatagrams()
	}
	if ch.server.release.wanted.Load() && !ch.releasing {
		ch.releasing = true
		ch.engine.stopAccept()
		ch.engine.stopDatagrams()
	}
}

// endRelease ends the release once the kernel takes nothing more for the channel.
func (ch *channel) endRelease() {
	if ch.engine.quiet() {
		ch.letGo()
	}
}

// letGo counts a channel that does not accept any more, or has ended.
func (ch *channel) letGo() {
	if ch.released {
		return
	}
	ch.released = true
	if r := &ch.server.release; int(r.let.Add(1)) == ch.server.Threads() {
		close(r.done)
	}
}
