package batch

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listener is a socket that is listened on, or one that receives datagrams.
type listener struct {
	fd     int
	addr   netip.AddrPort // not valid: it is the unix socket
	shared bool           // a duplicate of a descriptor that another channel, or the server, has
	index  int            // place among the sockets of the same address
	label  uint8          // for Handler.Open
}

func (l listener) isUnix() bool { return !l.addr.IsValid() }

func closeListeners(ls []listener) {
	for _, l := range ls {
		_ = unix.Close(l.fd)
	}
}

// duplicate is another descriptor of the same socket.
func (l listener) duplicate() (listener, error) {
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 0)
	l.fd, l.shared = fd, true
	return l, os.NewSyscallError("fcntl", err)
}

// duplicates are other descriptors of the TCP sockets among ls.
func duplicates(ls []listener) (others []listener, err error) {
	for _, l := range ls {
		if l.isUnix() {
			continue
		}
		if l, err = l.duplicate(); err != nil {
			return others, err
		}
		others = append(others, l)
	}
	return others, nil
}

// option is a socket option that is switched on.
type option struct{ level, name int }

var (
	streamOptions = append([]option{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR}, // connections in TIME_WAIT are no obstacle
	}, acceptedOptions...)
	// acceptedOptions are those of the listener that accepted connections are to have, too.
	acceptedOptions = []option{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY},
	}
	// joinOption lets a socket have the address of others that have it, too, and are of the same user.
	joinOption = option{unix.SOL_SOCKET, unix.SO_REUSEPORT}
)

// listen opens a listening socket for addr. Each channel has one of its own for every
// address: SO_REUSEPORT lets the kernel spread new connections over them, so that
// accepting shares nothing between cores (MegaPipe's partitioned accept queue); but see
// Config.OneQueue. join is for all sockets of an address but the first, see Server.claim.
// Accepted sockets inherit TCP_NODELAY and SO_KEEPALIVE.
func listen(addr netip.AddrPort, sendQueue int, join bool) (fd int, err error) {
	if fd, err = bound(addr, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, join, streamOptions...); err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, sendQueue); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listening on %v: %w", addr, os.NewSyscallError("listen", err))
	}
	return fd, nil
}

// datagramSocket opens a UDP socket for addr, one for each channel like the listeners:
// the kernel gives all datagrams of one peer to the same channel.
func datagramSocket(addr netip.AddrPort, join bool) (fd int, err error) {
	return bound(addr, unix.SOCK_DGRAM, join)
}

// bound opens a socket of the given type with options, bound to addr.
func bound(addr netip.AddrPort, typ int, join bool, options ...option) (fd int, err error) {
	if join {
		options = append(options[:len(options):len(options)], joinOption)
	}
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	} else {
		// The IPv4 addresses are listened on by themselves.
		options = append(options[:len(options):len(options)], option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY})
	}
	if fd, err = unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("listening on %v: %w", addr, os.NewSyscallError("socket", err))
	}
	for _, o := range options {
		if err = unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			err = os.NewSyscallError("setsockopt", err)
			break
		}
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(addr)))
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listening on %v: %w", addr, err)
	}
	return fd, nil
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if a := addr.Addr(); a.Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: a.As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if zone := addr.Addr().Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(ifi.Index)
		}
	}
	return sa
}

// withBoundPort returns addr with the port that fd is bound to.
func withBoundPort(addr netip.AddrPort, fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return addr, os.NewSyscallError("getsockname", err)
	}
	return netip.AddrPortFrom(addr.Addr(), address(sa, nil).Port()), nil
}

const (
	// endingWait is how long a server waits for an address that no process seems to have. The kernel ends the rings of a process that was
	// killed, and closes the sockets that they accept from, after the process: 100 ms after it with thousands of connections.
	endingWait = 10 * time.Second
	// holderWait is how long it waits for one that a process has, which may be about to end.
	holderWait = time.Second

	claimRetry     = 5 * time.Millisecond // from one try to the next: twice as long each time,
	claimRetryMost = 320 * time.Millisecond
)

