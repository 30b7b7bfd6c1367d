package sut

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/bench/load"
)

// startShell starts a shell script as a server would be started, on the last usable core.
func startShell(t *testing.T, script string) (*Process, int) {
	t.Helper()
	cores, err := UsableCores()
	if err != nil {
		t.Fatal(err)
	}
	core := cores[len(cores)-1]
	p, err := startProcess([]string{"/bin/sh", "-c", script}, []int{core}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p, core
}

func awaitEnd(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		t.Fatal("the process does not end")
	}
}

func TestProcessIsPinnedAndWeAreNot(t *testing.T) {
	before, err := affinity(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p, core := startShell(t, "grep Cpus_allowed_list /proc/self/status; exec sleep 60")
	for deadline := time.Now().Add(20 * time.Second); p.out.String() == "" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := strings.Fields(p.out.String()); len(got) != 2 || got[1] != fmt.Sprint(core) {
		t.Errorf("the child may run on %q, want core %d", got, core)
	}
	if after, _ := affinity(os.Getpid()); !slices.Equal(after, before) {
		t.Errorf("our own cores changed from %v to %v", before, after)
	}
	if !p.Running() {
		t.Error("not running")
	}
	p.stop(syscall.SIGTERM)
	if p.Running() {
		t.Error("running after stop")
	}
}

func TestStubbornProcessIsKilled(t *testing.T) {
	p, _ := startShell(t, "trap '' TERM; echo up; while :; do sleep 0.05; done")
	for p.out.String() == "" {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	p.stop(syscall.SIGTERM)
	if d := time.Since(start); d < 2*time.Second || d > 20*time.Second {
		t.Errorf("stop took %v, want the 3 s of patience", d)
	}
}

func TestLastWords(t *testing.T) {
	p, _ := startShell(t, "echo starting; echo cannot listen >&2; exit 3")
	awaitEnd(t, p)
	if got := p.Death().Error(); !strings.Contains(got, "exit status 3") || !strings.Contains(got, "cannot listen") {
		t.Errorf("death is reported as %q", got)
	}
	nobody := load.Endpoint{Addr: "127.0.0.1:1"}
	if _, err := awaitServer(t.Context(), p, nobody, nobody.AskVersion); err == nil || !strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("waiting for a dead server: %v", err)
	}
}

// TestGuardOutlivesUs closes the guard's pipe, as the end of this process does however it comes.
func TestGuardOutlivesUs(t *testing.T) {
	p, _ := startShell(t, "exec sleep 60")
	_ = p.life.Close()
	awaitEnd(t, p)
	if !strings.Contains(p.err.Error(), "killed") {
		t.Errorf("ended with %v", p.err)
	}
}

// TestKilledParentTakesServersAlong kills a process that has started a server, and looks for the server.
func TestKilledParentTakesServersAlong(t *testing.T) {
	if os.Getenv("BENCH_TEST_PARENT") != "" {
		p, _ := startShell(t, "exec sleep 60")
		fmt.Printf("child %d\n", p.PID)
		time.Sleep(time.Minute)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKilledParentTakesServersAlong$")
	cmd.Env = append(os.Environ(), "BENCH_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "child %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestProgramThatIsNotThere(t *testing.T) {
	if _, err := startProcess([]string{"/no/such/program"}, []int{0}, nil); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("%v", err)
	}
	o := ServerOptions{Path: "/no/such/program"}
	if _, err := o.Subjects([]string{Uring}); err == nil || !strings.Contains(err.Error(), "uring") {
		t.Errorf("%v", err)
	}
	if _, err := o.Subjects([]string{"redis"}); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("%v", err)
	}
}

// TestEnginesAreStarted: each engine of ringcached's is a server by its name.
func TestEnginesAreStarted(t *testing.T) {
	o := ServerOptions{Path: "/bin/true", User: "nobody", Threads: 1, MemoryMB: 64, Extra: []string{"-R", "9"}}
	for _, name := range []string{Uring, Epoll} {
		all, err := o.Subjects([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		w := load.DefaultWorkload()
		args, err := all[0].arguments(&o, "127.0.0.1:11311", &w)
		if got := strings.Join(args, " "); err != nil || !strings.HasSuffix(got, " --engine "+name+" -R 9") {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestNetIsStarted: the baseline is a command of this program, with the same limits as the others and without flags of ringcached's.
func TestNetIsStarted(t *testing.T) {
	o := ServerOptions{Path: "/bin/true", User: "nobody", Threads: 2, MemoryMB: 64, Extra: []string{"-R", "9"}}
	all, err := o.Subjects([]string{Net})
	if err != nil {
		t.Fatal(err)
	}
	w := load.DefaultWorkload()
	w.Connections, w.ValueSize = 5000, 2<<20
	args, err := all[0].arguments(&o, "127.0.0.1:11311", &w)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(args[1:], " "), "gonet -l 127.0.0.1 -p 11311 -t 2 -m 64 -c 5100 -I 3m"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAwaitServerEndsWithTheContext(t *testing.T) {
	p, _ := startShell(t, "exec sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	nobody := load.Endpoint{Addr: "127.0.0.1:1"}
	if _, err := awaitServer(ctx, p, nobody, nobody.AskVersion); err == nil {
		t.Error("a server that does not listen was found")
	}
}

// TestValkeyIsStarted: it says its version in its own protocol. Without it there is a line that says how it is had.
func TestValkeyIsStarted(t *testing.T) {
	o := ServerOptions{Threads: 1, MemoryMB: 64, User: "nobody"}
	all, err := o.Subjects([]string{Valkey})
	if err != nil {
		if !strings.Contains(err.Error(), "scripts/install-peer valkey-8 unpacks it") {
			t.Fatal(err)
		}
		t.Skipf("%v: run scripts/install-peer valkey-8 first", err)
	}
	cores, err := UsableCores()
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{load.TransportTCP, load.TransportUnix} {
		in, err := all[0].Start(t.Context(), &o, cores, &load.Workload{Connections: 2000, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(in.version, "8.") {
			t.Errorf("version %q over %s", in.version, transport)
		}
		in.Stop()
	}
}

// TestPeers: each is looked for where the script puts it.
func TestPeers(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RINGCACHED_PEERS", dir)
	path := filepath.Join(dir, "memcached-1.6.45", "memcached-1.6.45")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	var o ServerOptions
	for _, name := range []string{Memcached, "memcached-1.6.45"} {
		if all, err := o.Subjects([]string{name}); err != nil || all[0].path != path {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
	if _, err := o.Subjects([]string{"memcached-1.6.18"}); err == nil || !strings.Contains(err.Error(), "scripts/install-peer memcached-1.6.18 unpacks it") {
		t.Error(err)
	}
	o.Memcached = "/no/such/file"
	if _, err := o.Subjects([]string{Memcached}); err == nil || !strings.Contains(err.Error(), "server memcached: stat /no/such/file") {
		t.Error(err)
	}
}
