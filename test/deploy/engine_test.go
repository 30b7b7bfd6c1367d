package deploy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// podman is a container engine with a storage of its own, which has the image.
type podman struct {
	dir   string
	image string
}

// loaded is the engine of all tests: building the image and loading it takes most of their time.
var loaded = sync.OnceValues(func() (*podman, error) {
	dir, err := os.MkdirTemp("", "ringcached-podman-")
	if err != nil {
		return nil, err
	}
	p := &podman{dir: dir}
	archive := filepath.Join(dir, "image.tar")
	if out, err := exec.Command(root+"/scripts/build-image", archive).CombinedOutput(); err != nil {
		return p, fmt.Errorf("build-image: %w: %s", err, out)
	}
	out, err := p.command("load", "--quiet", "--input", archive).CombinedOutput()
	name := regexp.MustCompile(`(?m)^Loaded image(?:\(s\))?: (\S+)$`).FindSubmatch(out)
	if err != nil || name == nil {
		return p, fmt.Errorf("podman load: %w: %s", err, out)
	}
	p.image = string(name[1])
	return p, nil
})

// engine is podman with the image in it.
func engine(t *testing.T) *podman {
	t.Helper()
	needPackages(t, "podman", "crun", "unshare")
	if os.Geteuid() != 0 {
		t.Skip("containers without user namespaces need root")
	}
	engineUsed.Store(true)
	p, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// engineUsed says that there is a storage to remove at the end.
var engineUsed atomic.Bool

// remove deletes the storage. Layers belong to many users, so podman itself does it.
func (p *podman) remove() error {
	out, err := p.command("system", "reset", "--force").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("podman system reset: %w: %s", err, out)
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// onOneHierarchy runs a command where control groups have one version: crun refuses to run where controllers of the second stand beside the first.
const onOneHierarchy = `[ ! -e /sys/fs/cgroup/unified/cgroup.controllers ] || umount /sys/fs/cgroup/unified; exec "$@"`

// command runs podman in its own directories. The storage is vfs, as overlays need a file system below that is none.
func (p *podman) command(args ...string) *exec.Cmd {
	global := []string{
		"--mount", "sh", "-c", onOneHierarchy, "sh", "podman",
		"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--tmpdir", filepath.Join(p.dir, "tmp"),
		"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "crun",
	}
	return exec.Command("unshare", append(global, args...)...)
}

// run is podman run, with the host's network and control groups.
func (p *podman) run(options []string, args ...string) *exec.Cmd {
	all := append([]string{"run", "--rm", "--network", "host", "--cgroups", "disabled"}, resourceLimits()...)
	return p.command(append(append(append(all, options...), p.image), args...)...)
}

// resourceLimits are those of this process: podman would raise them, which takes a capability that root may lack. It lowers its own number of
// processes, so that no container has more. Rings count as locked memory on some kernels.
func resourceLimits() (options []string) {
	for _, limit := range []struct {
		name   string
		number int // RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_MEMLOCK
		most   uint64
	}{{"nofile", 7, 1 << 20}, {"nproc", 6, 1 << 15}, {"memlock", 8, 1 << 40}} {
		var own syscall.Rlimit
		if err := syscall.Getrlimit(limit.number, &own); err == nil {
			most := min(own.Max, limit.most)
			options = append(options, "--ulimit", fmt.Sprintf("%s=%d:%d", limit.name, most, most))
		}
	}
	return options
}

// container is a server in a container.
type container struct {
	address string
	name    string
	cmd     *exec.Cmd
	ended   chan error

	mu  sync.Mutex
	log bytes.Buffer
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// start runs a server at any free port of this host, and waits until it listens. args come before its address.
func (p *podman) start(t *testing.T, options []string, args ...string) *container {
	t.Helper()
	c := &container{name: fmt.Sprintf("ringcached-test-%d-%d", os.Getpid(), time.Now().UnixNano()), ended: make(chan error, 1)}
	c.cmd = p.run(append([]string{"--name", c.name}, options...), append(args, "-p", "-1", "-l", "127.0.0.1")...)
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go c.follow(stderr)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the container said: %s", c.said())
		}
		_ = p.command("rm", "--force", "--time", "0", c.name).Run()
	})
	servertest.Eventually(t, time.Minute, func() error {
		if found := listening.FindStringSubmatch(c.said()); found != nil {
			c.address = found[1]
			return nil
		}
		return fmt.Errorf("it does not listen: %s", c.said())
	})
	return c
}

func (c *container) follow(stderr io.Reader) {
	for lines := bufio.NewReader(stderr); ; {
		line, err := lines.ReadString('\n')
		c.mu.Lock()
		c.log.WriteString(line)
		c.mu.Unlock()
		if err != nil {
			c.ended <- c.cmd.Wait()
			return
		}
	}
}

func (c *container) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// ask sends lines and returns what comes until a line that ends with end.
func (c *container) ask(t *testing.T, request, end string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", c.address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil || strings.TrimSpace(line) == end {
			if err != nil {
				t.Errorf("%q: %v after %q", request, err, said.String())
			}
			return said.String()
		}
	}
}

// stop sends SIGTERM, which podman passes on, and wants the server to end in order.
func (c *container) stop(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-c.ended:
		if err != nil {
			t.Errorf("%v: %s", err, c.said())
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
