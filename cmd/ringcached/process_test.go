package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
	"ringcached/store/memory"
)

// TestLockMemory: as root pages are locked as they are used, and those never used cost
// nothing still.
func TestLockMemory(t *testing.T) {
	server := startLocked(t, "-m", "256")
	locked, err := strconv.Atoi(strings.Fields(server.Status(t, "VmLck"))[0])
	if err != nil || locked < 256<<10 {
		t.Errorf("%d KiB are locked, %v; want the items' memory among them", locked, err)
	}
	if resident := server.Resident(t); servertest.Slow == 1 && resident > 128<<20 {
		t.Errorf("%d MiB are resident", resident>>20)
	}
	conn := server.Dial(t) // it goes on getting memory without the rights of root
	value := strings.Repeat("x", 500000)
	in := bufio.NewReader(conn)
	for i := range 100 {
		fmt.Fprintf(conn, "set k%d 0 0 500000\r\n%s\r\n", i, value)
		expectLine(t, in, "STORED")
	}
}

// startLocked starts a server that locks its memory, with -k.
func startLocked(t *testing.T, flags ...string) *servertest.Server {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may lock memory for certain: run the test as root")
	}
	server := servertest.Start(t, "epoll", append([]string{"-k"}, flags...)...)
	if strings.Contains(server.Log(), "can't lock memory") {
		t.Skip("root may not lock memory here: a container needs the capability CAP_IPC_LOCK\n" + server.Log())
	}
	return server
}

// hugePages is when the kernel gives huge pages: words, the one that holds in brackets.
func hugePages(t *testing.T) string {
	t.Helper()
	enabled, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no /sys/kernel/mm/transparent_hugepage: it takes a kernel with CONFIG_TRANSPARENT_HUGEPAGE, and /sys mounted")
	} else if err != nil {
		t.Fatal(err)
	}
	return string(enabled)
}

// smapsOf are the mappings of a server, as the kernel tells them.
func smapsOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("%v: for a server that changed its user, root needs the capability CAP_SYS_PTRACE; or run the test as another user", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHugePages(t *testing.T) {
	_ = hugePages(t)
	server := servertest.Start(t, "epoll", "-L", "-m", "256")
	for line := range strings.Lines(smapsOf(t, server.PID)) {
		if strings.HasPrefix(line, "VmFlags:") && strings.Contains(line, " hg") {
			return
		}
	}
	t.Error("no mapping asks for huge pages")
}

// TestHugePagesMade: a server makes huge pages of memory that is all in use, or says that it could not.
func TestHugePagesMade(t *testing.T) {
	if size := memory.CollapsibleSize(); size == 0 || !memory.HugePagesAllowed(size) {
		t.Skip("no huge pages of 1 or 2 MiB: it takes a kernel with CONFIG_TRANSPARENT_HUGEPAGE, /sys mounted, and enabled not never")
	}
	server := servertest.Start(t, "epoll", "-m", "64")
	c := server.Dial(t)
	defer c.Close()
	for i := range 10_000 {
		if _, err := fmt.Fprintf(c, "set key%d 0 0 1000 noreply\r\n%01000d\r\n", i, i); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, time.Minute, func() error {
		if server.Stat(t, "huge_page_bytes") == 0 && server.Stat(t, "huge_page_failures") == 0 {
			return errors.New("no huge page was made, and none failed")
		}
		return nil
	})
	made := server.Stat(t, "huge_page_bytes") > 0
	if smaps := smapsOf(t, server.PID); made && !regexp.MustCompile(`AnonHugePages: +[1-9]`).MatchString(smaps) {
		t.Error("the server says that it has huge pages, and has none:\n" + smaps)
	}
}

func TestCoreLimit(t *testing.T) {
	var hard syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &hard); err != nil || hard.Max == 0 {
		t.Skip("the hard limit for core files is 0: raise it, as root with ulimit -Hc unlimited, before the test")
	}
	server := servertest.Start(t, "epoll", "-r")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", server.PID))
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(limits)) {
		if soft, ok := strings.CutPrefix(row, "Max core file size"); ok && strings.Fields(soft)[0] != strings.Fields(soft)[1] {
			t.Errorf("the limit is %s", soft)
		}
	}
	// A process that the kernel would not dump has files in /proc that are root's.
	if owner, want := ownerOf(t, fmt.Sprintf("/proc/%d/environ", server.PID)), server.Status(t, "Uid"); strconv.Itoa(int(owner)) != strings.Fields(want)[0] {
		t.Errorf("the process cannot be dumped: its files are user %d's, it is %s", owner, want)
	}
}

