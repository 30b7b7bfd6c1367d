package bench

import (
	"bytes"
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
)

// AttackCounts is what attackers did.
type AttackCounts struct {
	Requests    int64  `json:"requests"` // where replies are read those that were answered; headers, connections or datagrams in other loads
	Bytes       int64  `json:"bytes"`    // sent
	Connections int64  `json:"connections"`
	Closed      int64  `json:"closed"`            // connections that the server closed or reset
	Replies     int64  `json:"replies,omitempty"` // datagrams
	ReplyBytes  int64  `json:"reply_bytes,omitempty"`
	Answer      string `json:"answer,omitempty"` // the first line that the server sent
}

// attack is a swarm under way. One thread serves all its connections, which never block it. It runs only when nothing else wants its core, so that the
// polite client, which shares it, is not late.
type attack struct {
	swarm  *swarm
	to     netip.AddrPort
	conns  []attacker
	in     []byte
	counts AttackCounts
	done   atomic.Int64 // requests, for those who wait until the attack has begun
	opened atomic.Int64 // connections, likewise
	stop   atomic.Bool
	ended  chan struct{}
}

// attacker is one connection.
type attacker struct {
	fd      int // -1: none
	open    []byte
	batch   []byte
	out     []byte // still to be sent
	pending bool   // what is sent ends a request, or more, that is not counted
	awaits  bool   // the reply to a batch
	tail    []byte // the last bytes of it
	next    int64  // when it does something by itself
	turn    int    // of the datagrams, or of batch and then
}

const (
	// attackRead is how much of a reply is taken at once.
	attackRead = 256 << 10
	// attackTail is the longest end of a reply.
	attackTail = 64
	// attackRetry is how long an attacker waits before it connects again.
	attackRetry = int64(50 * time.Millisecond)
	// attackLook is between two looks of a silent attacker whether the server has closed its connection.
	attackLook = int64(100 * time.Millisecond)
	// attackNap is how long the thread sleeps when no connection can go on.
	attackNap = 200 * time.Microsecond
	// attackBuffer is what the kernel may keep, either way, for who does not read: it is the server's memory that is to be seen.
	attackBuffer = 16 << 10
	// datagramBuffer is that for replies over UDP.
	datagramBuffer = 8 << 20
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
	for i := range n {
		render := func(text string) []byte { return []byte(strings.ReplaceAll(text, "{n}", strconv.Itoa(i))) }
		c := attacker{fd: -1}
		if len(s.datagrams) == 0 {
			c.open, c.batch = render(s.open), render(s.batch)
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
			moved = a.step(&a.conns[i], now()) || moved
		}
		a.done.Store(a.counts.Requests)
		a.opened.Store(a.counts.Connections)
		if !moved {
			ts := syscall.NsecToTimespec(int64(attackNap))
			_ = syscall.Nanosleep(&ts, nil)
		}
	}
	for i := range a.conns {
		a.hangUp(&a.conns[i])
	}
}

// end stops the attackers and returns what they did.
func (a *attack) end() AttackCounts {
	a.stop.Store(true)
	<-a.ended
	return a.counts
}

// begun reports that every attacker has had a connection, and the server a request where there are any.
func (a *attack) begun() bool {
	return a.opened.Load() >= int64(len(a.conns)) && (a.done.Load() > 0 || a.swarm.open == "" && a.swarm.batch == "")
}

// step does what the attacker can do now, and says whether that was anything.
func (a *attack) step(c *attacker, at int64) (moved bool) {
	if c.fd < 0 {
		if at < c.next {
			return false
		}
		return a.connect(c, at)
	}
	if len(a.swarm.datagrams) > 0 {
		return a.stepDatagram(c, at)
	}
	if a.swarm.churn {
		a.counts.Requests++
		a.hangUp(c)
		return true
	}
	if len(c.out) == 0 {
		a.refill(c, at)
	}
	if len(c.out) > 0 {
		return a.send(c, at)
	}
	if c.awaits {
		return a.receive(c, at)
	}
	if at >= c.next && !a.swarm.drips {
		c.next = at + attackLook
		return a.receive(c, at)
	}
	return false
}

