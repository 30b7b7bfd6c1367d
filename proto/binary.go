package proto

import (
	"encoding/binary"
	"math"

	"ringcached/store"
)

// operation describes an opcode: what a request with it must look like, and what it does.
type operation struct {
	name   string
	extras uint8 // length of the extras
	bare   bool  // the extras may be missing
	key    keyNeed
	value  bool // what is behind the key is a value
	quiet  bool // success is not answered, nor is a get that finds nothing
	open   bool // for clients that have not authenticated too
	// run does it. w.frame is the request, all of which is there but the value.
	run func(w *Worker, s *session, f *frame) (int, step)
}

// keyNeed says whether a request has a key.
type keyNeed uint8

const (
	keyNone keyNeed = iota
	keyNeeded
	keyMaybe
)

// operations of the binary protocol by opcode. Those without run are unknown.
var operations = [256]operation{
	0x00: {name: "Get", key: keyNeeded, run: frameGet(0)},
	0x01: {name: "Set", extras: 8, key: keyNeeded, value: true, run: frameStore(verbSet)},
	0x02: {name: "Add", extras: 8, key: keyNeeded, value: true, run: frameStore(verbAdd)},
	0x03: {name: "Replace", extras: 8, key: keyNeeded, value: true, run: frameStore(verbReplace)},
	0x04: {name: "Delete", key: keyNeeded, run: frameDelete},
	0x05: {name: "Increment", extras: 20, key: keyNeeded, run: frameArithmetic(true)},
	0x06: {name: "Decrement", extras: 20, key: keyNeeded, run: frameArithmetic(false)},
	0x07: {name: "Quit", run: frameQuit},
	0x08: {name: "Flush", extras: 4, bare: true, run: frameFlush},
	0x09: {name: "GetQ", key: keyNeeded, quiet: true, run: frameGet(0)},
	0x0a: {name: "Noop", run: frameNoop},
	0x0b: {name: "Version", open: true, run: frameVersion},
	0x0c: {name: "GetK", key: keyNeeded, run: frameGet(getKey)},
	0x0d: {name: "GetKQ", key: keyNeeded, quiet: true, run: frameGet(getKey)},
	0x0e: {name: "Append", key: keyNeeded, value: true, run: frameStore(verbAppend)},
	0x0f: {name: "Prepend", key: keyNeeded, value: true, run: frameStore(verbPrepend)},
	0x10: {name: "Stat", key: keyMaybe, run: frameStat},
	0x11: {name: "SetQ", extras: 8, key: keyNeeded, value: true, quiet: true, run: frameStore(verbSet)},
	0x12: {name: "AddQ", extras: 8, key: keyNeeded, value: true, quiet: true, run: frameStore(verbAdd)},
	0x13: {name: "ReplaceQ", extras: 8, key: keyNeeded, value: true, quiet: true, run: frameStore(verbReplace)},
	0x14: {name: "DeleteQ", key: keyNeeded, quiet: true, run: frameDelete},
	0x15: {name: "IncrementQ", extras: 20, key: keyNeeded, quiet: true, run: frameArithmetic(true)},
	0x16: {name: "DecrementQ", extras: 20, key: keyNeeded, quiet: true, run: frameArithmetic(false)},
	0x17: {name: "QuitQ", quiet: true, run: frameQuit},
	0x18: {name: "FlushQ", extras: 4, bare: true, quiet: true, run: frameFlush},
	0x19: {name: "AppendQ", key: keyNeeded, value: true, quiet: true, run: frameStore(verbAppend)},
	0x1a: {name: "PrependQ", key: keyNeeded, value: true, quiet: true, run: frameStore(verbPrepend)},
	0x1c: {name: "Touch", extras: 4, key: keyNeeded, run: frameGet(getTouch | getNoValue)},
	0x1d: {name: "GAT", extras: 4, key: keyNeeded, run: frameGet(getTouch)},
	0x1e: {name: "GATQ", extras: 4, key: keyNeeded, quiet: true, run: frameGet(getTouch)},
	0x20: {name: "SASLList", open: true, run: saslList},
	0x21: {name: "SASLAuth", key: keyNeeded, value: true, open: true, run: saslAuth},
	0x22: {name: "SASLStep", key: keyNeeded, value: true, open: true, run: saslAuth},
	0x23: {name: "GATK", extras: 4, key: keyNeeded, run: frameGet(getTouch | getKey)},
	0x24: {name: "GATKQ", extras: 4, key: keyNeeded, quiet: true, run: frameGet(getTouch | getKey)},
}

