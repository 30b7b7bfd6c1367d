package proto

// UploadLeast is uploadLeast.
const UploadLeast = uploadLeast

// OpaquesInUse is how many opaques of ms commands are kept.
func (w *Worker) OpaquesInUse() int { return len(w.opaques.all) - len(w.opaques.free) }

// LongReplies is how many long replies have not ended.
func (w *Worker) LongReplies() int { return w.admin.LongReplies() }
