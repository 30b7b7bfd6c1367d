package robustness

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"ringcached/internal/servertest"
)

// crowd lets clients pipeline requests and read nothing, until they are closed.
func crowd(t *testing.T, server *servertest.Server, n int, request string) (clients []*client) {
	t.Helper()
	batch := strings.Repeat(request, 500)
	for range n {
		c, err := dialBy(&net.Dialer{Timeout: patience, Control: shortSegments}, server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.tcp.SetReadBuffer(4 << 10)
		_ = c.tcp.SetWriteBuffer(4 << 10)
		clients = append(clients, c)
		go func() {
			for {
				if _, err := io.WriteString(c, batch); err != nil {
					return
				}
			}
		}()
	}
	return clients
}

// shortSegments gives a socket segments as short as on a network. The kernel sizes the server's send buffers by them, and with those of the
// loopback device, of 64 KiB, what a thousand clients do not read is all memory that it has for TCP (net.ipv4.tcp_mem): it then loses packets
// of other tests.
func shortSegments(_, _ string, raw syscall.RawConn) error {
	const size = 1400
	var set error
	err := raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, size)
	})
	return errors.Join(err, set)
}

// TestCrowdThatNeverReads: a thousand such clients make the server hold no more than the stated limit, a polite client is served, and
// afterwards all comes back.
func TestCrowdThatNeverReads(t *testing.T) {
	const clients, limit, base = 1000, 32 << 20, 16 << 20
	for name, request := range map[string]string{"small": "get small\r\n", "large": "get large\r\n"} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, engine string) {
				server := servertest.Start(t, engine, "-c", "2000", "-t", "2")
				polite := mustDial(t, server)
				large := strings.Repeat("x", 500_000)
				for key, value := range map[string]string{"small": strings.Repeat("s", 100), "large": large} {
					if err := polite.set(key, value); err != nil {
						t.Fatal(err)
					}
				}
				all := crowd(t, server, clients, request)
				servertest.Eventually(t, time.Minute, func() error {
					stats := server.Stats(t, "batch")
					if stuck := number(t, stats, "short_sends") + number(t, stats, "client_memory_closed"); stuck < clients/2 {
						return fmt.Errorf("%d clients are stuck", stuck)
					}
					return nil
				})
				most, slowest := 0, time.Duration(0)
				for range 200 {
					begin := time.Now()
					if err := polite.get("small", strings.Repeat("s", 100)); err != nil {
						t.Fatal(err)
					}
					slowest = max(slowest, time.Since(begin))
					most = max(most, server.Resident(t))
				}
				t.Logf("%d clients: %d MiB resident, the polite one waited %v at the most", clients, most>>20, slowest)
				if most > limit+base && servertest.Slow == 1 {
					t.Errorf("%d MiB are resident; want at most %d", most>>20, (limit+base)>>20)
				}
				for _, c := range all {
					c.reset()
				}
				servertest.Eventually(t, time.Minute, func() error {
					if now := server.Resident(t); now > base+8<<20 && servertest.Slow == 1 {
						return fmt.Errorf("%d MiB are resident after the peak", now>>20)
					}
					return nil
				})
			})
		})
	}
}

// TestCrowdWithoutMemory: where the kernel gives no more address space those connections end that need it, and not the server.
func TestCrowdWithoutMemory(t *testing.T) {
	program := servertest.Released(t)
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		command := func(args []string) *exec.Cmd { return exec.Command(program, args...) }
		server := servertest.StartCommand(t, engine, command, "-t", "2", "-u", "root", "--client-memory", "0")
		polite := mustDial(t, server)
		if err := polite.set("small", "value"); err != nil {
			t.Fatal(err)
		}
		size, err := strconv.Atoi(strings.Fields(server.Status(t, "VmSize"))[0])
		if err != nil {
			t.Fatal(err)
		}
		most := uint64(size)<<10 + 40<<20 // some is left for what the runtime maps
		limit := [2]uint64{most, most}
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(server.PID), syscall.RLIMIT_AS, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
			t.Fatal(os.NewSyscallError("prlimit", errno))
		}
		crowd(t, server, 600, "get small\r\n")
		servertest.Eventually(t, time.Minute, func() error {
			if n := server.Stat(t, "client_memory_failed", "batch"); n == 0 {
				return fmt.Errorf("nobody was closed")
			}
			return nil
		})
		if c := mustDial(t, server); c.get("small", "value") != nil {
			t.Error("a new client is not served")
		}
	})
}
