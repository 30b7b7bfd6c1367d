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
	// Resident memory of the server in bytes: before, at most during the attack, and some time after it. 0: not looked at.
	MemoryBefore int64 `json:"memory_before_bytes"`
	MemoryPeak   int64 `json:"memory_peak_bytes"`
	MemoryAfter  int64 `json:"memory_after_bytes,omitempty"`
	// CPUSeconds is the server's CPU time for the attack, without what the polite client alone would have taken meanwhile.
	CPUSeconds float64 `json:"cpu_seconds"`
	Died       string  `json:"died,omitempty"` // the last words of a server that ended
}

// perUnit is a cost, none below 0, divided by a number of units; 0: there are none.
func perUnit(cost float64, units int64) float64 {
	if units == 0 {
		return 0
	}
	return max(cost, 0) / float64(units)
}

const (
	// attackGrace is how long the polite client is looked at when the attackers have gone: what they leave behind is theirs too.
	attackGrace = 500 * time.Millisecond
	// attackAnswer is how long a server may take for statistics during an attack.
	attackAnswer = 2 * time.Second
	// attackCalm is how long a server may be busy with what was stored before it is attacked.
	attackCalm = 5 * time.Second
	// attackLatest is how long attackers may take until they have begun, on a busy machine.
	attackLatest = 30 * time.Second
)

// attackTrial is a load on one server.
type attackTrial struct {
	options *Options
	load    *hostileLoad
	report  *Report
	in      *sut.Instance
	polite  *politeClient
	cpu     *sut.CPUReader
	result  Result
}

// run starts the server and attacks it.
func (t *attackTrial) run(ctx context.Context, s sut.Subject) (*Result, error) {
	servers, swarm := t.options.Servers, &t.load.swarm
	servers.MemoryMB = cmp.Or(t.load.memoryMB, 64)
	dir, err := servers.OwnDir(memoryDir(2 * servers.MemoryMB))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, arg := range t.load.args {
		s.Flags = append(s.Flags, strings.ReplaceAll(arg, "{dir}", dir))
	}
	if t.load.unreadLog {
		unread, stderr, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer unread.Close()
		defer stderr.Close()
		s.Stderr = stderr
	}
	w := load.Workload{Connections: t.options.atMost(t.load.standing) + t.options.atMost(swarm.conns) + politeConns}
	if len(swarm.datagrams) > 0 {
		w.Transport = load.TransportUDP
	}
	if t.in, err = s.Start(ctx, &servers, t.options.Cores.Server, &w); err != nil {
		return nil, err
	}
	defer t.in.Stop()
	t.report.Note(t.in, "")
	t.result.Server = s.Name
	if t.polite, err = startPolite(ctx, t.in.Addr, t.options.Rate, t.load.noSets); err != nil {
		return nil, err
	}
	defer t.polite.close()
	err = t.measure(ctx)
	if !t.in.Process.Running() {
		t.result.Died, err = t.in.Process.Death().Error(), nil
	}
	return &t.result, errors.Join(err, ctx.Err())
}

// memoryDir is a directory in memory with room for needMB megabytes, empty if there is none: a memory file belongs there.
func memoryDir(needMB int) string {
	const dir = "/dev/shm"
	var f syscall.Statfs_t
	if err := syscall.Statfs(dir, &f); err != nil || int64(f.Bavail)*f.Bsize < int64(needMB)<<20 {
		return ""
	}
	return dir
}

// measure prepares the store and looks at the polite client, without attackers and with them.
func (t *attackTrial) measure(ctx context.Context) error {
	pid, r := t.in.Process.PID, &t.result
	if err := t.prepare(ctx); err != nil {
		return fmt.Errorf("filling the store: %w", err)
	}
	standing, err := startAttack(&swarm{}, t.in.Addr, t.options.atMost(t.load.standing))
	if err != nil {
		return err
	}
	defer standing.end()
	awaitAttack(ctx, standing)
	if t.cpu, err = sut.NewCPUReader(pid); err != nil {
		return err
	}
	t.calm(ctx)
	alone, idle := t.watch(func() { pause(ctx, t.options.Alone) })
	evicted := t.evictions(ctx)
	r.Alone = alone
	r.MemoryBefore, _ = sut.ResidentBytes(pid)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // the peak counts from now on
	attack, err := startAttack(&t.load.swarm, t.in.Addr, t.options.atMost(t.load.swarm.conns))
	if err != nil {
		return err
	}
	defer attack.end()
	var spent spending
	r.Polite, spent = t.watch(func() {
		awaitAttack(ctx, attack)
		pause(ctx, t.options.Duration)
		r.Attack = attack.end()
		pause(ctx, min(attackGrace, t.options.Duration))
	})
	r.CPUSeconds = spent.cpu.Seconds() - idle.cpu.Seconds()*spent.elapsed.Seconds()/idle.elapsed.Seconds()
	r.MemoryPeak, _ = sut.MemoryBytes(pid, "VmHWM")
	if t.load.settles {
		pause(ctx, t.options.Settle-attackGrace)
		r.MemoryAfter, _ = sut.ResidentBytes(pid)
	}
	if r.Evicted = -1; evicted >= 0 {
		r.Evicted = max(t.evictions(ctx)-evicted, -1)
	}
	return nil
}

// spending is the CPU time of a server in a stretch of time.
type spending struct{ elapsed, cpu time.Duration }

// watch measures the polite client and the server while do runs. A server that is gone has used no more.
func (t *attackTrial) watch(do func()) (PoliteResult, spending) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // no collection stops the polite client
	before, _ := t.cpu.Read()
	t.polite.cut()
	start := time.Now()
	do()
	result, elapsed := t.polite.cut(), time.Since(start)
	after, _ := t.cpu.Read()
	return result, spending{elapsed: elapsed, cpu: max(after-before, 0)}
}

// calm waits until the server is done with what the fill left it to do.
func (t *attackTrial) calm(ctx context.Context) {
	for start := time.Now(); time.Since(start) < attackCalm && ctx.Err() == nil; {
		if _, s := t.watch(func() { pause(ctx, attackCalm/20) }); s.cpu < s.elapsed/8 {
			return
		}
	}
}

// awaitAttack waits until an attack is under way: on a busy machine that takes a while, and a server that is in the way of it is what was looked for.
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
func (t *attackTrial) evictions(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, attackAnswer)
	defer cancel()
	stats, err := load.AskStats(ctx, t.in.Addr, "")
	if err != nil {
		return -1
	}
	n, err := sut.StatNumber(stats, "evictions")
	if err != nil {
		return -1
	}
	return n
}

// prepare stores what the load wants to be there.
func (t *attackTrial) prepare(ctx context.Context) error {
	c, err := load.Dial(ctx, t.in.Addr, load.ConnectTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	out, f := bufio.NewWriterSize(c, 256<<10), &t.load.fill
	if len(t.load.swarm.datagrams) > 0 {
		_, _ = out.WriteString(t.load.swarm.open)
	}
	before, after, _ := strings.Cut(f.key, "{n}")
	value := strings.Repeat("v", f.valueSize)
	for i := range min(f.perItem*t.options.Items, cmp.Or(f.most, 1<<40)) {
		fmt.Fprintf(out, "set %s%d%s 0 0 %d noreply\r\n%s\r\n", before, i, after, f.valueSize, value)
	}
	_, _ = out.WriteString(noop)
	err = out.Flush() // which tells of all writes
	line, replies := "", bufio.NewReader(c)
	for err == nil && line != noopReply { // what comes before are sets that failed
		line, err = replies.ReadString('\n')
	}
	return err
}
