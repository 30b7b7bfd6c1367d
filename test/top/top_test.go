package top

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/servertest"
)

// send sends requests on a connection of their own, and returns when the server has answered them.
func send(addr, requests string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = io.WriteString(conn, requests+"quit\r\n"); err == nil {
		_, err = io.Copy(io.Discard, conn)
	}
	return err
}

func ask(t *testing.T, addr, requests string) {
	t.Helper()
	if err := send(addr, requests); err != nil {
		t.Fatal(err)
	}
}

// engine is the better one that this machine has.
func engine() string {
	all := servertest.Engines()
	return all[len(all)-1]
}

// evilKey is a key that a client can store, and that would name a terminal's window.
const evilKey = "\x1b]0;pwned\a"

// TestRingcached goes through all that there is to see.
func TestRingcached(t *testing.T) {
	server := servertest.Start(t, engine(), "--hot-keys", "-t", "2")
	ask(t, server.Addr, "set user:17:profile 0 0 1\r\nx\r\nget user:17:profile\r\nget user:17:profile\r\nget none\r\nincr none 1\r\n")
	term := open(t, usual, 80, 24, "--interval", "100ms", server.Addr)
	term.want(`ringcached \S+ · `+engine()+` · `+regexp.QuoteMeta(server.Addr), `up \d`, `1 Overview +2 Slabs +3 Hot keys +4 Batching`,
		`get +\d\S* +3 `, `set +\d\S* +1 `, `incr, decr +\d\S* +1 `, `of all time +\S+ +66.7 %`, `(?m)items +1( |$)`, `open +\S* +1 of 1024`, `2 threads, CPU .* %`,
		`bytes +\S* +\d+ B of 64.0 MiB`, `answers in \d`)

	// Two keys are hot, and there is a rate, as long as somebody uses them.
	hot := "get user:17:profile\r\nmg " + base64.StdEncoding.EncodeToString([]byte(evilKey)) + " b v\r\n"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = send(server.Addr, strings.Repeat(hot, 100))
		}
		ended <- err
	}()
	term.want(`get +[1-9]\S*( k)? +\d`, `accepted +[1-9]`, `ratio +█+░+ +(49|50)\.\d %`, `Requests over time`)
	term.press("3")
	term.want(`key +share +\+/- +per s`, `(?m)^ user:17:profile +\d+\.\d %`, `(?m)^ %1B\]0;pwned%07 +\d+\.\d %`)
	term.press("4")
	term.want(`Batching`, `completions per wait +\d`, `connections per channel`, `up to \d+ +█*░* +\d+\.\d %`)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}

	term.press("\x1b[D\x1b[D") // left, left
	term.want(`class +chunk +pages +items +\[used\]`, `(?m)^ +\d+ +\d+ B +1 +1 +\d+ B`)
	term.press("s")
	term.want(`\[hits/s\]`)
	term.press("1")
	term.size(120, 40)
	term.want(`Slab classes by hits`, `Batching`, `Hot keys +share`, `completions per wait`)
	term.size(60, 20)
	term.want(`q quit  \? help`, `slab pages`, `!Slab classes by`)
	term.press("p")
	term.want(`paused`)
	term.press("p")
	term.want(`!paused`)
	term.press("?")
	term.want(`another page`)
	term.press("?+")
	term.want(`every 200ms`, `!another page`)
	term.press("q")
	term.wantEnd()
	if s := term.screen; len(s.titles) > 0 {
		t.Errorf("it set titles: %q", s.titles)
	}
}

// TestServerEnds: what is lost is said, and what comes back in its place is watched from its beginning. SIGTERM restores the terminal, too.
func TestServerEnds(t *testing.T) {
	const alone = "127.0.9.1" // where no client's own port can be the server's
	server := servertest.Start(t, engine(), "-t", "1", "-l", alone)
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, server.Addr, strings.Repeat("get none\r\n", 1000))
	term := open(t, usual, 100, 24, "--interval", "100ms", server.Addr)
	term.want(`get +0 +1000 `)
	ask(t, server.Addr, "stats reset\r\nget none\r\n")
	term.want(`get +\d\S* +1 `)
	server.Kill()
	term.want(`Lost for \d+ s: .*connection refused`, `trying again every 100ms`, `get +- +1 `)
	servertest.Start(t, engine(), "-t", "1", "-l", host, "-p", port)
	term.want(`!Lost`, `get +0 +0 `)
	if negative := regexp.MustCompile(` -\d`).FindString(term.output()); negative != "" {
		t.Errorf("there was a figure %q", negative)
	}
	if err := term.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	term.wantEnd()
}