// TestGracefulSignal: SIGUSR1 stops the server like the others.
func TestGracefulSignal(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		server.Stats(t)
		if err := server.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		if err := server.Wait(); err != nil {
			t.Errorf("%v\n%s", err, server.Log())
		}
	})
}

func TestIdleTimeoutOption(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-o", "idle_timeout=1")
		conn := server.Dial(t)
		begin := time.Now()
		fmt.Fprint(conn, "version\r\nset half 0 0 10\r\nabc")
		_ = conn.SetReadDeadline(begin.Add(30 * time.Second))
		said, err := io.ReadAll(conn)
		if took := time.Since(begin); string(said) != "VERSION "+memcachedVersion+"\r\n" || err != nil || took < time.Second {
			t.Errorf("%q, %v after %v", said, err, took)
		}
		if n := server.Stat(t, "idle_kicks"); n != 1 {
			t.Errorf("%d kicked", n)
		}
		if n := server.Stat(t, "idle_timeout", "settings"); n != 1 {
			t.Errorf("idle_timeout is %d", n)
		}
	})
}

// TestIdleTimeoutCountsRequests: a piece of a request is none, however often one comes; a piece of a value is as good as one.
func TestIdleTimeoutCountsRequests(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-o", "idle_timeout=4")
		uploading, asking := server.Dial(t), server.Dial(t)
		drips := []net.Conn{server.Dial(t), server.Dial(t), server.Dial(t)}
		const size, perSecond = 1_000_000, 40_000 // a sixteenth of the value in each timeout is enough
		fmt.Fprintf(uploading, "set k 0 0 %d\r\n", size)
		fmt.Fprint(drips[1], "version\r\n")                                                                  // what came before does not count either
		fmt.Fprint(drips[2], "\x80\x00\x00\xfa\x00\x00\x00\x00\x00\x00\x00\xfa", strings.Repeat("\x00", 12)) // a key of 250 bytes is to come
		var ended sync.WaitGroup
		for _, drip := range drips {
			ended.Go(func() {
				_ = drip.SetReadDeadline(time.Now().Add(60 * time.Second * servertest.Slow))
				if _, err := io.Copy(io.Discard, drip); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("a client that sends a request in drops is not closed: %v", err)
				}
			})
		}
		over := make(chan struct{})
		go func() { ended.Wait(); close(over) }()
		sent, begin := 0, time.Now()
		in := bufio.NewReader(asking)
		for dripping := true; dripping; {
			piece := min(int(time.Since(begin).Seconds()*perSecond), size) - sent // however late this iteration is
			for _, drip := range drips {
				_, _ = drip.Write([]byte{0})
			}
			fmt.Fprint(uploading, strings.Repeat("x", piece))
			fmt.Fprint(asking, "version\r\n")
			expectLine(t, in, "VERSION "+memcachedVersion)
			sent += piece
			select {
			case <-over:
				dripping = false
			case <-time.After(100 * time.Millisecond):
			}
		}
		fmt.Fprint(uploading, strings.Repeat("x", size-sent)+"\r\n")
		_ = uploading.SetReadDeadline(time.Now().Add(10 * time.Second * servertest.Slow))
		expectLine(t, bufio.NewReader(uploading), "STORED")
		if n := server.Stat(t, "idle_kicks"); n != len(drips) {
			t.Errorf("%d kicked", n)
		}
	})
}

// TestNoIdleTimeout: as in memcached the count is shown only if there is a timeout.
func TestNoIdleTimeout(t *testing.T) {
	server := servertest.Start(t, "epoll")
	if n, shown := server.Stats(t)["idle_kicks"]; shown {
		t.Errorf("idle_kicks %s", n)
	}
}

