package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

func TestAnnouncement(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2", "-l", "127.0.0.1,::1")
		_, port, _ := net.SplitHostPort(server.Addr)
		want := fmt.Sprintf("ringcached: %s: engine %s (asked for), 2 threads (-t), listening on 127.0.0.1:%s, [::1]:", version, engine, port)
		if said := server.Log(); !strings.HasPrefix(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%q, want one line %q...", said, want)
		}
	})
}

func TestWarnsWhenExposed(t *testing.T) {
	server := servertest.Start(t, "epoll", "-l", "0.0.0.0")
	servertest.Eventually(t, 10*time.Second, func() error {
		if said := server.Log(); !strings.Contains(said, "warning: ") || strings.Count(said, "\n") != 2 {
			return fmt.Errorf("no warning in %q", said)
		}
		return nil
	})
}

// TestAutoTakesURing: where io_uring works it is what users get.
func TestAutoTakesURing(t *testing.T) {
	servertest.NeedURing(t)
	server := servertest.Start(t, "auto")
	if got := server.Stats(t, "batch")["engine"]; got != "uring" {
		t.Errorf("engine %s\n%s", got, server.Log())
	}
}

func TestSettingsShowFlags(t *testing.T) {
	server := servertest.Start(t, "epoll", "-m", "32", "-I", "2m", "-c", "77", "-t", "3", "-f", "1.5", "-n", "64", "-b", "99", "-R", "7", "-M",
		"-D", "/", "-o", "watcher_logbuf_size=8,worker_logbuf_size=4")
	settings := server.Stats(t, "settings")
	for name, want := range map[string]string{
		"maxbytes": "33554432", "item_size_max": "2097152", "maxconns": "77", "num_threads": "3", "num_threads_from": "-t",
		"growth_factor": "1.50", "chunk_size": "64", "tcp_backlog": "99", "reqs_per_event": "7",
		"evictions": "off", "inter": "127.0.0.1",
		"stat_key_prefix": "/", "detail_enabled": "yes", "watcher_logbuf_size": "8192", "worker_logbuf_size": "4096",
	} {
		if settings[name] != want {
			t.Errorf("%s is %q, want %q", name, settings[name], want)
		}
	}
	if got := server.Stat(t, "threads"); got != 3 {
		t.Errorf("%d threads", got)
	}
}

// TestDropsPrivileges looks at what the kernel says of every thread.
func TestDropsPrivileges(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to drop: run the test as root")
	}
	account, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-u", "nobody")
		server.Stats(t) // the channels run
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", server.PID))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", server.PID, thread.Name()))
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue // it has ended
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, id := range map[string]string{"Uid": account.Uid, "Gid": account.Gid, "Groups": account.Gid} {
				want := strings.TrimSpace(strings.Repeat(id+"\t", 4))
				if name == "Groups" {
					want = id
				}
				if !strings.Contains(string(status), "\n"+name+":\t"+want) {
					t.Errorf("thread %s: %s is not %s in\n%s", thread.Name(), name, want, status)
				}
			}
		}
	})
}

// TestRunsUnprivileged: whoever is not root needs no -u, and one that is given
// has no effect.
func TestRunsUnprivileged(t *testing.T) {
	for _, args := range [][]string{nil, {"-u", "daemon"}} {
		cmd := exec.Command(servertest.Binary(), append([]string{"-l", "127.0.0.1", "-p", "-1"}, args...)...)
		cmd.Dir = "/"
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(stderr).ReadString('\n')
		if !strings.Contains(line, "listening on 127.0.0.1:") {
			t.Errorf("%v: %q", args, line)
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestPortInUse: two servers never share a port, and the second says why it ends.
func TestPortInUse(t *testing.T) {
	first := servertest.Start(t, "epoll")
	_, port, _ := net.SplitHostPort(first.Addr)
	out, err := exec.Command(servertest.Binary(), "-u", "nobody", "-l", "127.0.0.1", "-p", port).CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "address already in use") {
		t.Errorf("%v, %q", err, out)
	}
}

// TestStopFinishesWhatIsInFlight: replies that were earned before the signal
// arrive whole, however slowly the client reads, and then comes the end.
func TestStopFinishesWhatIsInFlight(t *testing.T) {
	const size, gets = 1 << 20 / 2, 40
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "--drain-timeout", patience.String())
		conn := server.Dial(t)
		in := bufio.NewReader(conn)
		value := bytes.Repeat([]byte("x"), size)
		fmt.Fprintf(conn, "set big 0 0 %d\r\n%s\r\n", size, value)
		expectLine(t, in, "STORED")
		if _, err := io.WriteString(conn, strings.Repeat("get big\r\n", gets)); err != nil {
			t.Fatal(err)
		}
		expectLine(t, in, fmt.Sprintf("VALUE big 0 %d", size)) // it is at work
		if err := server.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		rest, err := io.ReadAll(in)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(rest), err)
		}
		reply := fmt.Sprintf("VALUE big 0 %d\r\n%s\r\nEND\r\n", size, value)
		if want := strings.Repeat(reply, gets)[len("VALUE big 0 524288\r\n"):]; string(rest) != want {
			t.Errorf("%d bytes of %d arrived", len(rest), len(want))
		}
		if err := server.Wait(); err != nil {
			t.Errorf("%v\n%s", err, server.Log())
		}
	})
}

