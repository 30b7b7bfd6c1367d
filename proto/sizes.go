package proto

import (
	"maps"
	"slices"

	"ringcached/store"
)

// sizeStep is the width of a step of the histogram of sizes, in bytes.
const sizeStep = 32

// sizes counts items by their size in steps, rounded up.
type sizes struct {
	items map[int]uint64
	order []int // steps that are still to be shown
}

// sizesWalk makes the walk that answers `stats sizes`.
func sizesWalk() *walk {
	return &walk{
		place: store.Walk{Classes: store.AllClasses},
		sizes: sizes{items: map[int]uint64{}},
		see: func(w *Worker, k *walk, it store.Item) {
			k.sizes.items[(w.sizeOf(it)+sizeStep-1)/sizeStep]++
		},
		end: showSizes,
	}
}

// showSizes shows the histogram, as much of it as there is room for.
func showSizes(w *Worker, k *walk) (done bool) {
	n := &k.sizes
	if n.order == nil {
		n.order = slices.Sorted(maps.Keys(n.items))
	}
	for ; len(n.order) > 0; n.order = n.order[1:] {
		if w.full {
			return false
		}
		w.stat(decimal(n.order[0]*sizeStep), decimal(n.items[n.order[0]]))
	}
	if k.framed {
		w.frameReply(k.to, statusOK, "", 0)
	} else {
		w.write(replyEnd)
	}
	return true
}

// countsSizes says that the statistics called group take a walk.
func (w *Worker) countsSizes(group string) bool {
	return group == "sizes" && w.srv.trackSizes.Load()
}

// The statistics `sizes` while they are turned off, and what turns them on and off.

func sizesOff(w *Worker) { w.stat("sizes_status", "disabled") }

func sizesEnable(w *Worker) {
	w.srv.trackSizes.Store(true)
	w.stat("sizes_status", "enabled")
}

func sizesDisable(w *Worker) {
	w.srv.trackSizes.Store(false)
	w.stat("sizes_status", "disabled")
}
