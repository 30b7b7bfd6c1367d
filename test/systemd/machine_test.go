package systemd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// machine is a system that systemd has brought up.
type machine struct {
	t   *testing.T
	pid int // of its systemd, as the host counts
}

const patience = 60 * time.Second

// boot brings a machine up. It goes away with the test.
func boot(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may make namespaces that systemd runs in: run the test as root")
	}
	if _, err := os.Stat(systemdProgram); err != nil {
		t.Fatalf("%v: scripts/install-test-deps installs it", err)
	}
	root := t.TempDir()
	started := make(chan error)
	var keeper *exec.Cmd
	var said bytes.Buffer
	var in io.WriteCloser
	var out io.ReadCloser
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the keeper dies with the thread
		defer close(ended)
		keeper = stage(stageKeeper, syscall.CLONE_NEWNS, rootVariable+"="+root)
		keeper.Stderr = &said
		in, _ = keeper.StdinPipe()
		out, _ = keeper.StdoutPipe()
		err := keeper.Start()
		started <- err
		if err == nil {
			_ = keeper.Wait()
		}
	}()
	if err := <-started; err != nil {
		skipIfForbidden(t, err.Error())
	}
	t.Cleanup(func() {
		in.Close()
		<-ended
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := parsePID(line)
	if err != nil {
		<-ended
		skipIfForbidden(t, said.String())
	}
	m := &machine{t: t, pid: pid}
	servertest.Eventually(t, patience, func() error {
		select {
		case <-ended:
			skipIfForbidden(t, said.String())
		default:
		}
		if text, err := m.try("systemctl", "is-active", "default.target"); err != nil {
			return fmt.Errorf("%v: %s", err, text)
		}
		return nil
	})
	return m
}

// inChroot is why no process can have mounts of its own in a chroot.
const inChroot = "the root directory is no mount point, as in a chroot: run the test in a container, or on the machine itself"

// skipIfForbidden ends the test.
func skipIfForbidden(t *testing.T, why string) {
	t.Helper()
	if strings.Contains(why, inChroot) {
		t.Skipf("systemd can't be run here: %s", inChroot)
	}
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.EROFS, syscall.ENODEV} {
		if strings.Contains(why, errno.Error()) {
			t.Skipf("systemd can't be run here: %s (root needs the capability CAP_SYS_ADMIN, and the kernel control groups of version 2)", strings.TrimSpace(why))
		}
	}
	t.Fatalf("systemd does not run: %s", why)
}

// command is a command in the machine.
func (m *machine) command(name string, args ...string) *exec.Cmd {
	enter := []string{"--target", fmt.Sprint(m.pid), "--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wd", "--", name}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"}
	return cmd
}

func (m *machine) try(name string, args ...string) (string, error) {
	out, err := m.command(name, args...).CombinedOutput()
	return string(out), err
}

// run runs a command, which has to succeed, and returns what it says.
func (m *machine) run(name string, args ...string) string {
	m.t.Helper()
	text, err := m.try(name, args...)
	if err != nil {
		m.t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, text, m.journal())
	}
	return text
}

// path is where the host sees a file of the machine's.
func (m *machine) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.pid, name) }

// write makes a file in the machine, or replaces it as an installation does.
func (m *machine) write(name, text string, mode os.FileMode) {
	m.t.Helper()
	path := m.path(name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = servertest.WriteProgram(path+".new", text, mode)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) journal() string {
	text, _ := m.try("journalctl", "--no-pager", "--output=short-precise")
	return text
}

// property is one of a unit's.
func (m *machine) property(unit, name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.run("systemctl", "show", "--value", "--property="+name, unit))
}

// ask sends requests to an address in the machine's network, which end with quit, and returns the answers.
func (m *machine) ask(network, address, requests string) (string, error) {
	cmd := exec.Command("nsenter", "--target", fmt.Sprint(m.pid), "--net", "--", os.Args[0], network, address)
	cmd.Env = append(os.Environ(), stageVariable+"="+stageAsk)
	cmd.Stdin = strings.NewReader(requests + "quit\r\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// overTLS is the network of ask for a connection over TLS to a TCP address, whatever certificate the server has.
const overTLS = "tls"

// answerQuestion is a stage: it connects, sends stdin and copies what comes back until the other side closes.
func answerQuestion(args []string) error {
	var conn net.Conn
	var err error
	if args[0] == overTLS {
		conn, err = tls.Dial("tcp", args[1], &tls.Config{InsecureSkipVerify: true})
	} else {
		conn, err = net.Dial(args[0], args[1])
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.Copy(conn, os.Stdin); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn)
	return err
}
