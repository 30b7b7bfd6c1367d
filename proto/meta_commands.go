package proto

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"ringcached/proto/admin"
	"ringcached/store"
)

// getFlags are the flags that the reply of mg goes by: those that are shown, and those that change something in their place, which the flags
// behind them show.
var getFlags = lettersOf("cfhklOstNRT")

// metaGetWhole answers `mg <key> <flags>*`, a line that begins with "mg " and is there whole, as nearly always, and those behind it that have been
// parsed. 0: it is not of that form; nothing was done.
func (w *Worker) metaGetWhole(in []byte) (n int) {
	if !w.ahead(in, (*Worker).parseMetaGet) {
		return 0
	}
	for {
		k := w.take()
		w.metaGetParsed(in[n:], k)
		if n += int(k.size); !w.another() {
			return n
		}
	}
}

// metaGetParsed answers the mg at the beginning of in, whose key was parsed. Most clients send the same flags with each.
func (w *Worker) metaGetParsed(in []byte, k *parsedKey) {
	m := &w.meta
	flags := in[k.end:k.size]
	if len(flags) == int(m.again) && string(flags) == string(m.flags[:m.again]) {
		w.tally.Add(admin.MetaCommands)
		m.token = in[k.begin:k.end]
		m.key = m.token
		w.answerMetaGet(k, &plainMetaGet)
		return
	}
	r := &w.req
	r.in, r.line, r.size, r.quiet = in, trimCR(in[:k.size-1]), int(k.size), false
	r.n, r.args[0] = 1, span{0, uint16(len("mg"))}
	if w.metaGet(r, k) && m.seen&^plainFlags == 0 && len(flags) <= len(m.flags) {
		m.again = uint8(copy(m.flags[:], flags))
	}
}

// plainFlags are those without an argument with which mg only reads.
var plainFlags = lettersOf("cfhklqstv")

// parseMetaGet parses a request of the form that metaGetWhole answers, see parseAhead. What is behind the key is for metaGet.
func (w *Worker) parseMetaGet(in []byte) int {
	const begin = len("mg ")
	if len(in) < len("mg k\n") || in[0] != 'm' || in[1] != 'g' || in[2] != ' ' {
		return 0
	}
	line := in[:min(len(in), MaxLine)]
	end := tokenEnd(line, begin)
	if end == begin || end > begin+maxKey || end == len(line) || line[end] != ' ' && lineEnd(line, end) == 0 {
		return 0
	}
	size := end + bytes.IndexByte(line[end:], '\n') + 1
	if size == end {
		return 0
	}
	w.add(in[begin:end], len(in), begin, end, size)
	return size
}

// metaGet answers `mg <key> <flags>*`.
func metaGet(w *Worker, _ *session, r *request) (int, step) {
	w.metaGet(r, nil)
	return r.size, stepDone
}

// metaGet answers mg, whose key may have been parsed, and says whether the line was right.
func (w *Worker) metaGet(r *request, k *parsedKey) bool {
	m := &w.meta
	p := w.readKey(r)
	text := w.readFlags(r.line, p, 2, getFlags)
	switch {
	case text != "":
	case len(m.token) == 0:
		text = replyBadFormat
	case len(m.opaque) > maxOpaque:
		text = replyLongOpaque
	}
	if text != "" {
		w.write(text)
		return false
	}
	how := &plainMetaGet
	if m.seen&lookupFlags != 0 {
		how = w.metaLookup()
	}
	if k == nil || m.has('b') {
		k = &parsedKey{hash: w.st.Hash(m.key)}
	}
	w.answerMetaGet(k, how)
	return true
}

// answerMetaGet looks up w.meta.key, and answers.
func (w *Worker) answerMetaGet(k *parsedKey, how *lookup) {
	m := &w.meta
	w.room(metaReplyMax) // asking for room under the lock would hold up others
	f := w.lookup(m.key, k.hash, &k.approach, how)
	for f.ok() && !w.metaHit(f) {
		f = w.lookupLocked(m.key, k.hash, how)
	}
	if !f.ok() && !m.has('q') {
		w.answerMeta("EN")
	}
}

// lookupFlags are those with which mg does more than read. Most lines have none of them.
var lookupFlags = lettersOf("NRTu")

// plainMetaGet is mg without them.
var plainMetaGet = lookup{use: admin.UseGet, missed: admin.GetMisses, lease: true}

// metaLookup is what mg asks for.
func (w *Worker) metaLookup() *lookup {
	m := &w.meta
	m.lookup = lookup{
		use: admin.UseGet, missed: admin.GetMisses, touch: m.has('T'), exptime: m.exptime, unused: m.has('u'), create: m.has('N'), lease: true,
		own: w.choosesCAS(), cas: m.own, encoded: m.has('b'),
	}
	m.orderExpiry(&m.lookup)
	return &m.lookup
}

