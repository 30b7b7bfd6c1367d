package proto

import (
	"errors"
	"math"

	"ringcached/internal/contract"
	"ringcached/store"
)

// maxValue is the largest length that a storage command may announce; with its "\r\n" it is the largest int32.
const maxValue = math.MaxInt32 - 2

// setWhole answers `set <key> <flags> <exptime> <bytes>` when it begins with "set ", is of exactly this form and its value has arrived.
// 0: it is not; nothing was done.
func (w *Worker) setWhole(in []byte) int {
	const begin = len("set ")
	k := tokenEnd(in[:min(len(in), begin+maxKey+1)], begin)
	if k == begin || k > begin+maxKey || !isSeparator(in, k) {
		return 0
	}
	flags, f := leadingDigits(in, k+1)
	if f == k+1 || flags > math.MaxUint32 || !isSeparator(in, f) {
		return 0
	}
	exptime, e := leadingDigits(in, f+1)
	if e == f+1 || exptime > math.MaxInt32 || !isSeparator(in, e) {
		return 0
	}
	n, p := leadingDigits(in, e+1)
	body := lineEnd(in, p)
	if p == e+1 || body == 0 || n > maxValue || len(in)-body < int(n)+2 {
		return 0
	}
	w.set(in[begin:k], uint32(flags), int32(exptime), in[body:body+int(n)+2])
	return body + int(n) + 2
}

func isSeparator(in []byte, p int) bool { return p < len(in) && in[p] == ' ' }

// set stores a value that is at hand with its "\r\n", and replies.
func (w *Worker) set(key []byte, flags uint32, exptime int32, value []byte) {
	n := len(value) - 2
	it, err := w.st.Alloc(key, flags, w.expiry(int64(exptime)), n)
	if err != nil {
		w.write(w.noRoom(err, key, verbSet, n))
		w.drop(key)
		return
	}
	w.tally.addClass(it.Class(), setCommands)
	if value[n] != '\r' || value[n+1] != '\n' {
		w.st.Release(it)
		w.write(replyBadChunk)
		return
	}
	for off := 0; off < len(value); {
		off += copy(w.st.Room(it, off), value[off:])
	}
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, useSet)
	if w.interest != 0 {
		w.observeStore(it, "set", "stored")
	}
	e.Link(it)
	e.Unlock()
	w.write(replyStored)
}

// storage makes a command that stores a value: `<verb> <key> <flags> <exptime> <bytes> [<cas>] [noreply]`. The value is taken by upload
// or swallow.
func storage(v verb) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, s *session, r *request) (int, step) {
		n, ok := parseLength(r.arg(4))
		if !ok {
			// How much to swallow is not known: what follows is read as commands.
			return w.reply(r, replyBadFormat)
		}
		r.quiet = string(r.lastArg()) == "noreply"
		key := r.arg(1)
		flags, flagsOK := parseFlags(r.arg(2))
		exptime, exptimeOK := parseExptime(r.arg(3))
		var cas uint64
		casOK := true
		if v == verbCAS {
			cas, casOK = parseUint(r.arg(5), math.MaxUint64)
		}
		if len(key) > maxKey || !flagsOK || !exptimeOK || !casOK {
			return w.refuse(s, r, n, replyBadFormat)
		}
		if v == verbAppend || v == verbPrepend {
			flags, exptime = 0, 0
		}
		it, err := w.st.Begin(key, flags, w.expiry(int64(exptime)), n, w.evidence(n, len(r.in)-r.size))
		if err != nil {
			text := w.noRoom(err, key, v, n)
			if v == verbSet {
				w.drop(key)
			}
			return w.refuse(s, r, n, text)
		}
		s.enter(session{mode: modeUpload, verb: v, flags: choose(r.quiet, flagQuiet, 0), item: it.Ref(), arg: cas})
		return r.size, stepGo
	}
}

// refuse replies and swallows a value of n bytes.
func (w *Worker) refuse(s *session, r *request, n int, text string) (int, step) {
	s.enter(session{mode: modeSwallow, left: uint32(n) + 2})
	return w.reply(r, text)
}

// drop removes what is under key: a set that fails must not leave the old value behind as if it were the new one.
func (w *Worker) drop(key []byte) {
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, useChange)
	if e.Item().Valid() {
		e.Unlink()
	}
	e.Unlock()
}

// noRoom is the reply to a value of n bytes that got no memory.
func (w *Worker) noRoom(err error, key []byte, v verb, n int) string {
	c, status, text := storeNoMemory, "no_memory", replyNoMemory
	if errors.Is(err, store.ErrTooLarge) {
		c, status, text = storeTooLarge, "too_large", replyTooLarge
	}
	w.tally.add(c)
	if c == storeNoMemory {
		w.starve()
	}
	if w.interest != 0 {
		w.observeRefusal(key, v, status, n)
	}
	return text
}

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
		room := w.st.Room(it, off)
		if len(room) == 0 {
			s.left = uint32(off)
			if w.mustWait(it.Len(), off) {
				return n, stepWait
			}
			var ok bool
			if it, ok = w.grow(s, it); !ok {
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
		if total-off >= fillLeast && len(w.st.Room(it, off)) == 0 && !w.mustWait(it.Len(), off) {
			if it, ok := w.grow(s, it); !ok { // so that it can go on with Upload
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

// abandon gives up an upload whose item could not get the rest of its memory; left bytes are still to come. As in refuse, what is under the key goes
// where the command would have replaced it.
func (w *Worker) abandon(s *session, it store.Item, left int) step {
	done := *s
	w.arrived()
	w.starve()
	s.enter(session{mode: modeSwallow, left: uint32(left)})
	if w.interest != 0 {
		w.observeRefusal(it.Key(), done.verb, "no_memory", it.Len())
	}
	if done.verb == verbSet || done.flags&flagMeta != 0 {
		w.drop(it.Key())
	}
	w.st.Release(it)
	w.tally.add(storeNoMemory)
	switch {
	case done.flags&flagBinary != 0:
		w.frameError(done.echo(), statusNoMemory)
	case done.flags&flagMeta != 0:
		w.opaques.drop(done.slot)
		w.write(replyNoMemory)
	default:
		w.writeUnless(done.flags&flagQuiet != 0, replyNoMemory)
	}
	return stepDone
}

// finish ends an upload whose last byte has arrived.
func (w *Worker) finish(s *session, it store.Item) {
	done := *s
	w.arrived()
	s.rest()
	w.tally.addClass(it.Class(), setCommands)
	switch {
	case done.flags&flagBinary != 0:
		fill(w, it, it.Len(), "\r\n")
		w.stored(&done, w.put(&done, it))
	case done.flags&flagMeta != 0:
		w.finishMeta(&done, it)
	case !w.endsInCRLF(it):
		w.st.Release(it)
		w.writeUnless(done.flags&flagQuiet != 0, replyBadChunk)
	default:
		text := outcomeTexts[w.put(&done, it).outcome]
		w.writeUnless(done.flags&flagQuiet != 0, text)
	}
}

// endsInCRLF says whether the bytes behind the value are what they must be. In a chained item each may be in a chunk of its own.
func (w *Worker) endsInCRLF(it store.Item) bool {
	n := it.Len()
	return w.st.Segment(it, n)[0] == '\r' && w.st.Segment(it, n+1)[0] == '\n'
}

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
