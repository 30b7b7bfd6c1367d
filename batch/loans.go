package batch

// loans numbers what connections have borrowed, since their records, which lie outside the Go heap, cannot point into it.
type loans[T any] struct {
	lent []*T     // by number, from 1 on; nil: not in use
	free []uint32 // numbers that are not in use
}

// lend gives p a number.
func (l *loans[T]) lend(p *T) uint32 {
	if n := len(l.free); n > 0 {
		number := l.free[n-1]
		l.free = l.free[:n-1]
		l.lent[number-1] = p
		return number
	}
	l.lent = append(l.lent, p)
	return uint32(len(l.lent))
}

// of returns what has the number; nil for 0.
func (l *loans[T]) of(number uint32) *T {
	if number == 0 {
		return nil
	}
	return l.lent[number-1]
}

// end frees the number, and returns the one that stands for nothing.
func (l *loans[T]) end(number uint32) uint32 {
	l.lent[number-1] = nil
	l.free = append(l.free, number)
	return 0
}

// trim gives back the memory of the lists when nothing is lent.
func (l *loans[T]) trim() {
	if len(l.free) == len(l.lent) {
		*l = loans[T]{}
	}
}