// orderExpiry fills in what follows from the order of N, R and T, each of which acts in its place: the last of N and T decides when an item that
// is made expires, and R compares the expiry time that T has set, if T stands before it.
func (m *meta) orderExpiry(how *lookup) {
	touched := false
	for _, c := range m.order[:m.n] {
		switch c {
		case 'N':
			how.fresh = m.vivify
		case 'T':
			how.fresh, touched = m.exptime, true
		case 'R':
			if touched {
				how.win = m.exptime != 0 && m.exptime < m.recache
			} else {
				how.recache = m.recache
			}
		}
	}
}

// metaHit answers mg for an item, and ends the lookup as endLookup does.
func (w *Worker) metaHit(f found) bool {
	m, v := &w.meta, &w.view
	// A client that has the value already, as its CAS shows, is spared it.
	value := m.has('v') && !(m.has('C') && w.shownCAS() == m.compare)
	w.roomForView(f, metaReplyMax)
	b := w.buf
	if value {
		b = strconv.AppendUint(append(b, "VA "...), uint64(v.Len()), 10)
	} else {
		b = append(b, "HD"...)
	}
	exptime := w.facts.exptime
	for _, c := range m.order[:m.n] {
		switch c {
		case 'T':
			exptime = m.exptime
		case 'N':
			if w.facts.created {
				exptime = m.vivify
			}
		case 'R':
		case 't':
			b = w.appendTTL(append(b, " t"...), exptime)
		default:
			b = w.appendFact(b, c)
		}
	}
	b = append(w.facts.appendLease(b), "\r\n"...)
	if value {
		return w.writeValue(f, b, len("\r\n"))
	}
	if !w.endLookup(f) {
		return false
	}
	w.buf = b
	return true
}

// appendFact appends what the flag c asks about the item that was found, as it was before this access.
func (w *Worker) appendFact(b []byte, c byte) []byte {
	facts, v := &w.facts, &w.view
	var n uint64
	switch c {
	case 'k', 'O':
		return w.meta.appendEcho(b, c, admin.KeyEncoded(v.Marks()))
	case 's':
		n = uint64(v.Len())
	case 'c':
		n = w.shownCAS()
	case 'f':
		n = uint64(v.Flags())
	case 'h':
		n = choose[uint64](facts.fetched, 1, 0)
	case 'l':
		n = uint64(w.st.Now() - min(w.st.Now(), facts.lastAccess))
	}
	return strconv.AppendUint(append(b, ' ', c), n, 10)
}

// appendLease appends which client brings a new value: W, this one; Z, another one, which got W. X: the value is stale.
func (f *facts) appendLease(b []byte) []byte {
	if f.marks&store.MarkWon != 0 {
		b = append(b, " Z"...)
	}
	if f.marks&store.MarkStale != 0 {
		b = append(b, " X"...)
	}
	if f.won {
		b = append(b, " W"...)
	}
	return b
}

// metaNoop answers `mn`. It is for clients that ask quietly: everything before it has been answered when its reply is read, so the
// replies are not held back for more.
func metaNoop(w *Worker, _ *session, r *request) (int, step) {
	w.tally.Add(admin.MetaCommands)
	w.write(replyNoop)
	return r.size, stepFlush
}

// metaDebug answers `me <key> [b]`: what is known about an item, which is not an access. Other flags mean nothing.
func metaDebug(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if len(m.token) == 0 || len(m.token) > maxKey {
		return w.refuseMeta(r, replyBadFormat)
	}
	for from, to := nextToken(r.line, p); from < to; from, to = nextToken(r.line, to) {
		c := r.line[from]
		if !canBeFlag(c) {
			return w.refuseMeta(r, replyBadFormat)
		}
		if c == 'b' && !readBinaryKey(w, nil) {
			return w.refuseMeta(r, replyBadKey)
		}
	}
	w.room(metaReplyMax)
	if f := w.peek(m.key); f.ok() {
		w.buf = w.appendDebug(w.buf, f.item)
		w.unhold(f)
	} else {
		w.buf = append(w.buf, "EN\r\n"...)
	}
	return r.size, stepDone
}

func (w *Worker) appendDebug(b []byte, it store.Item) []byte {
	b = append(b, "ME "...)
	if admin.KeyEncoded(it.Marks()) {
		b = base64.StdEncoding.AppendEncode(b, it.Key())
	} else {
		b = append(b, it.Key()...)
	}
	b = w.appendTTL(append(b, " exp="...), it.Exptime())
	b = strconv.AppendUint(append(b, " la="...), uint64(w.st.Now()-min(w.st.Now(), it.LastAccess())), 10)
	b = strconv.AppendUint(append(b, " cas="...), w.casOf(it), 10)
	b = append(append(b, " fetch="...), choose(it.Fetched(), "yes", "no")...)
	b = strconv.AppendUint(append(b, " cls="...), uint64(it.Class()), 10)
	b = strconv.AppendUint(append(b, " size="...), uint64(w.st.SizeOf(it)), 10)
	return append(b, "\r\n"...)
}

