package proto

// fillLeast: a value of which at least so many bytes are to come is better received straight into its item.
const fillLeast = 8 << 10

// more is what comes after all that could be handled.
func (w *Worker) more(s *session) Next {
	if s.mode == modeUpload && s.total(w.st.ItemOf(s.item))-int(s.left) >= fillLeast {
		return Fill
	}
	return More
}

// Room appends to parts, up to its capacity, the memory that the next bytes of an upload in progress on conn belong in; nothing if there
// is no upload. A caller that can receive straight into memory does so and reports it with Filled. It is valid until Filled or Closed.
func (w *Worker) Room(conn uint32, parts [][]byte) [][]byte {
	s := w.sessions.of(conn)
	if s.mode != modeUpload {
		return parts
	}
	it := w.st.ItemOf(s.item)
	for off, total := int(s.left), s.total(it); off < total && len(parts) < cap(parts); {
		room := w.st.Room(it, off)
		room = room[:min(len(room), total-off)]
		parts = append(parts, room)
		off += len(room)
	}
	return parts
}

// Filled says that the next n bytes of what Room gave were received. It replies when the value is complete, and answers Fill until then.
func (w *Worker) Filled(conn uint32, n int, out Replies) Next {
	s := w.sessions.of(conn)
	it := w.st.ItemOf(s.item)
	s.left += uint32(n)
	if int(s.left) < s.total(it) {
		return Fill
	}
	w.begin(conn, out)
	w.finish(s, it)
	w.end()
	return More
}
