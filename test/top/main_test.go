package top

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ringcached/internal/servertest"
)

const limit = 60 * time.Second // for anything to happen

// programs is a directory for the program.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "top-test-")
	if err != nil {
		panic(err)
	}
	programs = dir
	code := servertest.Main(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build makes ringcached-bench, as its own module does.
var build = sync.OnceValues(func() (string, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "ringcached").Output()
	if err != nil {
		return "", err
	}
	path := filepath.Join(programs, "ringcached-bench")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/ringcached-bench")
	cmd.Dir = strings.TrimSpace(string(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ringcached-bench: %w\n%s", err, out)
	}
	return path, nil
})

// command is `ringcached-bench top` with arguments, in an environment without anything but what is given.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"top"}, args...)...)
	cmd.Env = append([]string{}, env...) // nil would be this test's
	return cmd
}

// usual is the environment of a terminal that can do everything.
var usual = []string{"TERM=xterm-256color", "LANG=C.UTF-8"}

// terminal is a pseudo-terminal in which the program runs.
type terminal struct {
	t            *testing.T
	master, line *os.File
	before       *unix.Termios
	cmd          *exec.Cmd

	mu     sync.Mutex
	screen *screen
	raw    []byte
	done   chan struct{} // closed when all output has been taken
}

// open starts the program in a terminal of a size.
func open(t *testing.T, env []string, width, height int, args ...string) *terminal {
	t.Helper()
	master, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, line: line, screen: newScreen(width, height), done: make(chan struct{}), cmd: command(t, env, args...)}
	term.size(width, height)
	if term.before, err = unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS); err != nil {
		t.Fatal(err)
	}
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = line, line, line
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go term.follow()
	t.Cleanup(func() {
		_ = term.cmd.Process.Kill()
		_ = term.cmd.Wait() // an error if the test has waited
		line.Close()
		<-term.done
		master.Close()
		if len(term.screen.unknown) > 0 {
			t.Errorf("sequences that no terminal has to know: %q", term.screen.unknown)
		}
	})
	return term
}

// follow draws what the program writes.
func (term *terminal) follow() {
	defer close(term.done)
	for buffer := make([]byte, 4096); ; {
		n, err := term.master.Read(buffer)
		term.mu.Lock()
		term.raw = append(term.raw, buffer[:n]...)
		term.screen.write(buffer[:n])
		term.mu.Unlock()
		if err != nil { // EIO, when nobody has the terminal any more
			return
		}
	}
}

func (term *terminal) size(width, height int) {
	term.mu.Lock()
	defer term.mu.Unlock()
	if err := pty.Setsize(term.master, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		term.t.Fatal(err)
	}
	term.screen.resize(width, height)
}

// press sends keys.
func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// look asks for something about the screen.
func (term *terminal) look(f func(s *screen) error) error {
	term.mu.Lock()
	defer term.mu.Unlock()
	return f(term.screen)
}

// want waits until patterns are on the screen, all at the same time; one that begins with ! must not be.
func (term *terminal) want(patterns ...string) {
	term.t.Helper()
	servertest.Eventually(term.t, limit, func() error {
		return term.look(func(s *screen) error {
			for _, p := range patterns {
				text, not := strings.CutPrefix(p, "!")
				if regexp.MustCompile(text).MatchString(s.String()) == not {
					return fmt.Errorf("%q on\n%s", p, s)
				}
			}
			return nil
		})
	})
}

// endMark is what the test itself writes when the program has ended.
const endMark = "[end]"

// wantEnd waits for the program's end, with exit code 0 and the terminal as it was.
func (term *terminal) wantEnd() {
	term.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- term.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			term.t.Errorf("%v\n%s", err, term.output())
		}
	case <-time.After(limit * servertest.Slow):
		term.t.Fatalf("it does not end\n%q", term.output())
	}
	// What follows the program's output has been read when that has.
	if _, err := term.line.WriteString(endMark); err != nil {
		term.t.Fatal(err)
	}
	servertest.Eventually(term.t, limit, func() error {
		if !strings.HasSuffix(term.output(), endMark) {
			return errors.New("not all output has been read")
		}
		return nil
	})
	if term.screen.alternate || term.screen.hidden {
		term.t.Error("the alternate screen is left, or the cursor is hidden")
	}
	after, err := unix.IoctlGetTermios(int(term.line.Fd()), unix.TCGETS)
	if err != nil || *after != *term.before {
		term.t.Errorf("%v: the terminal was %+v and is %+v", err, term.before, after)
	}
}

// output is all that the program wrote.
func (term *terminal) output() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return string(term.raw)
}
