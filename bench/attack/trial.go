package attack

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Result is what a load did to a server.
type Result struct {
	Server  string       `json:"server"`
	Alone   PoliteResult `json:"alone"` // the polite client before the attack
	Polite  PoliteResult `json:"polite"`
	Attack  Counts       `json:"attack"`
	Evicted int64        `json:"evicted"` // items, during the attack; -1: the server did not say
	// Resident memory of the server in bytes: before, at most during the attack, and some time after it. 0: not
	// looked at.
	MemoryBefore int64 `json:"memory_before_bytes"`
	MemoryPeak   int64 `json:"memory_peak_bytes"`
	MemoryAfter  int64 `json:"memory_after_bytes,omitempty"`
	// CPUSeconds is the server's CPU time for the attack, without what the polite client alone would have taken
	// meanwhile.
	CPUSeconds float64 `json:"cpu_seconds"`
	Died       string  `json:"died,omitempty"` // the last words of a server that ended
}

const (
	attackGrace  = 500 * time.Millisecond // measured when the attackers have gone: what they leave is theirs
	attackAnswer = 2 * time.Second        // that a server may take for statistics during an attack
	attackCalm   = 5 * time.Second        // that a server may be busy with what was stored before it is attacked
	attackLatest = 30 * time.Second       // that attackers may take until they have begun, on a busy machine
)

// trial is a load on one server.
type trial struct {
	*Options
	load   *Load
	in     *sut.Instance
	polite *politeClient
	Result
}

// run starts the server and attacks it.
func (t *trial) run(ctx context.Context, s sut.Subject, report *Report) error {
	servers := t.Servers
	servers.MemoryMB = cmp.Or(t.load.MemoryMB, 64)
	dir, err := servers.OwnDir(memoryDir(2 * servers.MemoryMB))
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, arg := range t.load.Args {
		s.Flags = append(s.Flags, strings.ReplaceAll(arg, "$dir", dir))
	}
	if t.load.UnreadLog {
		unread, stderr, err := os.Pipe()
		if err != nil {
			return err
		}
		defer unread.Close()
		defer stderr.Close()
		s.Stderr = stderr
	}
	w := load.Workload{Connections: t.atMost(t.load.Standing) + t.atMost(t.load.Swarm.Conns) + politeConns}
	if t.load.Swarm.UDP {
		w.Transport = load.TransportUDP
	}
	if t.in, err = s.Start(ctx, &servers, t.Cores.Server, &w); err != nil {
		return err
	}
	defer t.in.Stop()
	report.Note(t.in, "")
	t.Server = s.Name
	if t.polite, err = startPolite(ctx, t.in.Addr, t.Rate, t.load.NoSets); err != nil {
		return err
	}
	defer t.polite.close()
	err = t.measure(ctx)
	if !t.in.Process.Running() {
		t.Died, err = t.in.Process.Death().Error(), nil
	}
	return errors.Join(err, ctx.Err())
}

// memoryDir is a directory in memory with room for needMB megabytes, empty if there is none: a memory file belongs
// there.
func memoryDir(needMB int) string {
	const dir = "/dev/shm"
	var f syscall.Statfs_t
	if err := syscall.Statfs(dir, &f); err != nil || int64(f.Bavail)*f.Bsize < int64(needMB)<<20 {
		return ""
	}
	return dir
}

// measure prepares the store and looks at the polite client, without attackers and with them.
func (t *trial) measure(ctx context.Context) error {
	if err := t.prepare(ctx); err != nil {
		return fmt.Errorf("filling the store: %w", err)
	}
	standing, err := startAttack(&swarm{}, t.in.Addr, t.atMost(t.load.Standing))
	if err != nil {
		return err
	}
	defer standing.end()
	awaitAttack(ctx, standing)
	pid := t.in.Process.PID
	for start := time.Now(); time.Since(start) < attackCalm && ctx.Err() == nil; { // what the fill left the server to do
		if _, elapsed, cpu := t.watch(func() { pause(ctx, attackCalm/20) }); cpu < elapsed/8 {
			break
		}
	}
	alone, idleTime, idleCPU := t.watch(func() { pause(ctx, t.Options.Alone) })
	evicted := t.evictions(ctx)
	t.Result.Alone = alone
	t.MemoryBefore, _ = sut.MemoryBytes(pid, "VmRSS")
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // the peak counts from now on
	attack, err := startAttack(&t.load.Swarm, t.in.Addr, t.atMost(t.load.Swarm.Conns))
	if err != nil {
		return err
	}
	defer attack.end()
	polite, elapsed, cpu := t.watch(func() {
		awaitAttack(ctx, attack)
		pause(ctx, t.Duration)
		t.Attack = attack.end()
		pause(ctx, min(attackGrace, t.Duration))
	})
	t.Polite = polite
	t.CPUSeconds = cpu.Seconds() - idleCPU.Seconds()*elapsed.Seconds()/idleTime.Seconds()
	t.MemoryPeak, _ = sut.MemoryBytes(pid, "VmHWM")
	if t.load.Settles {
		pause(ctx, t.Settle-attackGrace)
		t.MemoryAfter, _ = sut.MemoryBytes(pid, "VmRSS")
	}
	if t.Evicted = -1; evicted >= 0 {
		t.Evicted = max(t.evictions(ctx)-evicted, -1)
	}
	return nil
}

// watch measures the polite client and the server's CPU time while do runs. A server that is gone has used no more.
func (t *trial) watch(do func()) (result PoliteResult, elapsed, cpu time.Duration) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // no collection stops the polite client
	before, _ := sut.CPUTime(t.in.Process.PID)
	t.polite.cut()
	start := time.Now()
	do()
	result, elapsed = t.polite.cut(), time.Since(start)
	after, _ := sut.CPUTime(t.in.Process.PID)
	return result, elapsed, max(after-before, 0)
}

// awaitAttack waits until an attack is under way: on a busy machine that takes a while, and a server that is in the
// way of it is what was looked for.
func awaitAttack(ctx context.Context, a *attack) {
	for start := time.Now(); !a.begun.Load() && time.Since(start) < attackLatest && ctx.Err() == nil; {
		pause(ctx, time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// evictions asks how many items the server has evicted; -1: it does not say.
func (t *trial) evictions(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, attackAnswer)
	defer cancel()
	stats, err := t.in.AskStats(ctx, "")
	n, nerr := sut.StatNumber(stats, "evictions")
	if err != nil || nerr != nil {
		return -1
	}
	return n
}

// prepare stores what the load wants to be there.
func (t *trial) prepare(ctx context.Context) error {
	c, err := t.in.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	out, f := bufio.NewWriterSize(c, 256<<10), &t.load.Fill
	_, _ = out.WriteString(t.load.Prepare)
	before, after, _ := strings.Cut(f.Key, "$n")
	value := strings.Repeat("v", f.Value)
	for i := range min(f.PerItem*t.Items, cmp.Or(f.Most, 1<<40)) {
		fmt.Fprintf(out, "set %s%d%s 0 0 %d noreply\r\n%s\r\n", before, i, after, f.Value, value)
	}
	_, _ = out.WriteString(noop)
	err = out.Flush()                                         // which tells of all writes
	for line := ""; err == nil && line+"\r\n" != noopReply; { // what comes before are sets that failed
		line, err = c.Line()
	}
	return err
}
