package robustness

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestFewBuffers: with eight receive buffers for two hundred connections that
// send at once, everybody is served, and the shortage is counted.
func TestFewBuffers(t *testing.T) {
	const connections, rounds = 200, 5
	value := strings.Repeat("v", 20000)
	eachTransport(t, func(t *testing.T, on transport) {
		server := on.start(t, "-t", "1", "--ring-buffers", "8", "--ring-buffer-size", "1024")
		before := rest(t, server)
		failures := make(chan error, connections)
		var keys []string
		for id := range connections {
			key := fmt.Sprintf("few-%d", id)
			keys = append(keys, key)
			go func() { failures <- sendMuch(server, key, value, rounds) }()
		}
		for range connections {
			if err := <-failures; err != nil {
				t.Error(err)
			}
		}
		if n := server.Stat(t, "enobufs", "batch"); on.engine == "uring" && n == 0 {
			t.Error("enobufs 0: there was no shortage")
		}
		expectNoLeak(t, server, before, keys...)
	})
}

func sendMuch(server *servertest.Server, key, value string, rounds int) error {
	c, err := dial(server)
	if err != nil {
		return err
	}
	defer c.Close()
	for range rounds {
		if err := c.say(setRequest(key, value) + strings.Repeat("get none\r\n", 500) + "get " + key + "\r\n"); err != nil {
			return err
		}
		if err := c.expect("STORED\r\n" + strings.Repeat("END\r\n", 500) + getReply(key, value)); err != nil {
			return err
		}
	}
	return nil
}

// TestNoDescriptors lets more clients come than the server may have open files.
// Those who are in are served, the others wait, the server does not spin, and
// when clients leave the next ones are served.
func TestNoDescriptors(t *testing.T) {
	const files, arrivals = 60, 100
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.StartLimited(t, engine, files, "-t", "1", "-c", strconv.Itoa(files))
		before := rest(t, server)
		var waiting []*client
		for range arrivals {
			c := mustDial(t, server) // the kernel completes it, accepted or not
			if err := c.say("get none\r\n"); err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, c)
		}
		if err := waiting[0].expect("END\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		busy := cpuTime(t, server.PID)
		time.Sleep(time.Second)
		if spent := cpuTime(t, server.PID) - busy; spent > 300*time.Millisecond {
			t.Errorf("the server spent %v of a second on connections that it cannot accept", spent)
		}
		for range 10 {
			if err := waiting[0].ping(); err != nil {
				t.Fatalf("a connection from before: %v", err)
			}
		}
		for i, c := range waiting {
			if i > 0 {
				if err := c.expect("END\r\n"); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			}
			c.Close()
		}
		for _, name := range []string{"accept_errors", "accept_backoffs"} {
			if n := server.Stat(t, name, "batch"); n == 0 {
				t.Errorf("%s 0", name)
			}
		}
		expectNoLeak(t, server, before)
	})
}

// cpuTime is the user and system time that a process has used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), ") ") // behind the name: field 3
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		t.Fatalf("/proc/%d/stat: %q", pid, text)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	const ticks = 100 // USER_HZ, the same on every architecture that Go runs on
	return time.Duration(user+system) * time.Second / ticks
}

// TestFullWithoutEvictions: -M refuses what does not fit and goes on serving.
func TestFullWithoutEvictions(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-M", "-m", "16")
		c := mustDial(t, server)
		value := strings.Repeat("v", 10000)
		full := false
		for i := 0; i < 5000 && !full; i++ {
			if err := c.say(setRequest(fmt.Sprint("full-", i), value)); err != nil {
				t.Fatal(err)
			}
			reply, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			full = reply == "SERVER_ERROR out of memory storing object\r\n"
			if !full && reply != "STORED\r\n" {
				t.Fatalf("set %d: %q", i, reply)
			}
		}
		if !full {
			t.Error("never full")
		}
		if err := c.get("full-0", value); err != nil {
			t.Error(err)
		}
		if n := server.Stat(t, "evictions"); n != 0 {
			t.Errorf("evictions %d", n)
		}
	})
}
