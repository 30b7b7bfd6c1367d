package oldtrial

import (
	"fmt"
	"slices"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Options say how a server has its trial: on which cores, under what load, and for how long.
type Options struct {
	Duration time.Duration     `json:"duration_ns"` // of the timed part
	Warmup   time.Duration     `json:"warmup_ns"`
	Threads  int               `json:"threads"` // of the load
	Driver   string            `json:"driver"`
	Seed     uint64            `json:"seed"`
	Servers  sut.ServerOptions `json:"servers"`
	Cores    sut.Cores         `json:"cores"` // empty lists: chosen
}

// validate says what is wrong with trials of these workloads, in that many rounds, naming the command line's flags.
func (o *Options) validate(rounds int, loads []load.Workload) error {
	switch {
	case rounds < 1 || rounds > 1000:
		return fmt.Errorf("rounds: %d is not in 1..1000", rounds)
	case o.Duration < 50*time.Millisecond || o.Duration > time.Hour:
		return fmt.Errorf("duration: %v is not in 50ms..1h", o.Duration)
	case o.Warmup < 0 || o.Warmup > time.Hour:
		return fmt.Errorf("warmup: %v is not in 0..1h", o.Warmup)
	case o.Servers.Threads < 1:
		return fmt.Errorf("server-threads: %d is below 1", o.Servers.Threads)
	case o.Servers.MemoryMB < 8:
		return fmt.Errorf("memory: %d MB is below 8", o.Servers.MemoryMB)
	}
	for i, v := range o.Servers.Variants {
		if slices.ContainsFunc(o.Servers.Variants[:i], func(other sut.Variant) bool { return other.Name == v.Name }) {
			return fmt.Errorf("variant %s is named twice", v.Name)
		}
	}
	for i := range loads {
		l := load.Options{Workload: loads[i], Threads: o.Threads, Driver: o.Driver}
		if err := l.Validate(); err != nil {
			return fmt.Errorf("workload %s: %w", loads[i].Name, err)
		}
	}
	return nil
}

// countFor is how long system calls are counted for.
func (o *Options) countFor() time.Duration {
	return min(max(o.Duration, 200*time.Millisecond), 500*time.Millisecond)
}

// trialTime estimates how long one trial takes beside its timed part: starting, storing the keys, stopping.
const trialTime = 250 * time.Millisecond