// TestConnectionsWait: with no_maxconns_fast who comes too many is served later.
func TestConnectionsWait(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-c", "2", "-t", "2", "-o", "no_maxconns_fast")
		var conns []net.Conn
		for range 2 {
			conn := server.Dial(t)
			fmt.Fprint(conn, "version\r\n")
			expectLine(t, bufio.NewReader(conn), "VERSION "+memcachedVersion)
			conns = append(conns, conn)
		}
		late := server.Dial(t)
		fmt.Fprint(late, "version\r\n")
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			if n := statsOver(t, conns[0])["listen_disabled_num"]; n != "1" {
				return fmt.Errorf("listen_disabled_num %s: it has not been accepted", n)
			}
			return nil
		})
		_ = late.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if n, err := late.Read(make([]byte, 100)); n > 0 || !os.IsTimeout(err) {
			t.Errorf("the third connection got %d bytes, %v", n, err)
		}
		stats := statsOver(t, conns[0])
		for name, want := range map[string]string{"accepting_conns": "0", "rejected_connections": "0", "curr_connections": "2"} {
			if stats[name] != want {
				t.Errorf("%s %s, want %s", name, stats[name], want)
			}
		}
		conns[1].Close()
		_ = late.SetReadDeadline(time.Now().Add(patience))
		expectLine(t, bufio.NewReader(late), "VERSION "+memcachedVersion)
		stats = statsOver(t, late)
		if stats["accepting_conns"] != "1" || stats["time_in_listen_disabled_us"] == "0" {
			t.Errorf("accepting_conns %s, time_in_listen_disabled_us %s", stats["accepting_conns"], stats["time_in_listen_disabled_us"])
		}
	})
}

const statsRequest = "stats\r\n"

// statsOver asks for `stats` over a connection that is there already.
func statsOver(t *testing.T, conn net.Conn) map[string]string {
	t.Helper()
	fmt.Fprint(conn, statsRequest)
	stats := map[string]string{}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for in := bufio.NewScanner(conn); in.Scan() && in.Text() != "END"; {
		if fields := strings.Fields(in.Text()); len(fields) == 3 {
			stats[fields[1]] = fields[2]
		}
	}
	return stats
}

// TestUsers: -Y lets in whom its file names, and SIGHUP reads it again.
func TestUsers(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(publicDir(t), "users")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("alice:secret\n")
		server := servertest.Start(t, engine, "-v", "-Y", path)
		login := func(user, password string) (net.Conn, string) {
			t.Helper()
			conn := server.Dial(t)
			pair := user + " " + password
			fmt.Fprintf(conn, "set auth 0 0 %d\r\n%s\r\n", len(pair), pair)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			reply, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return conn, reply
		}
		hangup := func(want string) {
			t.Helper()
			before := len(server.Log())
			if err := server.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, patience/servertest.Slow, func() error {
				if said := server.Log()[before:]; !strings.Contains(said, want) {
					return fmt.Errorf("no %q in %q", want, said)
				}
				return nil
			})
		}
		expect := func(user, password, want string) {
			t.Helper()
			if _, reply := login(user, password); reply != want+"\r\n" {
				t.Errorf("%s with %s: %q, want %q", user, password, reply, want)
			}
		}
		const stranger = "CLIENT_ERROR authentication failure"
		expect("alice", "wrong", stranger)
		expect("bob", "secret", stranger)
		alice, reply := login("alice", "secret")
		if reply != "STORED\r\n" {
			t.Fatalf("alice: %q", reply)
		}
		settings := func() map[string]string {
			fmt.Fprint(alice, "stats settings\r\n")
			found := map[string]string{}
			for in := bufio.NewScanner(alice); in.Scan() && in.Text() != "END"; {
				if fields := strings.Fields(in.Text()); len(fields) == 3 {
					found[fields[1]] = fields[2]
				}
			}
			return found
		}()
		if settings["auth_enabled_ascii"] != "yes" || settings["auth_enabled_sasl"] != "yes" {
			t.Errorf("auth_enabled_ascii %s, auth_enabled_sasl %s", settings["auth_enabled_ascii"], settings["auth_enabled_sasl"])
		}

		write("bob:secret\n")
		hangup("read " + path + " again")
		expect("bob", "secret", "STORED")
		expect("alice", "secret", stranger)
		write("nonsense\n")
		hangup("the users stay as they are: " + path + ": line 1 is not user:password")
		expect("bob", "secret", "STORED")

		fmt.Fprint(alice, "version\r\n") // who was let in stays
		expectLine(t, bufio.NewReader(alice), "VERSION "+memcachedVersion)
	})
}
