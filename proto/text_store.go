package proto

import (
	"math"
	"strconv"

	"ringcached/proto/admin"
	"ringcached/store"
)

// resultTexts are the results in the classic text protocol. Those that say what is wrong are the same in the meta commands.
var resultTexts = [numResults]string{
	done:           replyStored,
	notStored:      replyNotStored,
	exists:         replyExists,
	notFound:       replyNotFound,
	nonNumeric:     replyNonNumeric,
	tooLarge:       replyTooLarge,
	noMemory:       replyNoMemory,
	noMemoryToGrow: replyOutOfArith,
	noMemoryToMake: replyOutOfNew,
}

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
	it, res := w.beginWhole(key, flags, w.expiry(int64(exptime)), n)
	if res != done {
		w.write(resultTexts[res])
		return
	}
	w.tally.AddClass(it.Class(), admin.SetCommands)
	if value[n] != '\r' || value[n+1] != '\n' {
		w.st.Release(it)
		w.write(replyBadChunk)
		return
	}
	for off := 0; off < len(value); {
		off += copy(w.st.Writable(it, off), value[off:])
	}
	w.storeSet(key, it)
	w.write(replyStored)
}

// storage makes a command that stores a value: `<verb> <key> <flags> <exptime> <bytes> [<cas>] [noreply]`. Worker.upload
// receives the value, or Worker.swallow skips it.
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
		it, res := w.beginStore(&announced{
			key: key, flags: flags, exptime: w.expiry(int64(exptime)), size: n, came: len(r.in) - r.size, verb: v, drop: v == verbSet,
		})
		if res != done {
			return w.refuse(s, r, n, resultTexts[res])
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

// textStored ends an upload. The caller's reference is used up.
func (w *Worker) textStored(s *session, it store.Item) {
	if !w.endsInCRLF(it) {
		w.st.Release(it)
		w.writeUnless(s.quiet(), replyBadChunk)
		return
	}
	r := w.store(it, s.storing())
	w.writeUnless(s.quiet(), resultTexts[r.result])
}

// incrDecr makes incr or decr: `<verb> <key> <delta> [noreply]`.
func incrDecr(up bool) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, _ *session, r *request) (int, step) {
		key := r.arg(1)
		if len(key) > maxKey {
			return w.reply(r, replyBadFormat)
		}
		delta, ok := parseUint(r.arg(2), math.MaxUint64)
		if !ok {
			return w.reply(r, replyBadDelta)
		}
		a := w.arithmetic(&arithmetic{key: key, up: up, delta: delta})
		if a.result != done {
			return w.reply(r, resultTexts[a.result])
		}
		if !r.quiet {
			w.room(maxDigits + 2)
			w.buf = append(strconv.AppendUint(w.buf, a.value, 10), "\r\n"...)
		}
		return r.size, stepDone
	}
}

// deleteKey answers `delete <key> [noreply]`. More words are ignored: old clients send a time, 0.
func deleteKey(w *Worker, _ *session, r *request) (int, step) {
	key := r.arg(1)
	if len(key) > maxKey {
		return w.reply(r, replyBadFormat)
	}
	res := w.remove(&removal{key: key, logged: "delete"})
	return w.reply(r, choose(res == done, replyDeleted, replyNotFound))
}

// touchKey answers `touch <key> <exptime> [noreply]`.
func touchKey(w *Worker, _ *session, r *request) (int, step) {
	key := r.arg(1)
	if len(key) > maxKey {
		return w.reply(r, replyBadFormat)
	}
	t, ok := parseInt32(r.arg(2))
	if !ok {
		return w.reply(r, replyBadExptime)
	}
	if !w.touch(key, w.st.Hash(key), w.expiry(int64(t))) {
		return w.reply(r, replyNotFound)
	}
	return w.reply(r, replyTouched)
}