// fits says whether a request has the parts that its operation wants.
func (op *operation) fits(f *frame) bool {
	if f.extrasLen != int(op.extras) && !(op.bare && f.extrasLen == 0) {
		return false
	}
	if op.key == keyNone && f.keyLen > 0 || op.key == keyNeeded && f.keyLen == 0 {
		return false
	}
	return op.value || f.valueLen() == 0
}

// binary answers the binary request at the beginning of in. What it leaves is less than a header, extras and key.
func (w *Worker) binary(s *session, in []byte) (int, step) {
	f := &w.frame
	if in[0] != magicRequest {
		return 0, stepBreak
	}
	if len(in) < headerLen {
		return 0, stepMore
	}
	f.read(in)
	f.in, f.key = in, nil
	op := f.op
	switch {
	case f.extrasLen+f.keyLen > f.bodyLen:
		return w.breakOff(f, statusUnknown)
	case s.mode == modeFrameLogin && !op.open:
		return w.breakOff(f, statusAuth)
	case f.keyLen > maxKey || f.bodyLen > maxBody:
		return w.breakOff(f, statusInvalid)
	case op.run == nil:
		return w.unknownFrame(s, f)
	case !op.fits(f):
		return w.breakOff(f, statusInvalid)
	}
	end := headerLen + f.extrasLen + f.keyLen
	if len(in) < end {
		return 0, stepMore
	}
	f.head = end
	f.extras, f.key = in[headerLen:headerLen+f.extrasLen], in[headerLen+f.extrasLen:end]
	w.traceFrame(f)
	return op.run(w, s, f)
}

// breakOff replies to a request and ends the connection: where the next request begins is unknown, or does not matter.
func (w *Worker) breakOff(f *frame, status status) (int, step) {
	w.traceFrame(f)
	if w.conn != noConnection {
		w.frameError(f.echo, status)
	}
	return headerLen, stepBreak
}

// unknownFrame replies to an unknown opcode, and skips the body.
func (w *Worker) unknownFrame(s *session, f *frame) (int, step) {
	w.traceFrame(f)
	if w.conn == noConnection {
		return headerLen, stepBreak
	}
	w.frameError(f.echo, statusUnknown)
	if f.bodyLen > 0 {
		s.enter(session{mode: modeSwallow, left: uint32(f.bodyLen)})
	}
	return headerLen, stepDone
}

// first looks at the first byte of a connection.
func (w *Worker) first(s *session, in []byte) (int, step) {
	binary := in[0] == magicRequest
	w.traceProtocol(choose(binary, ProtocolBinary, ProtocolText))
	s.settle(w.srv.mode(binary))
	return 0, stepGo
}

// firstMode is the mode that a connection of the protocol begins with.
func (s *Server) firstMode(protocol Protocol) mode {
	if protocol == ProtocolAuto {
		return modeFirst
	}
	return s.mode(protocol == ProtocolBinary)
}

// mode is the mode between the requests of a client that is new.
func (s *Server) mode(binary bool) mode {
	if s.config.Auth != nil {
		return choose(binary, modeFrameLogin, modeLogin)
	}
	return choose(binary, modeFrame, modeLine)
}

