package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// TestAddressSpace: under whatever limit on its address space (ulimit -v) a server starts for which there is enough without the reserve that
// cache_memlimit grows into, and says how far that goes. Otherwise one line tells what to do.
func TestAddressSpace(t *testing.T) {
	program := filepath.Join(emptyRoot(t), "ringcached") // C's library and the race detector have reserves of their own
	limited := func(megabytes int) func(args []string) *exec.Cmd {
		script := fmt.Sprintf(`ulimit -v %d && exec "$0" "$@"`, megabytes<<10)
		return func(args []string) *exec.Cmd {
			return exec.Command("/bin/sh", append([]string{"-c", script, program}, args...)...)
		}
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, megabytes := range []int{1700, 2100, 5000, 9000, 10000, 11000, 12000, 13500, 20000} {
			server := servertest.StartCommand(t, engine, limited(megabytes), "-m", "64")
			remark := fmt.Sprintf("the address space is limited to %d megabytes (ulimit -v): cache_memlimit can raise -m to ", megabytes)
			if strings.Contains(server.Log(), remark) != (megabytes < 13000) {
				t.Errorf("%d megabytes: %s", megabytes, server.Log())
			}
			conn := server.Dial(t)
			fmt.Fprint(conn, "set k 0 0 1\r\nv\r\n")
			expectLine(t, bufio.NewReader(conn), "STORED")
			fmt.Fprint(conn, "cache_memlimit 8192\r\n")
			if reply, _ := bufio.NewReader(conn).ReadString('\n'); (reply == "OK\r\n") != (megabytes > 13000) {
				t.Errorf("%d megabytes: cache_memlimit 8192 is answered %q", megabytes, reply)
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	out, err := limited(3000)([]string{"-u", "nobody", "-m", "4000", "-l", "127.0.0.1", "-p", "-1"}).CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "the address space is limited to 3000 megabytes (ulimit -v): raise that or lower -m") {
		t.Errorf("more than there is: %v, %s", err, out)
	}
	script := exec.Command("/bin/sh", "-c", `ulimit -d 500000 && exec "$0" -u nobody -m 4000 -l 127.0.0.1 -p -1`, program)
	out, err = script.CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "can be written is limited to 488 megabytes (ulimit -d): raise that or lower -m") {
		t.Errorf("more than can be written: %v, %s", err, out)
	}
}
