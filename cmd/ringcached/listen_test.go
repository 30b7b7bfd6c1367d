package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/cmd/ringcached/process"
	"ringcached/internal/servertest"

	"ringcached/bench/load"
)

// portFile is what MEMCACHED_PORT_FILENAME names for the servers of a test.
func portFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "ports")
	t.Setenv(process.PortFileVariable, path)
	return path
}

// ask sends a text request in one datagram and returns the reply, whose datagrams it
// puts into their order.
func ask(t *testing.T, conn net.Conn, id uint16, request string) string {
	t.Helper()
	head := binary.BigEndian.AppendUint16(nil, id)
	if _, err := conn.Write(append(append(head, 0, 0, 0, 1, 0, 0), request...)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	var parts []string
	for got, total := 0, 1; got < total; got++ {
		buf := make([]byte, 2000)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if n < 8 || n > 1400 || binary.BigEndian.Uint16(buf) != id {
			t.Fatalf("a datagram of %d bytes with the head %x", n, buf[:8])
		}
		if total = int(binary.BigEndian.Uint16(buf[4:])); parts == nil {
			parts = make([]string, total)
		}
		parts[binary.BigEndian.Uint16(buf[2:])] = string(buf[8:n])
	}
	return strings.Join(parts, "")
}

// TestUDP: -p 0 -U serves datagrams and nothing else.
func TestUDP(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		ports := portFile(t)
		server := servertest.Start(t, engine, "-p", "0", "-U", "-1", "--udp-amplification", "0")
		host, isUDP := strings.CutSuffix(server.Addr, "/udp")
		if !isUDP {
			t.Fatalf("listens on %s", server.Addr)
		}
		_, port, _ := net.SplitHostPort(host)
		if got, err := os.ReadFile(ports); string(got) != "UDP INET: "+port+"\n" {
			t.Errorf("the port file says %q, %v; the log %s", got, err, server.Addr)
		}
		conn := server.Dial(t)
		value := strings.Repeat("0123456789", 120)
		if got := ask(t, conn, 1, "set k 0 0 1200\r\n"+value+"\r\n"); got != "STORED\r\n" {
			t.Errorf("set: %q", got)
		}
		if got, want := ask(t, conn, 2, "get k k k\r\n"), strings.Repeat("VALUE k 0 1200\r\n"+value+"\r\n", 3)+"END\r\n"; got != want {
			t.Errorf("get: %q", got)
		}
		settings := ask(t, conn, 3, "stats settings\r\n")
		if !strings.Contains(settings, "STAT tcpport 0\r\n") {
			t.Errorf("settings: %s", settings)
		}
		for _, socket := range networkSockets(t, server) { // others may have the TCP port
			if strings.HasPrefix(socket, "tcp") {
				t.Errorf("it has a TCP socket: %s", socket)
			}
		}
	})
}

// TestUDPAmplification: what fits into one datagram is always sent unless said otherwise, a longer reply only to a request in proportion.
func TestUDPAmplification(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for flags, rows := range map[string]struct {
			setting string
			large   bool // a value that fills a datagram is too large
			larger  bool // so is one of 10 000 bytes
		}{
			"":                             {"100", false, true},
			"--udp-amplification 99":       {"99", true, true},
			"--udp-amplification 0":        {"0", false, false},
			"--udp-amplification=1000":     {"1000", false, false},
			"--udp-amplification 32768 -k": {"32768", false, false},
		} {
			server := servertest.Start(t, engine, append([]string{"-U", "-1", "-t", "1"}, strings.Fields(flags)...)...)
			if got := server.Stats(t, "settings")["udp_amplification"]; got != rows.setting {
				t.Errorf("%q: stats settings has %q", flags, got)
			}
			_, udp, _ := strings.Cut(server.Log(), "listening on ")
			_, udp, _ = strings.Cut(udp, ", ")
			udp, _, _ = strings.Cut(udp, "/udp")
			conn, err := net.Dial("udp", udp)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			tooLarge := 0
			for size, large := range map[int]bool{1400 - 8 - len("VALUE k 0 1365\r\n\r\nEND\r\n"): rows.large, 10_000: rows.larger} {
				value := strings.Repeat("v", size)
				if got := ask(t, conn, 1, fmt.Sprintf("set k 0 0 %d\r\n%s\r\n", size, value)); got != "STORED\r\n" {
					t.Fatalf("set: %q", got)
				}
				want := fmt.Sprintf("VALUE k 0 %d\r\n%s\r\nEND\r\n", size, value)
				if large {
					want = "SERVER_ERROR reply too large for UDP\r\n"
					tooLarge++
				}
				if got := ask(t, conn, 2, "get k\n"); got != want { // the shortest request there is
					t.Errorf("%q, %d bytes: got %.80q", flags, size, got)
				}
				over := server.Dial(t)
				_, _ = over.Write([]byte("get k\r\nquit\r\n"))
				if got, err := io.ReadAll(over); len(got) < size || err != nil {
					t.Errorf("%q: %d bytes over TCP, %v", flags, len(got), err)
				}
			}
			if n := server.Stat(t, "datagrams_too_large", "batch"); n != tooLarge {
				t.Errorf("%q: %d are counted, want %d", flags, n, tooLarge)
			}
		}
	})
}