// ErrUnwanted says that Config.Unwanted has ended New's wait for an address.
var ErrUnwanted = errors.New("stopped while waiting for an address")

// claims are the sockets that claim addresses. They become the first channel's.
type claims struct{ streams, datagrams []listener }

// claim takes the addresses. If somebody else has one of them it fails.
//
// The first socket of an address does not have SO_REUSEPORT until the kernel has given it the address. (It does so for TCP when the socket
// listens.) So of servers that start at the same moment one gets the address. Then SO_REUSEPORT lets the other channels' sockets join the
// first one. Another server's first socket cannot join, because it does not have the option itself.
func (s *Server) claim() (err error) {
	if in := s.config.Inherited; in != nil {
		s.addrs, s.dgrams, s.config.Unix = addresses(in.streams), in.DatagramAddrs(), in.path
		s.unixFD = in.unixFD
		if s.unixFD >= 0 && !s.config.UnixStays {
			s.file = identify(in.path)
		}
		return nil
	}
	if s.first.streams, err = s.claimAll(s.addrs, unix.SOCK_STREAM); err != nil {
		return err
	}
	if s.first.datagrams, err = s.claimAll(s.dgrams, unix.SOCK_DGRAM); err != nil {
		return err
	}
	if path := s.config.Unix; path != "" {
		var replaced string
		s.unixFD, s.file, replaced, err = listenUnix(path, s.config.UnixMode, s.config.Backlog)
		s.ownsPath = err == nil
		if replaced != "" {
			s.config.log(0, "warning: %s listens on %s too: its connections stay, new ones come here", replaced, path)
		}
	}
	return err
}

// claimAll claims each of the addresses, which get their real ports.
func (s *Server) claimAll(addrs []netip.AddrPort, typ int) ([]listener, error) {
	claimed := make([]listener, len(addrs))
	for i := range claimed {
		claimed[i].fd = -1
	}
	for _, i := range claimOrder(addrs) {
		fd, err := s.await(addrs[i], typ, covered(addrs[i], claimed))
		if err == nil {
			claimed[i].fd = fd
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		}
		if err == nil {
			addrs[i], err = withBoundPort(addrs[i], fd)
			claimed[i].addr = addrs[i]
		}
		if err != nil {
			closeListeners(claimed)
			return nil, err
		}
	}
	return claimed, nil
}

// claimOrder returns the indices of the addresses in the order in which every server claims them: of two servers that want the same
// addresses one gets them all. A wildcard comes before the addresses that it covers.
func claimOrder(addrs []netip.AddrPort) []int {
	order := make([]int, len(addrs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return addrs[a].Compare(addrs[b]) })
	return order
}

// covered tells whether the wildcard of addr's family and port is claimed already: then nobody else has addr, and its socket may join.
func covered(addr netip.AddrPort, claimed []listener) bool {
	return slices.ContainsFunc(claimed, func(l listener) bool {
		return l.fd >= 0 && l.addr.Port() == addr.Port() && l.addr.Addr().IsUnspecified() && l.addr.Addr().BitLen() == addr.Addr().BitLen()
	})
}

// await opens the first socket of an address. While the address is in use it waits, if that can help.
func (s *Server) await(addr netip.AddrPort, typ int, join bool) (fd int, err error) {
	begin, told := time.Now(), false
	for pause := claimRetry; ; pause = min(2*pause, claimRetryMost) {
		if typ == unix.SOCK_DGRAM {
			fd, err = datagramSocket(addr, join)
		} else {
			fd, err = listen(addr, s.config.Backlog, join)
		}
		if !errors.Is(err, unix.EADDRINUSE) || addr.Port() == 0 {
			return fd, err
		}
		h := findHolder(addr, typ)
		if time.Since(begin) >= h.patience() {
			return -1, fmt.Errorf("%w (%s)", err, h)
		}
		if h == (holder{}) && !told {
			told = true
			s.config.log(0, "waiting for %v: it is in use, but by no process that can be seen; perhaps one was killed, and the kernel has not closed its sockets yet", addr)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): // at random: two servers that listen at the same moment can both fail
		case <-s.config.Unwanted:
			return -1, ErrUnwanted
		}
	}
}

