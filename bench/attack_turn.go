package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// AttackResult is what a load did to a server.
type AttackResult struct {
	Server  string       `json:"server"`
	Alone   PoliteResult `json:"alone"` // the polite client before the attack
	Polite  PoliteResult `json:"polite"`
	Attack  AttackCounts `json:"attack"`
	Evicted int64        `json:"evicted"` // items, during the attack; -1: the server did not say
	// Resident memory of the server in bytes: before, at most during the attack, and some time after it. 0: not looked at.
	MemoryBefore int64 `json:"memory_before_bytes"`
	MemoryPeak   int64 `json:"memory_peak_bytes"`
	MemoryAfter  int64 `json:"memory_after_bytes,omitempty"`
	// CPUSeconds is the server's CPU time for the attack, without what the polite client alone would have taken meanwhile.
	CPUSeconds float64 `json:"cpu_seconds"`
	Died       string  `json:"died,omitempty"` // the last words of a server that ended
}

// perByte is the server's CPU time for each byte of the attackers, in nanoseconds; 0: unknown.
func (r *AttackResult) perByte() float64 { return perUnit(1e9*r.CPUSeconds, r.Attack.Bytes) }

// perRequest is that for each of their requests, in microseconds.
func (r *AttackResult) perRequest() float64 { return perUnit(1e6*r.CPUSeconds, r.Attack.Requests) }

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

// attackTurn is a load on one server.
type attackTurn struct {
	options *AttackOptions
	load    *attackLoad
	report  *Report
	result  AttackResult
	polite  *politeClient
	cpu     *cpuReader
}

// run starts the server and attacks it.
func (t *attackTurn) run(ctx context.Context, s subject) (*AttackResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	servers := t.options.Servers
	servers.MemoryMB = orDefaultInt(t.load.memoryMB, 64)
	dir, err := servers.ownDir(memoryDir(2 * servers.MemoryMB))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, arg := range t.load.args {
		s.flags = append(s.flags, strings.ReplaceAll(arg, "{dir}", dir))
	}
	if t.load.unreadLog {
		unread, stderr, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer unread.Close()
		defer stderr.Close()
		s.stderr = stderr
	}
	w := Workload{Connections: t.options.atMost(t.load.standing) + t.options.atMost(t.load.swarm.conns) + politeConns}
	if len(t.load.swarm.datagrams) > 0 {
		w.Transport = TransportUDP
	}
	in, err := s.start(ctx, &servers, t.options.Cores.Server, &w)
	if err != nil {
		return nil, err
	}
	defer in.stop()
	t.report.note(in, &Round{})
	t.result.Server = s.name
	if t.polite, err = startPolite(ctx, in.addr, t.options.Rate, t.load.noSets); err != nil {
		return nil, err
	}
	defer t.polite.close()
	if err := t.measure(ctx, in); err != nil {
		if in.process.running() {
			return nil, err
		}
	}
	if !in.process.running() {
		t.result.Died = in.process.death().Error()
	}
	return &t.result, ctx.Err()
}

// memoryDir is a directory in memory with room for so many megabytes, empty if there is none: a memory file belongs there.
func memoryDir(needMB int) string {
	const dir = "/dev/shm"
	var f syscall.Statfs_t
	if err := syscall.Statfs(dir, &f); err != nil || int64(f.Bavail)*f.Bsize < int64(needMB)<<20 {
		return ""
	}
	return dir
}

func orDefaultInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// measure prepares the store and looks at the polite client, without attackers and with them.
func (t *attackTurn) measure(ctx context.Context, in *instance) (err error) {
	if err := t.prepare(ctx, in.addr); err != nil {
		return err
	}
	standing, err := startAttack(&swarm{}, in.addr, t.options.atMost(t.load.standing))
	if err != nil {
		return err
	}
	defer standing.end()
	if err := awaitAttack(ctx, standing); err != nil {
		return err
	}
	if t.cpu, err = newCPUReader(in.process.pid); err != nil {
		return err
	}
	if err := t.calm(ctx); err != nil {
		return err
	}
	alone, idle, err := t.watch(ctx, func() { pause(ctx, t.options.Alone) })
	if err != nil {
		return err
	}
	t.result.Alone = *alone
	evicted := evictions(ctx, in.addr)
	t.result.MemoryBefore, _ = residentBytes(in.process.pid)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", in.process.pid), []byte("5"), 0) // the peak counts from now on
	attack, err := startAttack(&t.load.swarm, in.addr, t.options.atMost(t.load.swarm.conns))
	if err != nil {
		return err
	}
	defer attack.end()
	polite, spent, err := t.watch(ctx, func() {
		err = awaitAttack(ctx, attack)
		pause(ctx, t.options.Duration)
		t.result.Attack = attack.end()
		pause(ctx, min(attackGrace, t.options.Duration))
	})
	if polite != nil {
		t.result.Polite = *polite
		t.result.CPUSeconds = spent.cpu.Seconds() - idle.cpu.Seconds()*spent.elapsed.Seconds()/idle.elapsed.Seconds()
	}
	if err != nil {
		return err
	}
	t.result.MemoryPeak, _ = memoryBytes(in.process.pid, "VmHWM")
	if t.load.settles {
		pause(ctx, t.options.Settle-attackGrace)
		t.result.MemoryAfter, _ = residentBytes(in.process.pid)
	}
	t.result.Evicted = -1
	if after := evictions(ctx, in.addr); after >= 0 && evicted >= 0 {
		t.result.Evicted = after - evicted
	}
	return nil
}

// calm waits until the server is done with what the fill left it to do, as long as that takes less than attackCalm.
func (t *attackTurn) calm(ctx context.Context) error {
	for start := time.Now(); time.Since(start) < attackCalm; {
		_, s, err := t.watch(ctx, func() { pause(ctx, attackCalm/20) })
		if err != nil || s.cpu < s.elapsed/8 {
			return err
		}
	}
	return nil
}

// spending is the CPU time of a server in a stretch of time.
type spending struct{ elapsed, cpu time.Duration }

// watch measures the polite client and the server while do runs.
func (t *attackTurn) watch(ctx context.Context, do func()) (*PoliteResult, *spending, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // no collection stops the polite client
	used, err := t.cpu.read()
	if err != nil {
		return nil, nil, err
	}
	t.polite.cut()
	start := time.Now()
	do()
	result := t.polite.cut()
	s := &spending{elapsed: time.Since(start)}
	if s.cpu, err = t.cpu.read(); err != nil { // the server is gone
		return &result, s, err
	}
	s.cpu -= used
	return &result, s, ctx.Err()
}

// awaitAttack waits until an attack is under way: on a busy machine that takes a while, and a server that is in the way of it is what was looked for.
func awaitAttack(ctx context.Context, a *attack) error {
	for start := time.Now(); !a.begun() && time.Since(start) < attackLatest && ctx.Err() == nil; {
		pause(ctx, time.Millisecond)
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// evictions asks how many items the server has evicted; -1: it does not say.
func evictions(ctx context.Context, addr string) int64 {
	ctx, cancel := context.WithTimeout(ctx, attackAnswer)
	defer cancel()
	stats, err := askStats(ctx, addr, "")
	if err != nil {
		return -1
	}
	n, err := number(stats, "evictions")
	if err != nil {
		return -1
	}
	return n
}

// prepare stores what the load wants to be there.
func (t *attackTurn) prepare(ctx context.Context, addr string) error {
	f := &t.load.fill
	n := f.perItem * t.options.Items
	if f.most > 0 {
		n = min(n, f.most)
	}
	first := ""
	if len(t.load.swarm.datagrams) > 0 { // what attackers over TCP send themselves
		first = t.load.swarm.open
	}
	c, err := dialServer(ctx, addr, connectTimeout)
	if err != nil {
		return fmt.Errorf("filling the store: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
	out := bufio.NewWriterSize(c, 256<<10)
	before, after, _ := strings.Cut(f.key, "{n}")
	value := strings.Repeat("v", f.valueSize)
	_, _ = out.WriteString(first)
	for i := range n {
		fmt.Fprintf(out, "set %s%d%s 0 0 %d noreply\r\n%s\r\n", before, i, after, f.valueSize, value)
	}
	_, _ = out.WriteString(noop)
	if err := out.Flush(); err != nil { // of whatever was written
		return fmt.Errorf("filling the store: %w", err)
	}
	replies := bufio.NewReader(c)
	for {
		line, err := replies.ReadString('\n')
		if err != nil {
			return fmt.Errorf("filling the store: %w", err)
		}
		if line == noopReply { // what comes before it are sets that failed
			return nil
		}
	}
}