// The header of a binary message: magic, opcode, key length, extras length, data type, status (of a reply), body length, opaque, CAS.
const (
	headerLen    = 24
	magicRequest = 0x80
	magicReply   = 0x81
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 1 << 30

// status is the status of a reply.
type status uint16

const (
	statusOK         status = 0x00
	statusNotFound   status = 0x01
	statusExists     status = 0x02
	statusTooLarge   status = 0x03
	statusInvalid    status = 0x04
	statusNotStored  status = 0x05
	statusNonNumeric status = 0x06
	statusAuth       status = 0x20
	statusContinue   status = 0x21
	statusUnknown    status = 0x81
	statusNoMemory   status = 0x82
)

// statusTexts are the bodies of replies with an error.
var statusTexts = [256]string{
	statusNotFound:   "Not found",
	statusExists:     "Data exists for key.",
	statusTooLarge:   "Too large.",
	statusInvalid:    "Invalid arguments",
	statusNotStored:  "Not stored.",
	statusNonNumeric: "Non-numeric server-side value for incr or decr",
	statusAuth:       "Auth failure.",
	statusUnknown:    "Unknown command",
	statusNoMemory:   "Out of memory",
}

// echo is what a reply repeats of its request.
type echo struct {
	opcode uint8
	opaque uint32
}

// echo is what the reply to the upload repeats.
func (s *session) echo() echo { return echo{uint8(s.slot), s.tag} }

// frame is the binary request that is being answered. There is one per worker.
type frame struct {
	echo
	op        *operation
	extrasLen int
	keyLen    int
	bodyLen   int // extras, key and value together
	cas       uint64
	in        []byte // everything at hand from the first byte of the request on
	head      int    // length of header, extras and key
	extras    []byte
	key       []byte
}

// read takes the header at the beginning of in.
func (f *frame) read(in []byte) {
	_ = in[headerLen-1]
	f.opcode = in[1]
	f.op = &operations[in[1]]
	f.keyLen = int(binary.BigEndian.Uint16(in[2:]))
	f.extrasLen = int(in[4])
	f.bodyLen = int(binary.BigEndian.Uint32(in[8:]))
	f.opaque = binary.BigEndian.Uint32(in[12:])
	f.cas = binary.BigEndian.Uint64(in[16:])
}

func (f *frame) valueLen() int { return f.bodyLen - f.extrasLen - f.keyLen }

// forget drops what points into the memory of the caller of Data.
func (f *frame) forget() { f.in, f.extras, f.key = nil, nil, nil }

// shape is the lengths of the parts of a reply's body.
type shape struct{ extras, key, value int }

// appendHeader appends the header of a reply.
func appendHeader(b []byte, to echo, st status, sh shape, cas uint64) []byte {
	b = append(b, magicReply, to.opcode, byte(sh.key>>8), byte(sh.key), uint8(sh.extras), 0, byte(st>>8), byte(st))
	b = binary.BigEndian.AppendUint32(b, uint32(sh.extras+sh.key+sh.value))
	b = binary.BigEndian.AppendUint32(b, to.opaque)
	return binary.BigEndian.AppendUint64(b, cas)
}

// frameReply replies with a value, which may be empty.
func (w *Worker) frameReply(to echo, st status, value string, cas uint64) {
	w.room(headerLen + len(value))
	w.buf = append(appendHeader(w.buf, to, st, shape{value: len(value)}, cas), value...)
}

// frameError replies with an error and its text.
func (w *Worker) frameError(to echo, st status) { w.frameReply(to, st, statusTexts[st], 0) }

// frameDone ends a request that was answered, or that succeeded quietly.
func (w *Worker) frameDone(f *frame, st status, cas uint64) (int, step) {
	if st != statusOK || !f.op.quiet {
		w.frameReply(f.echo, st, statusTexts[st], cas)
	}
	return f.head, stepDone
}

// resultStatus are the statuses for how a command ended.
var resultStatus = [numResults]status{
	done:           statusOK,
	notStored:      statusNotStored,
	exists:         statusExists,
	notFound:       statusNotFound,
	nonNumeric:     statusNonNumeric,
	tooLarge:       statusTooLarge,
	noMemory:       statusNoMemory,
	noMemoryToGrow: statusNoMemory,
	noMemoryToMake: statusNoMemory,
}

// What the get operations differ in.
const (
	getKey     uint8 = 1 << iota // the reply has the key
	getTouch                     // the extras are a new expiry
	getNoValue                   // the reply has no value
)

// flagsLen is the length of the client's flags, which a value's reply has as extras.
const flagsLen = 4

// frameGet makes Get, Touch, and what is between them.
func frameGet(how uint8) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, _ *session, f *frame) (int, step) {
		w.room(headerLen + flagsLen + maxKey) // asking for room under the lock would hold up others
		var found found
		var hash uint64
		if how&getTouch == 0 {
			k := w.frameAhead(f)
			hash = k.hash
			found = w.get(f.key, hash, &k.approach)
		} else if hash = w.st.Hash(f.key); how&getNoValue == 0 {
			found = w.getAndTouch(f.key, hash, w.frameExpiry(f.extras))
		} else {
			found = w.touchShown(f.key, hash, w.frameExpiry(f.extras))
		}
		for found.ok() && !w.frameHit(found, f, how) {
			found = w.getLocked(f.key, hash)
		}
		if !found.ok() {
			w.frameMiss(f, how)
		}
		return f.head, stepDone
	}
}

// frameAhead gives the key of a get, and parses those behind it.
func (w *Worker) frameAhead(f *frame) *parsedKey {
	if !w.ahead(f.in, (*Worker).parseFrame) {
		return &parsedKey{hash: w.st.Hash(f.key)}
	}
	return w.take()
}

// parseFrame parses a get that is there whole, see parseAhead.
func (w *Worker) parseFrame(in []byte) int {
	const gets = 1<<0x00 | 1<<0x09 | 1<<0x0c | 1<<0x0d
	if len(in) <= headerLen || in[0] != magicRequest || in[1] > 0x0d || gets>>in[1]&1 == 0 || in[4] != 0 {
		return 0
	}
	key := frameKey(in)
	if len(key) == 0 || int(binary.BigEndian.Uint32(in[8:])) != len(key) {
		return 0
	}
	end := headerLen + len(key)
	w.add(key, len(in), headerLen, end, end)
	return end
}

