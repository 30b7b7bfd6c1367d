package batch

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCrowdIsLogged: the first connection above the limit is told of at once, and those of the next minute together.
func TestCrowdIsLogged(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for _, pause := range []bool{false, true} {
			var mu sync.Mutex
			var said []string
			s := start(t, change, func(c *Config) {
				c.MaxConns, c.Pause = 1, pause
				c.Log = func(level int, format string, args ...any) {
					mu.Lock()
					defer mu.Unlock()
					if line := fmt.Sprintf(format, args...); level == 0 && strings.HasPrefix(line, "the limit") {
						said = append(said, line)
					}
				}
			})
			logged := func(want ...string) func() bool {
				return func() bool {
					mu.Lock()
					defer mu.Unlock()
					return slices.Equal(said, want)
				}
			}
			in := s.dial()
			send(t, in, "echo in\n")
			expect(t, in, "in\n")
			const limit = "the limit of 1 connections (-c) was reached: "
			if pause {
				s.dial()
				eventually(t, "it is logged that one waits", logged(limit+"1 had to wait"))
				continue
			}
			for range 5 {
				c := s.dial()
				expect(t, c, refusal)
				expectEnd(t, c)
			}
			eventually(t, "the first is logged", logged(limit+"1 refused"))
			s.crowd.told.Add(-int64(crowdPause)) // a minute later
			eventually(t, "the others are logged", logged(limit+"1 refused", limit+"4 refused"))
		}
	})
}
