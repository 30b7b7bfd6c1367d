package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestKilledWithMemoryFile ends servers under load again and again, and looks at all that the next one has: after a clean stop the newest of
// what was acknowledged, after a kill nothing, and after a kill during stop or start one of these. RINGCACHED_KILL_TIME=10m makes it go on
// for so long.
func TestKilledWithMemoryFile(t *testing.T) {
	for place, file := range memoryFiles(t) {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			k := &killer{flags: []string{"-e", file, "-m", "128", "-t", "2"}, count: map[string]int{}}
			for i := range writers {
				k.witnesses = append(k.witnesses, newWitness(fmt.Sprint("of", i, ":"), 12_000/writers/servertest.Slow))
			}
			k.startTook, k.stopTook = 50*time.Millisecond, 50*time.Millisecond
			k.start(t)
			wantLog(t, k.server, "starting empty: it is new")
			for more := rounds(t); more(); {
				k.round(t)
			}
			t.Logf("%v; the last start took %v, the last stop %v", k.count, k.startTook, k.stopTook)
		})
	}
}

const writers = 3

// rounds says how often to go on: some rounds, or as long as the environment says.
func rounds(t *testing.T) (more func() bool) {
	text, given := os.LookupEnv("RINGCACHED_KILL_TIME")
	if !given {
		left := 16
		return func() bool { left--; return left >= 0 }
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	return func() bool { return time.Since(begin) < long }
}

// The ways in which a server ends, and their order: what was kept shall grow, and old and new lie side by side.
const (
	clean          = "clean"
	killed         = "killed"
	killedStopping = "killed as it stopped"
	killedStarting = "next killed as it started"
)

var ends = []string{clean, clean, killedStopping, clean, killedStarting, clean, clean, killed}

// killer is a row of servers with one memory file.
type killer struct {
	flags               []string
	server              *servertest.Server
	witnesses           []*witness
	startTook, stopTook time.Duration  // of the last one that was let alone
	done                int            // rounds
	count               map[string]int // of what happened
}

func engine() string {
	engines := servertest.Engines()
	return engines[rand.IntN(len(engines))]
}

func (k *killer) start(t *testing.T) {
	t.Helper()
	begin := time.Now()
	k.server = servertest.Start(t, engine(), k.flags...)
	k.startTook = time.Since(begin)
}

// round lets the server work, ends it in one of four ways, and looks at the next.
func (k *killer) round(t *testing.T) {
	t.Helper()
	wait := k.work(t)
	how := ends[k.done%len(ends)]
	k.done++
	mayKeep, mustKeep := true, false
	switch how {
	case clean:
		k.stop(t)
		mustKeep = true
	case killed:
		k.server.Kill()
		mayKeep = false
	case killedStopping:
		_ = k.server.Signal(syscall.SIGTERM)
		time.Sleep(rand.N(k.stopTook * 5 / 4)) // anything will do
		k.server.Kill()
		mustKeep = strings.Contains(k.server.Log(), "kept ")
	case killedStarting:
		k.stop(t)
		for range 1 + rand.IntN(2) {
			k.startAndKill(t)
		}
	}
	wait()

	k.start(t)
	kept := strings.Contains(k.server.Log(), "took up ")
	k.count[fmt.Sprintf("%s, kept: %v", how, kept)]++
	if kept && !mayKeep || !kept && mustKeep {
		t.Fatalf("%s, and kept is %v\n%s", how, kept, k.server.Log())
	}
	if !kept {
		wantLog(t, k.server, "starting empty: the server that used it was not stopped, but ended otherwise")
		if n := k.server.Stat(t, "curr_items"); n != 0 {
			t.Fatalf("%d items", n)
		}
	}
	for _, w := range k.witnesses {
		w.check(t, k.server, !kept)
	}
	if n := k.server.Stat(t, "evictions"); n != 0 {
		t.Fatalf("%d evictions: too many keys for this test", n)
	}
}

// work has the witnesses write, for a while. They go on until the server has ended, which wait waits for.
func (k *killer) work(t *testing.T) (wait func()) {
	t.Helper()
	var all sync.WaitGroup
	for _, w := range k.witnesses {
		conn := k.server.Dial(t)
		all.Go(func() {
			defer conn.Close()
			w.write(conn)
		})
	}
	time.Sleep(rand.N(150 * time.Millisecond)) // anything will do
	return all.Wait
}

// stop ends the server as it should be.
func (k *killer) stop(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := k.server.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, k.server.Log())
	}
	k.stopTook = time.Since(begin)
}

// startAndKill kills a server before it serves, or shortly after.
func (k *killer) startAndKill(t *testing.T) {
	t.Helper()
	args := append([]string{"-l", "127.0.0.1", "-p", "-1", "--engine", engine()}, k.flags...)
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(servertest.Binary(), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(k.startTook * 5 / 4)) // anything will do
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