// setFlags are the flags that the reply of ms goes by; meta.pack has room for four.
var setFlags = lettersOf("ckOs")

// setModes are the modes of ms by their letters, 0 for none.
var setModes = [256]struct {
	known bool
	verb  verb
}{
	0: {true, verbSet}, 'S': {true, verbSet}, 'E': {true, verbAdd}, 'A': {true, verbAppend}, 'P': {true, verbPrepend}, 'R': {true, verbReplace},
}

// metaSet answers the line of `ms <key> <bytes> <flags>*`. Worker.upload receives the value, or Worker.swallow skips it.
func metaSet(w *Worker, s *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	from, p := nextToken(r.line, p)
	n, ok := parseLength(r.line[from:p])
	if !ok {
		// How much to swallow is not known: what follows is read as commands.
		return w.refuseMeta(r, replyBadFormat)
	}
	text := w.readFlags(r.line, p, 3, setFlags)
	mode := setModes[m.mode]
	switch {
	case m.garbled:
		return w.refuseMeta(r, text)
	case text != "":
	case !mode.known:
		text = replyBadSetMode
	case len(m.opaque) > maxOpaque:
		text = replyLongOpaque
	}
	if text != "" {
		return w.refuse(s, r, n, text)
	}
	return w.beginMetaSet(s, r, mode.verb, n)
}

// beginMetaSet makes the item that a value of n bytes goes into.
func (w *Worker) beginMetaSet(s *session, r *request, v verb, n int) (int, step) {
	m := &w.meta
	next := session{mode: modeUpload, verb: v, flags: flagMeta, tag: m.pack()}
	exptime := m.exptime
	switch v {
	case verbAppend, verbPrepend:
		next.arg, exptime = w.comparable(m.compare), m.vivify
		if m.has('N') {
			next.flags |= flagVivify
		}
	case verbSet, verbReplace:
		if !m.has('C') {
			break
		}
		next.verb, next.arg = verbCAS, m.compare
		if m.has('I') {
			next.flags |= flagStale
		}
	}
	if m.has('q') {
		next.flags |= flagQuiet
	}
	it, res := w.beginStore(&announced{
		key: m.key, flags: m.client, exptime: exptime, size: n, came: len(r.in) - r.size, verb: next.verb, drop: true, // whatever the mode
		own: w.choosesCAS() && m.own != 0, cas: m.own,
	})
	if res != done {
		return w.refuse(s, r, n, resultTexts[res])
	}
	if m.has('b') {
		it.SetMarks(store.MarkBinary)
	}
	next.item = it.Ref()
	if m.has('O') {
		next.slot = w.opaques.keep(m.opaque)
	}
	s.enter(next)
	return r.size, stepGo
}

// metaStored ends an upload of ms. The caller's reference is used up.
func (w *Worker) metaStored(s *session, it store.Item) {
	if !w.endsInCRLF(it) {
		w.opaques.drop(s.slot)
		w.st.Release(it)
		w.write(replyBadChunk)
		return
	}
	w.st.Retain(it) // its key may be shown
	if r := w.store(it, s.storing()); r.result != done || !s.quiet() {
		w.answerSet(s, it, r)
	}
	w.st.Release(it)
	w.opaques.drop(s.slot)
}

// answerSet replies to ms. it is what was sent.
func (w *Worker) answerSet(s *session, it store.Item, r storeResult) {
	w.room(metaReplyMax)
	b := append(w.buf, resultCodes[r.result]...)
	for shown := s.tag; shown != 0; shown >>= 8 {
		switch byte(shown) {
		case 'k':
			b = appendKey(append(b, " k"...), it.Key(), admin.KeyEncoded(it.Marks()))
		case 'O':
			b = append(append(b, " O"...), w.opaques.of(s.slot)...)
		case 'c':
			b = strconv.AppendUint(append(b, " c"...), r.cas, 10)
		case 's':
			b = strconv.AppendUint(append(b, " s"...), uint64(r.size), 10)
		}
	}
	w.buf = append(b, "\r\n"...)
}

// echoFlags are the flags that the reply of md goes by.
var echoFlags = lettersOf("kO")

