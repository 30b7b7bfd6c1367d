package deploy

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// groupFiles are where control groups with a limit of memory can be made, and the name of the limit, for both versions.
var groupFiles = [][2]string{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}}

// memoryGroup makes a control group with this limit.
func memoryGroup(t *testing.T, megabytes int) (dir string) {
	t.Helper()
	needPackages(t)
	for _, files := range groupFiles {
		dir, err := os.MkdirTemp(files[0], "ringcached-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { // what ends leaves the group a little later
			servertest.Eventually(t, time.Minute, func() error { return os.Remove(dir) })
		})
		if err := os.Chmod(dir, 0o755); err != nil { // the container's user reads it
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, files[1]), fmt.Append(nil, megabytes<<20), 0); err == nil {
			return dir
		}
	}
	t.Skip("no control groups with limits of memory can be made here")
	return ""
}

// inGroup makes a command begin in a control group.
func inGroup(dir string, cmd *exec.Cmd) *exec.Cmd {
	into := `echo $$ > "$0"/cgroup.procs && exec "$@"`
	return exec.Command("sh", append([]string{"-c", into, dir}, cmd.Args...)...)
}

// TestContainerWarnsOfItsMemory: a limit on the container is seen from inside of it.
func TestContainerWarnsOfItsMemory(t *testing.T) {
	p := engine(t)
	group := memoryGroup(t, 400)
	out, err := inGroup(group, p.run(nil, "ringcached", "check", "-m", "1000")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "# warning: too little memory: 1000 megabytes for items") || !strings.Contains(string(out), ", of 400 that there are (/sys/fs/cgroup/") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReservedMemorySuffices: with the memory that the chart reserves a server is full of the smallest items, whose index is the largest, and
// evicts, and the kernel does not kill it.
func TestReservedMemorySuffices(t *testing.T) {
	objects := rendered(t, "--set", "cache.memoryLimit=64")
	reserved := number(t, limited.FindStringSubmatch(objects)[1])
	group := memoryGroup(t, reserved)
	own := regexp.MustCompile(`^--(port|metrics|engine)=`) // of the pod, and not of this test
	flags := slices.DeleteFunc(flagsOf(t, objects), own.MatchString)
	server := servertest.StartCommand(t, servertest.Engines()[0], func(args []string) *exec.Cmd {
		return inGroup(group, exec.Command(servertest.Binary(), args...))
	}, flags...)
	const items = 1_200_000 // of 72 bytes each, with a key of 7 and no value
	conn := server.Dial(t)
	w := bufio.NewWriterSize(conn, 1<<16)
	for i := range items {
		fmt.Fprintf(w, "set %07x 0 0 0 noreply\r\n\r\n", i)
	}
	fmt.Fprintf(w, "mn\r\n")
	if err := w.Flush(); err != nil {
		t.Fatalf("%v: %s", err, server.Log())
	}
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute * servertest.Slow)); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || answer != "MN\r\n" {
		t.Fatalf("%v: %q: %s", err, answer, server.Log())
	}
	if stored, evicted := server.Stat(t, "curr_items"), server.Stat(t, "evictions"); stored < 900_000 || evicted == 0 {
		t.Errorf("%d items, %d evicted: it is not full of small items", stored, evicted)
	}
	t.Logf("%d MiB reserved, %d MiB resident", reserved, server.Resident(t)>>20)
}
