package proto

import (
	"math"

	"ringcached/internal/contract"
	"ringcached/proto/admin"
	"ringcached/store"
)

// This file moves the bytes of a value into its item while they arrive, and tells exec to store the item when it is complete.

// maxValue is the largest length that a storage command may announce; with its "\r\n" it is the largest int32.
const maxValue = math.MaxInt32 - 2

// total is how many bytes come for the item of an upload.
func (s *session) total(it store.Item) int {
	if s.flags&flagBinary != 0 {
		return it.Len()
	}
	return it.Len() + len("\r\n")
}

// upload moves what arrived of a value into the item and, when it is complete, does what the verb says.
func (w *Worker) upload(s *session, in []byte) (int, step) {
	it := w.st.ItemOf(s.item)
	n, off, total := 0, int(s.left), s.total(it)
	for off < total && n < len(in) {
		room := w.st.Writable(it, off)
		if len(room) == 0 {
			s.left = uint32(off)
			if w.mustWait(it.Len(), off) {
				return n, stepWait
			}
			var ok bool
			if it, ok = w.grow(s, it); !ok {
				if w.waitsForOthers() {
					return n, stepWait
				}
				return n, w.abandon(s, it, total-off)
			}
			continue
		}
		c := copy(room[:min(len(room), total-off)], in[n:])
		n += c
		off += c
	}
	s.left = uint32(off)
	if off < total {
		if total-off >= uploadLeast && len(w.st.Writable(it, off)) == 0 && !w.mustWait(it.Len(), off) {
			if it, ok := w.grow(s, it); !ok && !w.waitsForOthers() { // so that it can go on with Upload
				return n, w.abandon(s, it, total-off)
			}
		}
		return n, stepMore
	}
	w.finish(s, it)
	return n, stepDone
}

// grow takes more memory for the item of an upload, where all that it has is full. Without any the item stays as it is.
func (w *Worker) grow(s *session, it store.Item) (store.Item, bool) {
	it, err := w.st.Grow(it, int(s.left))
	s.item = it.Ref()
	if err == nil {
		w.weigh(w.conn, s, it)
	}
	return it, err == nil
}

// abandon gives up an upload whose item could not get the rest of its memory, and replies; left bytes are still to come. As where the store
// refuses a value at once, what is under the key goes if the command would have replaced it.
func (w *Worker) abandon(s *session, it store.Item, left int) step {
	ended := *s
	w.completed()
	s.enter(session{mode: modeSwallow, left: uint32(left)})
	res := w.refused(store.ErrNoMemory, &announced{
		key: it.Key(), size: it.Len(), verb: ended.verb, drop: ended.verb == verbSet || ended.flags&flagMeta != 0,
	})
	w.st.Release(it)
	switch {
	case ended.flags&flagBinary != 0:
		w.frameError(ended.echo(), resultStatus[res])
	case ended.flags&flagMeta != 0:
		w.opaques.drop(ended.slot)
		w.write(resultTexts[res])
	default:
		w.writeUnless(ended.quiet(), resultTexts[res])
	}
	return stepDone
}

// finish ends an upload whose last byte has arrived.
func (w *Worker) finish(s *session, it store.Item) {
	ended := *s
	w.completed()
	s.rest()
	w.tally.AddClass(it.Class(), admin.SetCommands)
	switch {
	case ended.flags&flagBinary != 0:
		w.frameStored(&ended, it)
	case ended.flags&flagMeta != 0:
		w.metaStored(&ended, it)
	default:
		w.textStored(&ended, it)
	}
}

// endsInCRLF says whether the bytes behind the value are what they must be. In a chained item each may be in a chunk of its own.
func (w *Worker) endsInCRLF(it store.Item) bool {
	n := it.Len()
	return w.st.Segment(it, n)[0] == '\r' && w.st.Segment(it, n+1)[0] == '\n'
}

// uploadLeast is how many bytes of a value must be missing for it to be worth receiving them straight into its item.
const uploadLeast = 8 << 10

// more is what Data answers when it has handled all that it could.
func (w *Worker) more(s *session) contract.Next {
	if s.mode < modeUpload || s.mode > modeSkip || w.conn == noConnection {
		return contract.More
	}
	if w.track(s) {
		return contract.Crowded
	}
	return w.worthUpload(s)
}

// worthUpload is contract.Upload for an upload of which so much is to come that the caller had better receive it straight into the item.
func (w *Worker) worthUpload(s *session) contract.Next {
	if s.mode != modeUpload {
		return contract.More
	}
	it := w.st.ItemOf(s.item)
	if s.total(it)-int(s.left) < uploadLeast || len(w.st.Writable(it, int(s.left))) == 0 {
		return contract.More
	}
	return contract.Upload
}

// UploadBuffer appends to parts, up to its capacity, the memory that the next bytes of an upload on conn belong in; nothing if there is no
// upload. A caller that can receive straight into memory does so and reports it with UploadAdvance. The memory is valid until UploadAdvance or
// Closed.
func (w *Worker) UploadBuffer(conn uint32, parts [][]byte) [][]byte {
	s := w.sessions.of(conn)
	if s.mode != modeUpload {
		return parts
	}
	it := w.st.ItemOf(s.item)
	for off, total := int(s.left), s.total(it); off < total && len(parts) < cap(parts); {
		room := w.st.Writable(it, off)
		if room = room[:min(len(room), total-off)]; len(room) == 0 {
			break // more of the item's memory is taken when this is full
		}
		parts = append(parts, room)
		off += len(room)
	}
	return parts
}

// UploadAdvance says that the next n bytes were received into what UploadBuffer gave. When the value is complete it writes the reply. Until then it
// answers Upload, or Crowded, or More where there is no memory for the rest.
func (w *Worker) UploadAdvance(conn uint32, n int, out contract.Replies) contract.Next {
	s := w.sessions.of(conn)
	it := w.st.ItemOf(s.item)
	s.left += uint32(n)
	w.conn = conn
	off, total := int(s.left), s.total(it)
	if off < total && len(w.st.Writable(it, off)) > 0 {
		w.track(s)
		return contract.Upload
	}
	w.begin(conn, out)
	defer w.end()
	if off == total {
		w.finish(s, it)
		if w.between {
			w.afterStep(stepDone, 1)
		}
		return contract.More
	}
	if w.mustWait(it.Len(), off) {
		return contract.Crowded // what comes next waits
	}
	if it, ok := w.grow(s, it); !ok {
		if w.waitsForOthers() {
			return contract.Crowded // as above
		}
		w.abandon(s, it, total-off)
	}
	if w.track(s) {
		return contract.Crowded
	}
	return choose(s.mode == modeUpload, contract.Upload, contract.More)
}
