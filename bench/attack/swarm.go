package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"ringcached/bench/load"
)

// Counts is what attackers did.
type Counts struct {
	Requests    int64  `json:"requests"` // if replies are read, those that were answered, else what was sent or opened
	Bytes       int64  `json:"bytes"`    // sent
	Connections int64  `json:"connections"`
	Closed      int64  `json:"closed"` // connections that the server closed or reset
	Datagrams   int64  `json:"datagrams,omitempty"`
	Replies     int64  `json:"replies,omitempty"` // datagrams, too
	ReplyBytes  int64  `json:"reply_bytes,omitempty"`
	Answer      string `json:"answer,omitempty"` // the first line that the server sent
}

// attack is a swarm under way. One thread serves all its connections, which never block it. It runs only when nothing
// else wants its core, so that the polite client, which shares it, is not late.
type attack struct {
	*swarm
	reads  bool // replies
	again  int  // the first step that is not for once
	to     netip.AddrPort
	conns  []attacker
	in     []byte
	counts Counts
	begun  atomic.Bool // every attacker has had a connection, and the server a request where there are any
	stop   atomic.Bool
	ended  chan struct{}
}

// attacker is one connection.
type attacker struct {
	fd     int      // -1: none
	texts  [][]byte // of the steps
	turn   int      // the step that is next or under way; behind the last one: it is silent
	out    []byte   // of the step, still to be sent
	awaits bool     // the reply to the step
	tail   []byte   // the last bytes of it
	pace   int      // milliseconds, of the last step
	next   int64    // when it does something by itself
}

const (
	attackRead  = 256 << 10              // how much of a reply is taken at once
	attackTail  = 64                     // the longest end of a reply
	attackRetry = 50                     // milliseconds before an attacker connects again
	attackLook  = 100                    // milliseconds between two looks whether a silent attacker's connection is closed
	attackNap   = 200 * time.Microsecond // of the thread, when no connection can go on
	// attackBuffer is what the kernel may keep, either way, for who does not read: it is the server's memory that is to
	// be seen. datagramBuffer is for replies over UDP.
	attackBuffer, datagramBuffer = 16 << 10, 8 << 20
)

// attackPolicy is how the thread of an attack is scheduled: SCHED_IDLE of sched(7).
var attackPolicy = 5

// startAttack starts n attackers of the swarm on a server of this host.
func startAttack(s *swarm, addr string, n int) (*attack, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || !to.Addr().IsLoopback() || !to.Addr().Is4() {
		return nil, fmt.Errorf("attacks are for servers on 127.0.0.0/8 alone, not %s", addr)
	}
	a := &attack{swarm: s, to: to, in: make([]byte, attackRead), ended: make(chan struct{})}
	a.reads = slices.ContainsFunc(s.Steps, func(s step) bool { return len(s.Until) > 0 })
	for a.again < len(s.Steps) && s.Steps[a.again].Once {
		a.again++
	}
	for i := range n {
		c := attacker{fd: -1}
		for _, s := range s.Steps {
			c.texts = append(c.texts, []byte(strings.ReplaceAll(s.Send, "$n", strconv.Itoa(i))))
		}
		a.conns = append(a.conns, c)
	}
	go a.run()
	return a, nil
}

// run serves the connections until the attack is stopped, and closes them.
func (a *attack) run() {
	runtime.LockOSThread() // never unlocked: the thread, whose policy nobody else should have, ends with the goroutine
	defer close(a.ended)
	var param int32 // struct sched_param
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, uintptr(attackPolicy), uintptr(unsafe.Pointer(&param)))
	for !a.stop.Load() {
		moved := false
		for i := range a.conns {
			moved = a.step(&a.conns[i], load.Now()) || moved
		}
		a.begun.Store(a.counts.Connections >= int64(len(a.conns)) && (len(a.Steps) == 0 || a.counts.Requests > 0))
		if !moved {
			load.SleepUntil(context.Background(), load.Now()+int64(attackNap))
		}
	}
	for i := range a.conns {
		a.hangUp(&a.conns[i])
	}
}

// end stops the attackers and returns what they did.
func (a *attack) end() Counts {
	a.stop.Store(true)
	<-a.ended
	return a.counts
}

