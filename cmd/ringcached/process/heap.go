package process

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	returnFrom = 1 << 20 // bytes by which Go's heap has to have grown for a collection to pay
	returnTick = 2 * time.Second
	returnMost = 32 // ticks from one attempt in vain to the next, at most
)

// ReturnHeap returns to the system what Go's heap had for a crowd of clients that is gone, until ctx ends. Nothing allocates then, so that Go
// itself would wait two minutes before it looks for garbage. conns is how many connections there are.
func ReturnHeap(ctx context.Context, conns func() uint64) {
	ticker := time.NewTicker(returnTick)
	defer ticker.Stop()
	left, had := heapBytes(), conns()
	for wait, since := 1, 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		since++
		now := conns()
		gone := now < had/2
		had = max(had, now)
		before := heapBytes()
		if before < returnFrom || since < wait && !gone || before < left+returnFrom && !gone {
			continue
		}
		runtime.GC() // what pools hold is garbage for the next collection
		debug.FreeOSMemory()
		since, had, left = 0, now, heapBytes()
		if wait = min(2*wait, returnMost); before-min(before, left) > before/4 {
			wait = 1
		}
	}
}

// heapBytes is what Go's heap takes of the system's memory.
func heapBytes() (sum uint64) {
	classes := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(classes)
	for _, c := range classes {
		sum += c.Value.Uint64()
	}
	return sum
}
