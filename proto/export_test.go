package proto

// OpaquesInUse is how many opaques of ms commands are kept.
func (w *Worker) OpaquesInUse() int { return len(w.opaques.all) - len(w.opaques.free) }
