package proto

import "ringcached/internal/contract"

// fillLeast: a value of which at least so many bytes are to come is better received straight into its item.
const fillLeast = 8 << 10

// more is what comes after all that could be handled.
func (w *Worker) more(s *session) contract.Next {
	if s.mode < modeUpload || s.mode > modeSkip || w.conn == guest {
		return contract.More
	}
	if w.track(s) {
		return contract.Crowded
	}
	return w.fills(s)
}

// fills is Fill in an upload that wants it.
func (w *Worker) fills(s *session) contract.Next {
	if s.mode != modeUpload {
		return contract.More
	}
	it := w.st.ItemOf(s.item)
	if s.total(it)-int(s.left) < fillLeast || len(w.st.Room(it, int(s.left))) == 0 {
		return contract.More
	}
	return contract.Upload
}

// Room appends to parts, up to its capacity, the memory that the next bytes of an upload in progress on conn belong in; nothing if there
// is no upload. A caller that can receive straight into memory does so and reports it with Filled. It is valid until Filled or Closed.
func (w *Worker) UploadBuffer(conn uint32, parts [][]byte) [][]byte {
	s := w.sessions.of(conn)
	if s.mode != modeUpload {
		return parts
	}
	it := w.st.ItemOf(s.item)
	for off, total := int(s.left), s.total(it); off < total && len(parts) < cap(parts); {
		room := w.st.Room(it, off)
		if room = room[:min(len(room), total-off)]; len(room) == 0 {
			break // more of the item's memory is taken when this is full
		}
		parts = append(parts, room)
		off += len(room)
	}
	return parts
}

// Filled says that the next n bytes of what Room gave were received. It replies when the value is complete, and answers Fill until then, or Crowded,
// or More where there is no memory for the rest.
func (w *Worker) UploadAdvance(conn uint32, n int, out contract.Replies) contract.Next {
	s := w.sessions.of(conn)
	it := w.st.ItemOf(s.item)
	s.left += uint32(n)
	w.conn = conn
	off, total := int(s.left), s.total(it)
	if off < total && len(w.st.Room(it, off)) > 0 {
		w.track(s)
		return contract.Upload
	}
	w.begin(conn, out)
	defer w.end()
	if off == total {
		w.finish(s, it)
		return contract.More
	}
	if w.mustWait(it.Len(), off) {
		return contract.Crowded // what comes next waits
	}
	if it, ok := w.grow(s, it); !ok {
		w.abandon(s, it, total-off)
	}
	if w.track(s) {
		return contract.Crowded
	}
	return choose(s.mode == modeUpload, contract.Upload, contract.More)
}
