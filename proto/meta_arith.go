package proto

import (
	"strconv"

	"ringcached/store"
)

// sumFlags are the flags that the reply of ma goes by: shown, or done when their turn comes.
var sumFlags = lettersOf("ckOtNT")

// sumModes are the modes of ma by their letters, 0 for none.
var sumModes = [256]struct{ known, up bool }{0: {true, true}, 'I': {true, true}, '+': {true, true}, 'D': {known: true}, '-': {known: true}}

// metaArithmetic answers `ma <key> <flags>*`.
func metaArithmetic(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if len(m.token) == 0 {
		return w.refuseMeta(r, replyBadFormat)
	}
	if w.readFlags(r.line, p, 2, sumFlags) != "" {
		return w.refuseMeta(r, choose(m.garbled, replyBadFormat, replyBadFlags))
	}
	mode := sumModes[m.mode]
	if !mode.known {
		return w.refuseMeta(r, replyBadSumMode)
	}
	if len(m.opaque) > maxOpaque {
		return w.refuseMeta(r, replyLongOpaque)
	}
	w.room(metaReplyMax)
	c := sum{up: mode.up, delta: m.delta, compare: m.compare, cas: m.own, own: w.choosesCAS()}
	e := w.st.Lock(m.key, w.st.Hash(m.key))
	w.observeLookup(m.key, &e, useChange)
	value, end := w.count(&e, &c)
	created := end == countMissing && m.has('N')
	if created {
		value, end = m.initial, w.startCount(&e, &c)
	} else if end == countMissing {
		w.countMissed(mode.up)
	}
	if end == countDone {
		w.metaCounted(&e, value, created)
	}
	e.Unlock()
	switch end {
	case countDone:
	case countMissing:
		w.answerMeta("NF")
	case countExists:
		w.answerMeta("EX")
	default:
		w.write(countTexts[end])
	}
	return r.size, stepDone
}

// startCount makes the number that there is not.
func (w *Worker) startCount(e *store.Entry, c *sum) countEnd {
	m := &w.meta
	if !w.newNumber(e, m.key, 0, m.initial, c) {
		return countNoNew
	}
	if m.has('b') {
		e.Item().SetMarks(store.MarkBinary)
	}
	return countDone
}

// metaCounted does what is left to do under the lock, and replies unless that is not wanted. N and T are obeyed when their turn comes.
func (w *Worker) metaCounted(e *store.Entry, value uint64, created bool) {
	m, it := &w.meta, e.Item()
	var digits [maxDigits]byte
	number := strconv.AppendUint(digits[:0], value, 10)
	b := w.buf
	if m.has('v') {
		b = strconv.AppendUint(append(b, "VA "...), uint64(len(number)), 10)
	} else {
		b = append(b, "HD"...)
	}
	for _, c := range m.order[:m.n] {
		switch c {
		case 'T':
			e.SetExptime(m.exptime)
		case 'N':
			if created {
				e.SetExptime(m.vivify)
			}
		case 't':
			b = w.appendTTL(append(b, " t"...), it.Exptime())
		case 'c':
			b = strconv.AppendUint(append(b, " c"...), w.casOf(it), 10)
		default:
			b = m.appendEcho(b, c, m.has('b'))
		}
	}
	b = append(b, "\r\n"...)
	if m.has('v') {
		b = append(append(b, number...), "\r\n"...)
	}
	if !m.has('q') {
		w.buf = b
	}
}