// holder is who has an address that this server wants, as far as can be found out. The zero value: no process that can be seen.
type holder struct {
	pid     int
	name    string
	foreign bool // the socket is another user's, whose processes this one cannot look into
}

func (h holder) String() string {
	switch {
	case h.pid != 0:
		return fmt.Sprintf("by process %d, %s", h.pid, h.name)
	case h.foreign:
		return "by another user"
	}
	return "by no process that can be seen"
}

// patience is how long to wait for the address.
func (h holder) patience() time.Duration {
	if h == (holder{}) {
		return endingWait
	}
	return holderWait
}

// findHolder looks for the holder of a TCP or UDP address. It prefers other processes to this one.
func findHolder(addr netip.AddrPort, typ int) (h holder) {
	tables := []string{"tcp", "tcp6"}
	if typ == unix.SOCK_DGRAM {
		tables = []string{"udp", "udp6"}
	}
	if addr.Addr().Is6() {
		tables = tables[1:]
	}
	var links []string
	user := os.Geteuid()
	for _, table := range tables {
		for _, k := range socketsIn("/proc/net/" + table) {
			if typ == unix.SOCK_STREAM && k.state != stateListen || !k.excludes(addr) {
				continue
			}
			links = append(links, "socket:["+k.inode+"]")
			h.foreign = h.foreign || user != 0 && k.user != user
		}
	}
	if len(links) == 0 {
		return h
	}
	for _, pid := range processesWith(links) {
		h = holder{pid: pid}
		if pid != os.Getpid() {
			break
		}
	}
	if h.pid != 0 {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.pid))
		h.name = strings.TrimSpace(string(name))
	}
	return h
}

// processesWith lists the processes that have one of the descriptors, by what /proc links them to.
func processesWith(links []string) (pids []int) {
	names, _ := readNames("/proc")
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		dir := "/proc/" + name + "/fd/"
		fds, _ := readNames(dir)
		if slices.ContainsFunc(fds, func(fd string) bool {
			link, err := os.Readlink(dir + fd)
			return err == nil && slices.Contains(links, link)
		}) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// stateListen is TCP_LISTEN in /proc/net/tcp, which has such sockets first.
const stateListen = 0x0A

// kernelSocket is a line of /proc/net/tcp, tcp6, udp or udp6.
type kernelSocket struct {
	addr  netip.AddrPort
	state uint64
	user  int
	inode string
}

// excludes tells whether nobody else can have addr while somebody has the socket.
func (k kernelSocket) excludes(addr netip.AddrPort) bool {
	a, b := k.addr.Addr().Unmap(), addr.Addr()
	return k.addr.Port() == addr.Port() && (a.IsUnspecified() || b.IsUnspecified() && a.BitLen() == b.BitLen() || a == b.WithZone(""))
}

// socketsIn reads such a file: of TCP's no more than the sockets that are listened on.
func socketsIn(path string) (found []kernelSocket) {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Scan() // the heading
	for lines.Scan() {
		k, ok := parseSocket(lines.Text())
		if !ok || strings.HasPrefix(path, "/proc/net/tcp") && k.state != stateListen {
			break
		}
		found = append(found, k)
	}
	return found
}

// parseSocket takes a line apart: number, address:port, peer, state, queues, timer, retransmits, user, timeout, inode.
func parseSocket(line string) (k kernelSocket, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return k, false
	}
	host, port, _ := strings.Cut(fields[1], ":")
	words, err := hex.DecodeString(host)
	for i := 0; i+4 <= len(words); i += 4 { // written as numbers, though they are in network order
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	a, isAddr := netip.AddrFromSlice(words)
	n, portErr := strconv.ParseUint(port, 16, 16)
	state, stateErr := strconv.ParseUint(fields[3], 16, 8)
	user, userErr := strconv.Atoi(fields[7])
	if err != nil || !isAddr || portErr != nil || stateErr != nil || userErr != nil {
		return k, false
	}
	return kernelSocket{netip.AddrPortFrom(a, uint16(n)), state, user, fields[9]}, true
}

// mostPath is the longest path that a unix socket can be bound to: sun_path of sockaddr_un without its end.
const mostPath = len(unix.RawSockaddrUnix{}.Path) - 1

// socketFile is the file of a unix socket. Another server may have put its own in its place, so it is known by its number, which no other
// file gets while the socket is open.
type socketFile struct {
	path             string // absolute: a daemon changes its directory
	device, fileNode uint64
}

// identify finds out which file is at path now. A file that is not there is no server's.
func identify(path string) (f socketFile) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return f
	}
	info, err := os.Lstat(absolute)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return f
	}
	status := info.Sys().(*syscall.Stat_t)
	return socketFile{absolute, status.Dev, status.Ino}
}