// frameExpiry is the expiry time at the beginning of b.
func (w *Worker) frameExpiry(b []byte) uint32 { return w.expiry(int64(binary.BigEndian.Uint32(b))) }

// frameMiss replies that nothing was found: with the key, if that was asked for, in place of a text.
func (w *Worker) frameMiss(f *frame, how uint8) {
	switch {
	case f.op.quiet:
	case how&getKey != 0:
		b := appendHeader(w.buf, f.echo, statusNotFound, shape{key: len(f.key)}, 0)
		w.buf = append(b, f.key...)
	default:
		w.frameError(f.echo, statusNotFound)
	}
}

// frameHit replies with what was found, and ends the lookup as endLookup does.
func (w *Worker) frameHit(found found, f *frame, how uint8) bool {
	w.roomForView(found, headerLen+flagsLen+maxKey)
	sh := shape{extras: flagsLen, value: w.view.Len()}
	if how&getKey != 0 {
		sh.key = len(f.key)
	}
	if how&getNoValue != 0 {
		sh.value = 0
	}
	b := appendHeader(w.buf, f.echo, statusOK, sh, w.shownCAS())
	b = binary.BigEndian.AppendUint32(b, w.view.Flags())
	b = append(b, f.key[:sh.key]...)
	if how&getNoValue == 0 {
		return w.writeValue(found, b, 0)
	}
	w.buf = b
	w.unhold(found) // a touch locks
	return true
}

// frameStore makes an operation that stores a value. Worker.upload receives the value, or Worker.swallow skips it.
func frameStore(v verb) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, s *session, f *frame) (int, step) {
		n := f.valueLen()
		next := session{mode: modeUpload, verb: v, flags: flagBinary, arg: w.comparable(f.cas), tag: f.opaque, slot: uint32(f.opcode)}
		if f.op.quiet {
			next.flags |= flagQuiet
		}
		a := announced{key: f.key, size: n, came: len(f.in) - f.head, verb: v, drop: v == verbSet}
		if v != verbAppend && v != verbPrepend {
			a.flags, a.exptime = binary.BigEndian.Uint32(f.extras), w.frameExpiry(f.extras[4:])
			if next.arg != 0 {
				next.verb = verbCAS
			}
		}
		it, res := w.beginStore(&a)
		if res != done {
			w.frameError(f.echo, resultStatus[res])
			if n > 0 {
				s.enter(session{mode: modeSwallow, left: uint32(n)})
			}
			return f.head, stepDone
		}
		next.item = it.Ref()
		s.enter(next)
		if n == 0 {
			w.finish(s, it)
			return f.head, stepDone
		}
		return f.head, stepGo
	}
}

// frameStored ends an upload. The caller's reference is used up.
func (w *Worker) frameStored(s *session, it store.Item) {
	writeInto(w, it, it.Len(), "\r\n")
	r := w.store(it, s.storing())
	st := resultStatus[r.result]
	if r.result == notStored {
		switch s.verb {
		case verbAdd:
			st = statusExists
		case verbReplace:
			st = statusNotFound
		}
	}
	if st == statusOK && s.quiet() {
		return
	}
	w.frameReply(s.echo(), st, statusTexts[st], r.cas)
}

// frameDelete is Delete: only of the item with the request's CAS, if that has one.
func frameDelete(w *Worker, _ *session, f *frame) (int, step) {
	res := w.remove(&removal{key: f.key, compares: f.cas != 0, compare: f.cas})
	return w.frameDone(f, resultStatus[res], 0)
}

// noInitial as the expiry of Increment and Decrement says that a number that is not there is not to be made.
const noInitial = math.MaxUint32

// frameArithmetic makes Increment or Decrement. The extras are delta, initial value and expiry.
func frameArithmetic(up bool) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, _ *session, f *frame) (int, step) {
		a := w.arithmetic(&arithmetic{
			key: f.key, up: up, delta: binary.BigEndian.Uint64(f.extras), compare: f.cas, initial: binary.BigEndian.Uint64(f.extras[8:]),
			create: binary.BigEndian.Uint32(f.extras[16:]) != noInitial, fresh: w.frameExpiry(f.extras[16:]),
		})
		if a.result != done || f.op.quiet {
			return w.frameDone(f, resultStatus[a.result], 0)
		}
		w.room(headerLen + 8)
		b := appendHeader(w.buf, f.echo, statusOK, shape{value: 8}, a.cas)
		w.buf = binary.BigEndian.AppendUint64(b, a.value)
		return f.head, stepDone
	}
}
