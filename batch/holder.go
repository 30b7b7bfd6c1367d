package batch

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

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