// there tells whether the file is still at its path.
func (f socketFile) there() bool { return f.path != "" && identify(f.path) == f }

// remove removes the file, unless another one has taken its place.
func (f socketFile) remove() {
	if f.there() {
		_ = os.Remove(f.path)
	}
}

// listenUnix opens a listening socket at path. It takes the place of another server's socket, as in memcached, be that server there still or
// not, but not that of a file of another kind. Unix sockets know no SO_REUSEPORT: all channels accept from this one, each through a
// descriptor of its own. replaced says who has listened at path.
func listenUnix(path string, mode os.FileMode, sendQueue int) (fd int, file socketFile, replaced string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("listening on %s: %w", path, err)
		}
	}()
	if len(path) > mostPath {
		return -1, file, "", fmt.Errorf("the path has %d bytes, and a unix socket's has %d at most", len(path), mostPath)
	}
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return -1, file, "", os.NewSyscallError("socket", err)
	}
	defer lockDirectory(filepath.Dir(path))()
	replaced, err = bindUnix(fd, path)
	if err == nil {
		file = identify(path)
		if err = os.Chmod(path, mode); err == nil {
			err = os.NewSyscallError("listen", unix.Listen(fd, sendQueue))
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, file, "", err
	}
	return fd, file, replaced, nil
}

// bindUnix removes the socket that is at path and binds fd there.
func bindUnix(fd int, path string) (replaced string, err error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		replaced = listenerAt(path)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return replaced, os.NewSyscallError("bind", unix.Bind(fd, unixAddress(path)))
}

// unixAddress is a file's, whatever its name: package unix takes an @ for the mark of a name that is no file's.
func unixAddress(path string) *unix.SockaddrUnix {
	if strings.HasPrefix(path, "@") {
		path = "./" + path
	}
	return &unix.SockaddrUnix{Name: path}
}

// listenerAt says who listens at path, "" if nobody does.
func listenerAt(path string) string {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, unixAddress(path)); err {
	case nil:
	case unix.EAGAIN, unix.EACCES:
		return "somebody"
	default:
		return ""
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || peer.Pid == 0 {
		return "somebody"
	}
	if unix.Kill(int(peer.Pid), 0) == unix.ESRCH {
		return "" // it was killed, and the kernel has not closed its socket yet
	}
	return fmt.Sprintf("process %d", peer.Pid)
}

// lockDirectory keeps other servers from the unix sockets of a directory until unlock is called: between a server's bind and its look at the
// file none can take that away. It waits for a second at most, since others may lock directories for reasons of their own.
func lockDirectory(dir string) (unlock func()) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	for range 100 {
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return func() { _ = unix.Close(fd) }
}

// Inherited are sockets that somebody else has bound, as systemd does, or an earlier server. A Server that is made with them owns their
// descriptors.
type Inherited struct {
	streams, datagrams []listener // TCP and UDP, any number for each address
	unixFD             int        // -1: none
	path               string     // of the unix socket
}

