package admin

// minHeap returns the values that were pushed in the order of less, the least first. Push and pop are cheap, so that a long reply can be sorted
// a step at a time.
type minHeap[T any] struct {
	less func(a, b T) bool
	all  []T
}

// push adds v: it goes up from the end until what is above it is not greater.
func (h *minHeap[T]) push(v T) {
	h.all = append(h.all, v)
	for i := len(h.all) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.all[i], h.all[up]) {
			return
		}
		h.all[i], h.all[up] = h.all[up], h.all[i]
		i = up
	}
}

// pop removes the least and returns it. There must be one. The last takes its place, and goes down until nothing below it is less.
func (h *minHeap[T]) pop() T {
	var none T
	least, last := h.all[0], len(h.all)-1
	h.all[0], h.all[last] = h.all[last], none
	h.all = h.all[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && h.less(h.all[down+1], h.all[down]) {
			down++
		}
		if down >= last || !h.less(h.all[down], h.all[i]) {
			return least
		}
		h.all[i], h.all[down] = h.all[down], h.all[i]
		i = down
	}
}