// refill chooses what the attacker sends next, if anything.
func (a *attack) refill(c *attacker, at int64) {
	switch s := a.swarm; {
	case s.drips && at >= c.next:
		c.out, c.next = []byte("x"), at+int64(time.Second)
	case s.batch != "" && !c.awaits && (s.pace == 0 || at >= c.next):
		c.out, c.awaits, c.pending = c.batch, s.reads, !s.reads
		if c.turn++; s.then != "" && c.turn%2 == 0 {
			c.out = []byte(s.then)
		}
	}
}

func (a *attack) connect(c *attacker, at int64) bool {
	kind := syscall.SOCK_STREAM
	if len(a.swarm.datagrams) > 0 {
		kind = syscall.SOCK_DGRAM
	}
	fd, err := syscall.Socket(syscall.AF_INET, kind|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err == nil {
		switch {
		case kind == syscall.SOCK_DGRAM:
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, datagramBuffer) // root's; others have what they have
		case !a.swarm.reads:
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, attackBuffer)
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, attackBuffer)
		}
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(a.to.Port()), Addr: a.to.Addr().As4()})
	}
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
		c.next = at + attackRetry
		return false
	}
	a.counts.Connections++
	*c = attacker{fd: fd, open: c.open, batch: c.batch, out: c.open, pending: len(c.open) > 0 && a.swarm.batch == ""}
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
	c.next = at + attackRetry
	return true
}

func (a *attack) send(c *attacker, at int64) bool {
	n, err := syscall.Write(c.fd, c.out)
	switch {
	case errors.Is(err, syscall.EAGAIN) && a.swarm.reads:
		return a.receive(c, at) // a server that cannot get rid of its replies does not read either
	case errors.Is(err, syscall.EAGAIN):
		return false
	case err != nil:
		return a.lose(c, at)
	}
	a.counts.Bytes += int64(n)
	if c.out = c.out[n:]; len(c.out) == 0 && c.pending {
		c.pending = false
		a.counts.Requests += int64(max(a.swarm.count, 1))
	}
	return true
}

// receive takes what has come, and notes when that is the end of the reply to a batch.
func (a *attack) receive(c *attacker, at int64) bool {
	n, err := syscall.Read(c.fd, a.in)
	switch {
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOTCONN):
		return false
	case err != nil || n == 0:
		return a.lose(c, at)
	}
	in := a.in[:n]
	a.counts.ReplyBytes += int64(n)
	a.note(in)
	c.tail = append(c.tail, in[max(0, n-attackTail):]...)
	c.tail = c.tail[max(0, len(c.tail)-attackTail):]
	ends := func(end string) bool { return bytes.HasSuffix(c.tail, []byte(end)) }
	if c.awaits && len(c.out) == 0 && slices.ContainsFunc(a.swarm.until, ends) {
		c.awaits, c.tail = false, c.tail[:0]
		a.counts.Requests += int64(a.swarm.count)
		c.next = at + int64(a.swarm.pace)*int64(time.Millisecond)
	}
	return true
}

// note keeps the first line of the first reply.
func (a *attack) note(in []byte) {
	if a.counts.Answer == "" {
		line, _, _ := bytes.Cut(in, []byte("\r\n"))
		a.counts.Answer = string(line[:min(len(line), 60)])
	}
}

// stepDatagram takes the datagrams that have come, and sends the next one when there were none for a while.
func (a *attack) stepDatagram(c *attacker, at int64) bool {
	n, err := syscall.Read(c.fd, a.in)
	if err == nil {
		a.counts.Replies++
		a.counts.ReplyBytes += int64(n)
		a.note(a.in[min(n, len(udpFrame)):n])
		c.next = at + int64(a.swarm.patience)*int64(time.Millisecond)
		return true
	}
	if at < c.next {
		return false
	}
	datagram := a.swarm.datagrams[c.turn%len(a.swarm.datagrams)]
	c.turn++
	c.next = at + int64(a.swarm.patience)*int64(time.Millisecond)
	if n, err := syscall.Write(c.fd, []byte(datagram)); err == nil {
		a.counts.Requests++
		a.counts.Bytes += int64(n)
	}
	return true
}
