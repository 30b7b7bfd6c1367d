package batch

import "time"

const (
	gatherLeast  = 4   // completions that have to be expected within the timeout, or none is waited for
	gatherMemory = 8   // turns over which the time between completions is averaged, about
	gatherShare  = 2   // one of so many of those that are expected is waited for: the wait seldom lasts to the timeout
	gatherMost   = 256 // completions that are waited for at most
)

// gather chooses how many completions to wait for (Config.Wait of WaitAuto): so many
// as come within Config.Timeout at the rate at which they have come lately, or rather
// half of them, so that most waits end before the timeout. Where so few come that it
// would only cost time, one.
type gather struct {
	timeout  time.Duration
	interval time.Duration // between two completions, on the average
	last     time.Time
}

// reaped notes that n completions came, which is not 0, until now.
func (g *gather) reaped(n uint32, now time.Time) {
	// A long rest says nothing about the rate when work comes.
	each := min(now.Sub(g.last)/time.Duration(n), g.timeout)
	g.last = now
	g.interval += (each - g.interval) / gatherMemory
}

// wait is the number of completions to wait for.
func (g *gather) wait() int {
	if g.interval <= 0 {
		return 1
	}
	expected := int(g.timeout / g.interval)
	if expected < gatherLeast {
		return 1
	}
	return min(expected/gatherShare, gatherMost)
}
