package proto

// FillLeast is fillLeast.
const FillLeast = fillLeast

// OpaquesInUse is how many opaques of ms commands are kept.
func (w *Worker) OpaquesInUse() int { return len(w.opaques.all) - len(w.opaques.free) }

// WalksInUse is how many walks have not ended.
func (w *Worker) WalksInUse() (n int) {
	for _, k := range w.walks {
		if k != nil {
			n++
		}
	}
	return n
}