// TestStopWithOpenConnections: idle and half-sent requests do not hold it up.
func TestStopWithOpenConnections(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			server := servertest.Start(t, engine, "--drain-timeout", "1h")
			var conns []net.Conn
			for _, said := range []string{"", "version\r\n", "get half-a-", "set upload 0 0 1000000\r\nbeginning"} {
				conn := server.Dial(t)
				_, _ = io.WriteString(conn, said)
				conns = append(conns, conn)
			}
			server.Stats(t)
			if err := server.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := server.Wait(); err != nil {
				t.Errorf("%v: %v\n%s", sig, err, server.Log())
			}
			for i, conn := range conns {
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.ReadAll(conn); err != nil {
					t.Errorf("%v, connection %d: %v", sig, i, err)
				}
			}
		}
	})
}

// TestSecondSignal: whoever does not want to wait for slow clients says so again.
func TestSecondSignal(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-v", "--drain-timeout", "1h")
		server.ExpectFailure()
		conn := server.Dial(t)
		in := bufio.NewReader(conn)
		fmt.Fprintf(conn, "set big 0 0 1000000\r\n%s\r\n", strings.Repeat("x", 1000000))
		expectLine(t, in, "STORED")
		_, _ = io.WriteString(conn, strings.Repeat("get big\r\n", 50)) // and nobody reads them
		eventuallyStat(t, server, "cmd_get", func(n int) bool { return n > 0 })
		_ = server.Signal(syscall.SIGTERM)
		wantLog(t, server, "terminated: stopping") // two at once would be one
		_ = server.Signal(syscall.SIGTERM)
		err := server.Wait()
		exit, ok := err.(*exec.ExitError)
		if !ok || exit.ExitCode() != 1 || !strings.Contains(server.Log(), "terminated again") {
			t.Errorf("%v\n%s", err, server.Log())
		}
	})
}

// TestIgnoredSignals: neither ends a cache.
func TestIgnoredSignals(t *testing.T) {
	server := servertest.Start(t, "epoll")
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGPIPE} {
		if err := server.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond)
	server.Stats(t)
}

// TestConnectionLimit: a connection above -c gets an error, is closed, and counted;
// when one goes there is room again.
func TestConnectionLimit(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-c", "5", "-t", "2")
		var conns []net.Conn
		for range 5 {
			conn := server.Dial(t)
			fmt.Fprint(conn, "version\r\n")
			expectLine(t, bufio.NewReader(conn), "VERSION "+memcachedVersion)
			conns = append(conns, conn)
		}
		for range 3 {
			conn := server.Dial(t)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			said, err := io.ReadAll(conn)
			if string(said) != "ERROR Too many open connections\r\n" || err != nil {
				t.Errorf("%q, %v", said, err)
			}
		}
		conns[0].Close()
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			conn := server.Dial(t)
			defer conn.Close()
			fmt.Fprint(conn, statsRequest)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			for in := bufio.NewScanner(conn); in.Scan(); {
				if count, ok := strings.CutPrefix(in.Text(), "STAT rejected_connections "); ok {
					if n, _ := strconv.Atoi(count); n < 3 {
						t.Errorf("rejected_connections %s", count)
					}
					return nil
				}
			}
			return fmt.Errorf("still no room")
		})
	})
}

// TestRaisesFileLimit starts the server with a low soft limit, as login shells
// have it.
func TestRaisesFileLimit(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", `ulimit -S -n 64 && exec "$0" -u nobody -l 127.0.0.1 -p -1 -c 1000`, servertest.Binary())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stderr).ReadString('\n')
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil || !strings.Contains(line, "listening on") {
		t.Errorf("%v, %q", err, line)
	}
	for row := range strings.Lines(string(limits)) {
		if soft, ok := strings.CutPrefix(row, "Max open files"); ok {
			if n, _ := strconv.Atoi(strings.Fields(soft)[0]); n < 1000 {
				t.Errorf("the limit is %s", soft)
			}
		}
	}
}

// TestFileLimitTooLow: a limit that the server may not raise is an error if not
// even the connections fit, and a warning if only the spare does not.
func TestFileLimitTooLow(t *testing.T) {
	server := servertest.StartLimited(t, "epoll", 60, "-c", "60", "-t", "1")
	if want := "warning: 60 connections (-c) need 88 open files, the limit is 60"; !strings.Contains(server.Log(), want) {
		t.Errorf("no %q in %q", want, server.Log())
	}
	cmd := exec.Command("/bin/sh", "-c", `ulimit -n 60 && exec "$0" -l 127.0.0.1 -p -1 -c 61 -t 1`, servertest.Binary())
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	want := "ringcached: 61 connections (-c) need 89 open files, but the limit is 60: raise it (ulimit -n) or lower -c\n"
	if cmd.ProcessState.ExitCode() != 1 || string(out) != want {
		t.Errorf("%v, %q; want %q", err, out, want)
	}
}

func expectLine(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	got, err := in.ReadString('\n')
	if err != nil || got != want+"\r\n" {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
}
