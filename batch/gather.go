package batch

import "time"

const (
	gatherLeast  = 4   // completions that have to be expected within the timeout, or none is waited for
	gatherMemory = 8   // turns over which the time between completions is averaged, about
	gatherShare  = 2   // one of so many of those that are expected is waited for: the wait seldom lasts to the timeout
	gatherMost   = 256 // completions that are waited for at most
	gatherTrust  = 256 // turns until more are waited for than came when a wait did last to the timeout
)

// gather chooses how many completions to wait for (Config.Wait of WaitAuto): so many
// as come within Config.Timeout at the rate at which they have come lately, or rather
// half of them, so that most waits end before the timeout. Where so few come that it
// would only cost time, one.
//
// A few clients that each wait for their answer make no more completions at a time than
// they are, however fast they come one after another. That shows when a wait was in vain.
type gather struct {
	timeout  time.Duration
	interval time.Duration // between two completions, on the average
	last     time.Time

	waited int // for so many in this turn; 0: for none
	enough int // so many came at the last wait that was in vain
	trust  int // turns for which no more than that are waited for
}

// reaped notes that n completions came, which is not 0, until now.
func (g *gather) reaped(n uint32, now time.Time) {
	// A long rest says nothing about the rate when work comes.
	each := min(now.Sub(g.last)/time.Duration(n), g.timeout)
	g.last = now
	g.interval += (each - g.interval) / gatherMemory
	if int(n) < g.waited {
		g.enough, g.trust = int(n), gatherTrust
	} else if g.trust > 0 {
		g.trust--
	}
	g.waited = 0
}

// wait is the number of completions to wait for in this turn.
func (g *gather) wait() int {
	g.waited = g.expected()
	if g.trust > 0 {
		g.waited = min(g.waited, g.enough)
	}
	return g.waited
}

// expected is that number by the rate alone.
func (g *gather) expected() int {
	if g.interval <= 0 {
		return 1
	}
	expected := int(g.timeout / g.interval)
	if expected < gatherLeast {
		return 1
	}
	return min(expected/gatherShare, gatherMost)
}
