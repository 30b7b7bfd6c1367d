package oldtrial

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// IdleScale is how large the row of idle connections is.
type IdleScale struct {
	Connections int `json:"connections"`
	Rounds      int `json:"rounds"`
}

const (
	// idleMost is the target: bytes of memory of its own that a connection may cost a server.
	idleMost = 100
	// idleTime estimates how long one server of one round takes.
	idleTime = 10 * time.Second
)

// idleSubjects are the servers of the row. The target is for the first two.
var idleSubjects = []string{sut.Uring, sut.Epoll, sut.Memcached}

func (s *IdleScale) validate() error {
	switch {
	case s.Connections < 100 || s.Connections > load.MaxConnections:
		return fmt.Errorf("idle-connections: %d is not in 100..%d", s.Connections, load.MaxConnections)
	case s.Rounds < 1 || s.Rounds > 1000:
		return fmt.Errorf("idle-rounds: %d is not in 1..1000", s.Rounds)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	return s.fit(limit.Cur)
}

// fit says whether this process may have as many files open.
func (s *IdleScale) fit(limit uint64) error {
	if need := s.Connections + sut.OwnFiles; limit < uint64(need) {
		return fmt.Errorf("idle-connections: %d need a limit of %d open files, and it is %d (ulimit -n)", s.Connections, need, limit)
	}
	return nil
}

// Idle is what connections cost that have sent a request and are idle since.
type Idle struct {
	Connections int       `json:"connections"`
	Most        float64   `json:"most"` // the target, bytes
	Rows        []IdleRow `json:"rows"`
}

// IdleRow is one server's part: bytes of resident memory for each connection, without pages of files.
type IdleRow struct {
	Server string    `json:"server"`
	Rounds []float64 `json:"rounds"`
}

// median, least and most over the rounds.
func (r *IdleRow) spread() (middle, least, most float64) {
	return Median(r.Rounds), slices.Min(r.Rounds), slices.Max(r.Rounds)
}

// verdict is that of one of our engines. There is no noise to speak of, so each round counts.
func (r *IdleRow) verdict(target float64) Verdict {
	switch _, least, most := r.spread(); {
	case most <= target:
		return Met
	case least > target:
		return Missed
	}
	return Undecided
}

func (l *limiting) idle(ctx context.Context) error {
	o := l.options
	subjects, err := o.Servers.Subjects(idleSubjects)
	if err != nil {
		return err
	}
	idle := &Idle{Connections: o.Idle.Connections, Most: idleMost}
	for _, s := range subjects {
		idle.Rows = append(idle.Rows, IdleRow{Server: s.Name})
	}
	for round := range o.Idle.Rounds {
		for place := range subjects {
			i := (round + place) % len(subjects)
			cost, err := l.idleCost(ctx, &subjects[i])
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("%s: %s: %w", LimitIdle, subjects[i].Name, err)
			}
			l.stage("%s, round %d of %d, %s: %.0f bytes", LimitIdle, round+1, o.Idle.Rounds, subjects[i].Name, cost)
			idle.Rows[i].Rounds = append(idle.Rows[i].Rounds, cost)
		}
	}
	l.report.Idle = idle
	if l.watch.Idle != nil {
		l.watch.Idle(idle)
	}
	return nil
}

// idleCost starts a server and measures what the connections cost it, in bytes for each.
func (l *limiting) idleCost(ctx context.Context, s *sut.Subject) (float64, error) {
	n := l.options.Idle.Connections
	in, err := s.Start(ctx, &l.options.Servers, l.options.Cores.Server, &load.Workload{Connections: n})
	if err != nil {
		return 0, err
	}
	defer in.Stop()
	l.report.Note(in, "")
	conns, cost, err := idleAround(ctx, in, n, settleFully, nil)
	conns.close()
	if err != nil {
		return 0, err
	}
	return cost.user, nil
}