// TestMemcached has neither hot keys nor batches, and its own figures.
func TestMemcached(t *testing.T) {
	path, err := sut.PeerProgram(sut.Peers[0])
	if err != nil {
		t.Fatalf("this test needs memcached (scripts/install-peer, or make test, unpacks it): %v", err)
	}
	port, err := load.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(path, "-l", "127.0.0.1", "-p", fmt.Sprint(port), "-U", "0", "-t", "2", "-u", "nobody")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	servertest.Eventually(t, limit, func() error {
		_, err := load.Endpoint{Addr: addr}.AskVersion(t.Context())
		return err
	})
	ask(t, addr, "set a 0 0 1\r\nx\r\nget a\r\nget b\r\n")
	term := open(t, append(usual, "NO_COLOR=1"), 80, 24, "--interval", "100ms", addr)
	term.want(`memcached 1\.6\.45 · libevent \S+ · `+addr, `1 Overview +2 Slabs `, `get +0 +2 `, `of all time +\S+ +50.0 %`, `(?m)items +1( |$)`, `!Hot keys`, `!Batching`)
	term.press("2")
	term.want(`(?m)^ +1 +96 B +1 +1 +96 B`)
	term.press("\x03") // ctrl-C
	term.wantEnd()
	if color := regexp.MustCompile("\x1b\\[([0-9;]*;)?3[0-9]m").FindString(term.output()); color != "" {
		t.Errorf("a color in spite of NO_COLOR: %q", color)
	}
}

// hostile is a server all of whose texts are control sequences; after two readings it does not answer any more.
func hostile(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const evil = evilKey + "\x1b[2J\x1b[31mred\x9b31m"
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				readings := 0
				for buffer := make([]byte, 1000); ; {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					answer := "STAT version " + evil + "\r\nSTAT ringcached_version " + evil + "\r\nSTAT cmd_get " + evil + "\r\nSTAT engine " + evil +
						"\r\nSTAT 1:chunk_size " + evil + "\r\nSTAT " + evil + " 1\r\nSTAT hotkeys:1:key " + evil + "\r\nSTAT hotkeys_uses 10\r\nSTAT hotkeys:1:count 5\r\nEND\r\n"
					switch string(buffer[:n]) {
					case "version\r\n":
						answer = "VERSION " + evil + "\r\n"
					case "stats\r\n":
						if readings++; readings > 2 {
							<-silent
							return
						}
					}
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestHostileServer: nothing of what it says reaches the terminal as it is, and that it is silent is shown.
func TestHostileServer(t *testing.T) {
	term := open(t, usual, 100, 24, "--interval", "100ms", hostile(t))
	term.want(`ringcached %1B\]0;pwned%07`, `no answer`)
	term.press("2")
	term.want(`(?m)^ +1 +- `)
	term.press("3")
	term.want(`(?m)^ %1B\]0;pwned%07%1B\[2J%1B\[31mred%9B31m +50\.0 %`)
	term.press("q")
	term.wantEnd()
	if out := term.output(); strings.Contains(out, "\x1b]") || strings.Contains(out, "\a") || strings.Contains(out, "\x9b") || strings.Contains(out, "\x1b[31mred") {
		t.Errorf("the server's sequences are in\n%q", out)
	}
}

// TestWithoutTerminal: figures as text, for scripts and for terminals that cannot be drawn on; and one line for what goes wrong.
func TestWithoutTerminal(t *testing.T) {
	server := servertest.Start(t, engine(), "--hot-keys", "-t", "1")
	ask(t, server.Addr, "set a 0 0 1\r\nx\r\nget a\r\n")
	want := regexp.MustCompile(`(?s)^ringcached \S+, ` + engine() + `, \S+, up \d+ s\n\nRequests +per s +total\nget +0 +1\nset +0 +1\n.*Items.*Batching\n.*Slab classes by used\n`)
	var stdout, stderr bytes.Buffer
	cmd := command(t, usual, "--interval", "100ms", server.Addr)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || !want.Match(stdout.Bytes()) || stderr.Len() > 0 || strings.Contains(stdout.String(), "\x1b") {
		t.Errorf("%v: %s\n%s", err, &stderr, &stdout)
	}
	for _, c := range []struct {
		env  []string
		args []string
	}{{[]string{"TERM=dumb"}, nil}, {nil, nil}, {usual, []string{"--once"}}} {
		term := open(t, c.env, 80, 24, append(c.args, "--interval", "100ms", server.Addr)...)
		term.wantEnd()
		if out := term.output(); !want.MatchString(strings.ReplaceAll(out, "\r\n", "\n")) || strings.Contains(out, "\x1b") {
			t.Errorf("%v %v:\n%q", c.env, c.args, out)
		}
	}
	for says, args := range map[string][]string{
		"can't connect to unix:/no/such/socket: connect: no such file or directory": {"unix:/no/such/socket"}, `address: "nowhere" is neither host:port nor unix:PATH`: {"nowhere"},
		"interval: 1ms is not in 100ms..1h": {"--interval", "1ms", server.Addr}, `top takes [ADDR], got "b:2" too`: {"a:1", "b:2"},
	} {
		out, err := command(t, usual, args...).CombinedOutput()
		var failed *exec.ExitError
		if !errors.As(err, &failed) || failed.ExitCode() != 1 || string(out) != "ringcached-bench: "+says+"\n" {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd = command(t, usual, "--once", "--interval", "100ms", server.Addr)
	cmd.Stdout = full
	if err := cmd.Run(); err == nil {
		t.Error("it does not matter that nothing could be printed")
	}
}
