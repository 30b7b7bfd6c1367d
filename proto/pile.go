package proto

// pile gives back what was put into it in the order of less, the least first: a heap. Putting and taking cost little each, so that a long
// reply can be sorted in turns.
type pile[T any] struct {
	less func(a, b T) bool
	all  []T
}

func (p *pile[T]) put(v T) {
	p.all = append(p.all, v)
	for i := len(p.all) - 1; i > 0; {
		up := (i - 1) / 2
		if !p.less(p.all[i], p.all[up]) {
			return
		}
		p.all[i], p.all[up] = p.all[up], p.all[i]
		i = up
	}
}

// take takes the least out. There must be one.
func (p *pile[T]) take() T {
	var none T
	least, last := p.all[0], len(p.all)-1
	p.all[0], p.all[last] = p.all[last], none
	p.all = p.all[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && p.less(p.all[down+1], p.all[down]) {
			down++
		}
		if down >= last || !p.less(p.all[down], p.all[i]) {
			return least
		}
		p.all[i], p.all[down] = p.all[down], p.all[i]
		i = down
	}
}