// metaDelete answers `md <key> <flags>*`.
func metaDelete(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if text := w.readFlags(r.line, p, 2, echoFlags); text != "" {
		return w.refuseMeta(r, text)
	}
	if len(m.token) == 0 {
		return w.refuseMeta(r, replyBadFormat)
	}
	if len(m.opaque) > maxOpaque {
		return w.refuseMeta(r, replyLongOpaque)
	}
	res := w.remove(&removal{
		key: m.key, logged: "md", compares: m.has('C'), compare: m.compare, countsOther: true, empty: m.has('x'), flags: m.client, exptime: m.exptime,
		stale: m.has('I'), touch: m.has('T'), own: w.choosesCAS(), cas: m.own,
	})
	w.answerResult(res)
	return r.size, stepDone
}

// arithmeticFlags are the flags that the reply of ma goes by: they are shown, or change something in their place.
var arithmeticFlags = lettersOf("ckOtNT")

// arithmeticModes are the modes of ma by their letters, 0 for none.
var arithmeticModes = [256]struct{ known, up bool }{0: {true, true}, 'I': {true, true}, '+': {true, true}, 'D': {known: true}, '-': {known: true}}

// metaArithmetic answers `ma <key> <flags>*`.
func metaArithmetic(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if len(m.token) == 0 {
		return w.refuseMeta(r, replyBadFormat)
	}
	if w.readFlags(r.line, p, 2, arithmeticFlags) != "" {
		return w.refuseMeta(r, choose(m.garbled, replyBadFormat, replyBadFlags))
	}
	mode := arithmeticModes[m.mode]
	if !mode.known {
		return w.refuseMeta(r, replyBadArithMode)
	}
	if len(m.opaque) > maxOpaque {
		return w.refuseMeta(r, replyLongOpaque)
	}
	op := arithmetic{
		key: m.key, up: mode.up, delta: m.delta, compare: m.compare, own: w.choosesCAS(), cas: m.own, touch: m.has('T'), exptime: m.exptime,
		create: m.has('N'), initial: m.initial, late: true, encoded: m.has('b'),
	}
	for _, c := range m.order[:m.n] { // the last of N and T decides about a number that is made
		switch c {
		case 'N':
			op.fresh = m.vivify
		case 'T':
			op.fresh = m.exptime
		}
	}
	a := w.arithmetic(&op)
	switch {
	case a.result != done:
		w.answerResult(a.result)
	case !m.has('q'):
		w.answerArithmetic(a)
	}
	return r.size, stepDone
}

// answerArithmetic replies to ma with the number, and what the flags ask for in the order in which they stand.
func (w *Worker) answerArithmetic(a arithmeticResult) {
	m := &w.meta
	w.room(metaReplyMax)
	var digits [maxDigits]byte
	number := strconv.AppendUint(digits[:0], a.value, 10)
	b := w.buf
	if m.has('v') {
		b = strconv.AppendUint(append(b, "VA "...), uint64(len(number)), 10)
	} else {
		b = append(b, "HD"...)
	}
	exptime := a.before
	for _, c := range m.order[:m.n] {
		switch c {
		case 'T':
			exptime = m.exptime
		case 'N':
			if a.created {
				exptime = m.vivify
			}
		case 't':
			b = w.appendTTL(append(b, " t"...), exptime)
		case 'c':
			b = strconv.AppendUint(append(b, " c"...), a.cas, 10)
		default:
			b = m.appendEcho(b, c, m.has('b'))
		}
	}
	b = append(b, "\r\n"...)
	if m.has('v') {
		b = append(append(b, number...), "\r\n"...)
	}
	w.buf = b
}

// answerResult replies to md or ma with how it ended. A client that asked quietly gets no reply to a success.
func (w *Worker) answerResult(res result) {
	switch {
	case resultCodes[res] == "":
		w.write(resultTexts[res])
	case res != done || !w.meta.has('q'):
		w.answerMeta(resultCodes[res])
	}
}

// opaque is what a client wants to read in the reply to an ms.
type opaque struct {
	n    uint8
	text [maxOpaque]byte
}

// opaques keep the opaques of the ms commands whose values have not arrived, of which there are few at a time.
type opaques struct {
	all  []opaque
	free []uint32 // slots that are not in use
}

// keep copies text and gives the slot that it is kept in, which is not 0. An empty one needs none: 0.
func (o *opaques) keep(text []byte) (slot uint32) {
	if len(text) == 0 {
		return 0
	}
	if n := len(o.free); n > 0 {
		slot, o.free = o.free[n-1], o.free[:n-1]
	} else {
		o.all = append(o.all, opaque{})
		slot = uint32(len(o.all))
	}
	k := &o.all[slot-1]
	k.n = uint8(copy(k.text[:], text))
	return slot
}

// of is the text in a slot.
func (o *opaques) of(slot uint32) []byte {
	if slot == 0 {
		return nil
	}
	k := &o.all[slot-1]
	return k.text[:k.n]
}

// drop gives a slot back.
func (o *opaques) drop(slot uint32) {
	if slot != 0 {
		o.free = append(o.free, slot)
	}
}
