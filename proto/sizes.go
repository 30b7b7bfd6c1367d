package proto

// sizesWalk makes the walk that answers `stats sizes`, of which the store keeps count: with items of all sizes it has tens of thousands of
// lines.
func sizesWalk() *walk {
	shown := 0
	return &walk{end: func(w *Worker, k *walk) (done bool) {
		for range walkLines {
			size, items := w.st.NextSize(shown)
			if size == 0 {
				w.endStats(k)
				return true
			}
			shown = size
			w.stat(decimal(size), decimal(items))
		}
		return false
	}}
}

// endStats ends the statistics that a walk shows.
func (w *Worker) endStats(k *walk) {
	if k.framed {
		w.frameReply(k.to, statusOK, "", 0)
	} else {
		w.write(replyEnd)
	}
}

// countsSizes says that the statistics called group take a walk.
func (w *Worker) countsSizes(group string) bool {
	return group == "sizes" && w.srv.config.Settings.TrackSizes
}

// sizesOff is `sizes` while they are not counted.
func sizesOff(w *Worker) { w.stat("sizes_status", "disabled") }
