package proto

import (
	"encoding/base64"
	"math"
)

// metaFlag is what is to know about a flag of the meta commands. Any command takes any of them; those that mean nothing to it do nothing.
type metaFlag struct {
	known bool
	// read takes what is behind the flag's letter. It says whether that can be understood. nil: it is not looked at.
	read func(w *Worker, token []byte) bool
	bad  string // the reply if it cannot; "": a bad command line
}

// metaFlags are all flags by their letters.
var metaFlags = [256]metaFlag{
	'b': {known: true, read: readBinaryKey, bad: replyBadKey},
	'c': {known: true},
	'f': {known: true},
	'h': {known: true},
	'k': {known: true},
	'l': {known: true},
	'q': {known: true},
	's': {known: true},
	't': {known: true},
	'u': {known: true},
	'v': {known: true},
	'x': {known: true},
	'C': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.compare }), bad: replyBadToken},
	'D': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.delta }), bad: replyBadStep},
	'E': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.own }), bad: replyBadToken},
	'F': {known: true, read: readClientFlags},
	'I': {known: true},
	'J': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.initial }), bad: replyBadInitial},
	'L': {known: true}, // L and P are for proxies
	'M': {known: true, read: readMode},
	'N': {known: true, read: readExptime(func(m *meta) *uint32 { return &m.vivify }), bad: replyBadToken},
	'O': {known: true, read: readOpaque},
	'P': {known: true},
	'R': {known: true, read: readExptime(func(m *meta) *uint32 { return &m.recache }), bad: replyBadToken},
	'T': {known: true, read: readExptime(func(m *meta) *uint32 { return &m.exptime }), bad: replyBadToken},
}

// readBinaryKey decodes the key.
func readBinaryKey(w *Worker, _ []byte) bool {
	m := &w.meta
	n, err := base64.StdEncoding.Decode(m.decoded[:], m.token)
	m.key = m.decoded[:n]
	return err == nil && n > 0
}

// readNumber makes what reads an unsigned number of 64 bits.
func readNumber(where func(*meta) *uint64) func(*Worker, []byte) bool {
	return func(w *Worker, token []byte) (ok bool) {
		*where(&w.meta), ok = parseUint(token, math.MaxUint64)
		return ok
	}
}

// readExptime makes what reads a time as classic commands have it.
func readExptime(where func(*meta) *uint32) func(*Worker, []byte) bool {
	return func(w *Worker, token []byte) bool {
		t, ok := parseInt32(token)
		*where(&w.meta) = w.expiry(int64(t))
		return ok
	}
}

func readClientFlags(w *Worker, token []byte) bool {
	flags, ok := parseUint(token, math.MaxUint32)
	w.meta.client = uint32(flags)
	return ok
}

// readMode takes the first letter of a mode. A mode without a letter is 0x20, which is none, and different from no mode.
func readMode(w *Worker, token []byte) bool {
	w.meta.mode = ' '
	if len(token) > 0 {
		w.meta.mode = token[0]
	}
	return true
}

func readOpaque(w *Worker, token []byte) bool {
	w.meta.opaque = token
	return true
}