// TestUDPAlone: -U without -p is for both.
func TestUDPAlone(t *testing.T) {
	number, err := load.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(number)
	cmd := exec.Command(servertest.Binary(), "-u", "nobody", "-U", port, "-l", "127.0.0.1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stderr).ReadString('\n')
	if want := fmt.Sprintf("listening on 127.0.0.1:%s, 127.0.0.1:%s/udp\n", port, port); !strings.HasSuffix(line, want) {
		t.Errorf("%q, want %q", line, want)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestPortFile(t *testing.T) {
	ports := portFile(t)
	server := servertest.Start(t, "epoll", "-p", "-1", "-U", "-1", "-l", "127.0.0.1,::1")
	log := server.Log()
	var want strings.Builder
	_, places, _ := strings.Cut(strings.TrimSpace(log), "listening on ")
	for place := range strings.SplitSeq(places, ", ") {
		host, udp := strings.CutSuffix(place, "/udp")
		ip, port, err := net.SplitHostPort(host)
		if err != nil || port == "0" {
			t.Fatalf("%s: %v", log, err)
		}
		kind, family := "TCP", "INET"
		if udp {
			kind = "UDP"
		}
		if strings.Contains(ip, ":") {
			family = "INET6"
		}
		fmt.Fprintf(&want, "%s %s: %s\n", kind, family, port)
	}
	got, err := os.ReadFile(ports)
	if string(got) != want.String() || err != nil {
		t.Errorf("%v, %q; want %q", err, got, want.String())
	}
	if _, err := os.Stat(ports + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("beside the port file: %v", err)
	}
}

// publicDir is a directory that the user of the server may write to.
var publicDir = servertest.PublicDir

// TestUnixSocket: -s rules out every other address, the socket is the user's with the
// mode of -a, and goes away with the server.
func TestUnixSocket(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		ports := portFile(t)
		path := filepath.Join(publicDir(t), "socket")
		server := servertest.Start(t, engine, "-s", path, "-a", "0770", "-l", "127.0.0.1", "-p", "-1", "-U", "-1")
		if server.Addr != path {
			t.Fatalf("listens on %s", server.Addr)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != os.ModeSocket|0o770 {
			t.Errorf("%v, %v; want a socket with mode 0770", info.Mode(), err)
		}
		if owner, user := fmt.Sprint(ownerOf(t, path)), strings.Fields(server.Status(t, "Uid"))[0]; owner != user {
			t.Errorf("the socket belongs to user %s, the server is %s", owner, user)
		}
		conn := server.Dial(t)
		_, _ = io.WriteString(conn, "set k 0 0 5\r\nvalue\r\nget k\r\n")
		in := bufio.NewReader(conn)
		for _, want := range []string{"STORED", "VALUE k 0 5", "value", "END"} {
			expectLine(t, in, want)
		}
		settings := server.Stats(t, "settings")
		for name, want := range map[string]string{"domain_socket": path, "umask": "770", "tcpport": "0", "udpport": "0"} {
			if settings[name] != want {
				t.Errorf("%s is %q, want %q", name, settings[name], want)
			}
		}
		if sockets := networkSockets(t, server); len(sockets) > 0 {
			t.Errorf("listens on the network: %v", sockets)
		}
		if _, err := os.Stat(ports); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a port file: %v", err)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
}

// networkSockets lists lines of /proc/net/{tcp,udp}* for sockets that the server has.
func networkSockets(t *testing.T, server *servertest.Server) (found []string) {
	t.Helper()
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			continue
		}
		for _, open := range server.Descriptors(t) {
			_, inode, isSocket := strings.Cut(open, "socket:[")
			if isSocket && strings.Contains(string(text), " "+strings.TrimSuffix(inode, "]")+" ") {
				found = append(found, table+" "+open)
			}
		}
	}
	return found
}

// TestUnixSocketRefused: a path that cannot be is an error that names it.
func TestUnixSocketRefused(t *testing.T) {
	file := filepath.Join(publicDir(t), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, "/no/such/directory/socket", "/tmp/" + strings.Repeat("x", 120)} {
		out, err := exec.Command(servertest.Binary(), "-u", "nobody", "-s", path).CombinedOutput()
		if err == nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.Contains(out, []byte(path)) {
			t.Errorf("%s: %v, %s", path, err, out)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}

// noop is the binary request noop, and what it is answered.
const noop, noopReply = "\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00", "\x81\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00"

// protocolsAt asks what is spoken at an address: "text", "binary", or both.
func protocolsAt(t *testing.T, addr string) (spoken []string) {
	t.Helper()
	for _, p := range []struct{ name, request, reply string }{
		{"text", "mn\r\n" + strings.Repeat(" ", 24) + "\r\n", "MN\r\n"}, // for the binary protocol a header, and no request
		{"binary", noop + "\r\n", noopReply},
	} {
		conn, err := net.DialTimeout("tcp", addr, 10*time.Second*servertest.Slow)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second * servertest.Slow))
		_, _ = io.WriteString(conn, p.request)
		_ = conn.(*net.TCPConn).CloseWrite()
		if got, _ := io.ReadAll(conn); strings.HasPrefix(string(got), p.reply) {
			spoken = append(spoken, p.name)
		}
		_ = conn.Close()
	}
	return spoken
}

// listeningOn are the addresses that a log names, each without what is said of it.
func listeningOn(t *testing.T, log string) (addrs []string) {
	t.Helper()
	_, list, found := strings.Cut(log, "listening on ")
	if !found {
		t.Fatalf("it does not say where it listens: %s", log)
	}
	list, _, _ = strings.Cut(list, "\n")
	for place := range strings.SplitSeq(list, ", ") {
		addr, _, _ := strings.Cut(place, " ")
		addrs = append(addrs, addr)
	}
	return addrs
}

// TestProtocolOfListener: what -l says before an address holds there, and only there, whatever -B says.
func TestProtocolOfListener(t *testing.T) {
	const list = "proto[ascii]:127.0.0.1;proto[binary]:tag[services]:127.0.0.2,proto[negotiating]:127.0.0.3,127.0.0.4"
	both := "text binary"
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for protocol, rest := range map[string]string{"auto": both, "ascii": "text", "binary": "binary"} {
			server := servertest.Start(t, engine, "-p", "-1", "-l", list, "-B", protocol, "-t", "3")
			want := []string{"text", "binary", both, rest}
			addrs := listeningOn(t, server.Log())
			if len(addrs) != len(want) {
				t.Fatalf("it listens on %v", addrs)
			}
			for range 4 { // several channels
				for i, addr := range addrs {
					if got := strings.Join(protocolsAt(t, addr), " "); got != want[i] {
						t.Errorf("-B %s: on %s clients speak %q, want %q", protocol, addr, got, want[i])
					}
				}
			}
			if !strings.Contains(server.Log(), "the tag has no effect") {
				t.Errorf("the tag is not remarked on: %s", server.Log())
			}
		}
	})
}

// TestProtocolOfDatagrams: each tells its own, whatever -l and -B say, as in memcached.
func TestProtocolOfDatagrams(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, protocol := range []string{"ascii", "binary"} {
			server := servertest.Start(t, engine, "-p", "0", "-U", "-1", "-B", protocol, "-l", "proto["+protocol+"]:127.0.0.1")
			conn := server.Dial(t)
			for request, reply := range map[string]string{noop: noopReply, "mn\r\n": "MN\r\n"} {
				if got := ask(t, conn, 1, request); got != reply {
					t.Errorf("-B %s: %q is answered %q", protocol, request, got)
				}
			}
		}
	})
}

// TestInterfaceSetting: stats settings shows -l as it was typed.
func TestInterfaceSetting(t *testing.T) {
	for _, list := range []string{"127.0.0.1;127.0.0.2", "proto[negotiating]:tag_x_:127.0.0.1"} {
		if got := servertest.Start(t, "epoll", "-p", "-1", "-l", list).Stats(t, "settings")["inter"]; got != list {
			t.Errorf("inter is %q, want %q", got, list)
		}
	}
}