// ListeningSocket is a socket that another process has opened, or is to have.
type ListeningSocket struct {
	FD    int
	Label uint8 // as in Config.Labels
}

// Inherit finds out what the sockets are. It is an error if one of them can't be served.
func Inherit(sockets []ListeningSocket) (*Inherited, error) {
	in := &Inherited{unixFD: -1}
	for _, s := range sockets {
		if err := in.add(s.FD, s.Label); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", s.FD, err)
		}
	}
	return in, nil
}

// Addrs returns the TCP addresses, each once, and their labels.
func (in *Inherited) Addrs() (addrs []netip.AddrPort, labels []uint8) {
	addrs = addresses(in.streams)
	for _, addr := range addrs {
		first := slices.IndexFunc(in.streams, func(l listener) bool { return l.addr == addr })
		labels = append(labels, in.streams[first].label)
	}
	return addrs, labels
}

// DatagramAddrs returns the UDP addresses, likewise.
func (in *Inherited) DatagramAddrs() []netip.AddrPort { return addresses(in.datagrams) }

// UnixPath returns the path of the unix socket, "" if there is none.
func (in *Inherited) UnixPath() string { return in.path }

func addresses(ls []listener) (addrs []netip.AddrPort) {
	for _, l := range ls {
		if !slices.Contains(addrs, l.addr) {
			addrs = append(addrs, l.addr)
		}
	}
	return addrs
}

var (
	errNoSocket     = errors.New("not a socket")
	errConnection   = errors.New("a socket that is not listened on (in a systemd socket unit: Accept=no is needed)")
	errSocketKind   = errors.New("neither a TCP, nor a UDP, nor a unix stream socket")
	errUnboundUDP   = errors.New("a UDP socket without a port")
	errSecondSocket = errors.New("a second unix socket: one is served at most")
)

func (in *Inherited) add(fd int, label uint8) error {
	unix.CloseOnExec(fd)
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSocket, err)
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	path, isUnix := name.(*unix.SockaddrUnix)
	addr := listenAddress(name)
	switch {
	case !isUnix && !addr.IsValid(), kind != unix.SOCK_STREAM && (isUnix || kind != unix.SOCK_DGRAM):
		return errSocketKind
	case kind == unix.SOCK_DGRAM && addr.Port() == 0:
		return errUnboundUDP
	case kind == unix.SOCK_DGRAM:
		in.datagrams = append(in.datagrams, listener{fd: fd, addr: addr})
		return os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
	case listening == 0:
		return errConnection
	case isUnix && in.unixFD >= 0:
		return errSecondSocket
	case isUnix:
		in.unixFD, in.path = fd, path.Name
		return nil
	}
	in.streams = append(in.streams, listener{fd: fd, addr: addr, label: label})
	for _, o := range acceptedOptions {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// listenAddress is not valid for what is no address of the internet. Unlike address it leaves what is written as IPv6 so.
func listenAddress(sa unix.Sockaddr) netip.AddrPort {
	if sa, ok := sa.(*unix.SockaddrInet6); ok {
		addr := netip.AddrFrom16(sa.Addr)
		if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
			addr = addr.WithZone(ifi.Name)
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	return address(sa, nil)
}

// share is a channel's part of the sockets. Of each address it has at least one, and each socket is at least one channel's: where there are
// fewer than channels, several accept from one socket, each through a descriptor of its own.
func share(all []listener, channel, channels int) (part []listener, err error) {
	for _, addr := range addresses(all) {
		same := slices.DeleteFunc(slices.Clone(all), func(l listener) bool { return l.addr != addr })
		for n := channel; n < max(len(same), channels); n += channels {
			l := same[n%len(same)]
			l.index = n % len(same)
			if n >= len(same) {
				if l, err = l.duplicate(); err != nil {
					return part, err
				}
			}
			part = append(part, l)
		}
	}
	return part, nil
}