// step does what the attacker can do now, and says whether that was anything.
func (a *attack) step(c *attacker, at int64) (moved bool) {
	switch {
	case c.fd < 0:
		return at >= c.next && a.connect(c, at)
	case len(c.out) > 0:
		return a.send(c, at)
	case c.awaits:
		return a.receive(c, at)
	case a.UDP && a.receive(c, at):
		return true
	case at < c.next:
		return false
	case c.turn == len(a.Steps):
		c.wait(at, attackLook)
		return a.receive(c, at)
	case a.Steps[c.turn].HangUp:
		a.over(c, at)
		a.hangUp(c)
		return true
	}
	c.out, c.awaits = c.texts[c.turn], len(a.Steps[c.turn].Until) > 0
	return a.send(c, at)
}

// over counts the step that is complete. The next one is due after its pace.
func (a *attack) over(c *attacker, at int64) {
	a.counts.Requests += int64(a.Steps[c.turn].Count)
	if a.UDP {
		a.counts.Datagrams++
	}
	c.pace = a.Steps[c.turn].Pace
	c.wait(at, c.pace)
	if c.turn++; c.turn == len(a.Steps) {
		c.turn = a.again
	}
}

// wait lets the attacker do nothing by itself for some milliseconds.
func (c *attacker) wait(at int64, ms int) { c.next = at + int64(ms)*int64(time.Millisecond) }

func (a *attack) connect(c *attacker, at int64) bool {
	kind := syscall.SOCK_STREAM
	if a.UDP {
		kind = syscall.SOCK_DGRAM
	}
	fd, err := syscall.Socket(syscall.AF_INET, kind|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err == nil {
		c.fd = fd
		if kind == syscall.SOCK_DGRAM {
			// root's; others have what they have
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, datagramBuffer)
		} else if !a.reads {
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, attackBuffer)
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, attackBuffer)
		}
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(a.to.Port()), Addr: a.to.Addr().As4()})
	}
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		a.hangUp(c)
		c.wait(at, attackRetry)
		return false
	}
	a.counts.Connections++
	*c = attacker{fd: fd, texts: c.texts}
	return true
}

// hangUp resets the connection: none is left in TIME_WAIT.
func (a *attack) hangUp(c *attacker) {
	if c.fd >= 0 {
		_ = syscall.SetsockoptLinger(c.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		_ = syscall.Close(c.fd)
		c.fd = -1
	}
}

// lose gives up a connection that the server does not want. The attacker comes again.
func (a *attack) lose(c *attacker, at int64) bool {
	a.counts.Closed++
	a.hangUp(c)
	c.wait(at, attackRetry)
	return true
}

func (a *attack) send(c *attacker, at int64) bool {
	n, err := syscall.Write(c.fd, c.out)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return a.reads && a.receive(c, at) // a server that cannot get rid of its replies does not read either
	case err != nil:
		return a.lose(c, at)
	}
	a.counts.Bytes += int64(n)
	if c.out = c.out[n:]; len(c.out) == 0 && !c.awaits {
		a.over(c, at)
	}
	return true
}

// receive takes what has come, and notes when that is the end of the reply to a batch.
func (a *attack) receive(c *attacker, at int64) bool {
	n, err := syscall.Read(c.fd, a.in)
	switch {
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOTCONN):
		return false
	case err != nil || n == 0 && !a.UDP:
		return a.lose(c, at)
	}
	a.counts.ReplyBytes += int64(n)
	text := a.in[:n]
	if a.UDP {
		a.counts.Replies++
		text = text[min(n, udpFrame):]
		c.wait(at, c.pace)
	}
	if a.counts.Answer == "" {
		line, _, _ := bytes.Cut(text, []byte("\r\n"))
		a.counts.Answer = string(line[:min(len(line), 60)])
	}
	c.tail = append(c.tail, a.in[max(0, n-attackTail):n]...)
	c.tail = c.tail[max(0, len(c.tail)-attackTail):]
	ends := func(end string) bool { return bytes.HasSuffix(c.tail, []byte(end)) }
	if c.awaits && len(c.out) == 0 && slices.ContainsFunc(a.Steps[c.turn].Until, ends) {
		c.awaits, c.tail = false, c.tail[:0]
		a.over(c, at)
	}
	return true
}
