package load

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Protocols by the names that the command line uses.
const (
	ProtocolText   = "text"
	ProtocolMeta   = "meta"   // mg KEY v, ms KEY SIZE
	ProtocolBinary = "binary" // Get and Set; a multiget is a run of GetKQ and a Noop
)

// Of the binary protocol.
const (
	binaryRequest = 0x80 // what a header begins with
	binaryReply   = 0x81
	binaryHeader  = 24 // bytes
	binaryOpaque  = 12 // where the header has the number of the key, which the reply repeats
	binaryFlags   = 4  // bytes between the header of a hit and its key or value
	opGet         = 0x00
	opSet         = 0x01
	opNoop        = 0x0a
	opGetKQ       = 0x0d
)

// frame is what stands around a key.
type frame struct {
	before, after string
	key           bool // else there is none
	size          int  // with the key
}

// dialect is how requests and the replies of a correct server to them are written. A get is begin, ask for each key,
// and end. Its reply is hit, the value and tail for each key that is there, and done: behind them all, or instead of
// the only one. A set is set, the value and tail, and its reply stored.
type dialect struct {
	keys       *KeySpace
	binary     bool // frames begin with a header of the binary protocol
	runs       bool // done stands behind hits, too
	begin, end string
	tail       string

	ask, set, hit, done, stored frame
}

// newDialect makes a dialect for gets of some keys at once.
func newDialect(protocol string, multiget int, keys *KeySpace) *dialect {
	switch protocol {
	case ProtocolMeta:
		return &dialect{
			keys: keys, tail: "\r\n", ask: keys.line("mg $k v\r\n"), set: keys.line("ms $k $n\r\n"),
			hit: keys.line("VA $n\r\n"), done: keys.line("EN\r\n"), stored: keys.line("HD\r\n"),
		}
	case ProtocolBinary:
		d := &dialect{
			keys: keys, binary: true,
			ask:    keys.header(binaryRequest, opGet, true, 0, 0),
			set:    keys.header(binaryRequest, opSet, true, 8, keys.size),
			hit:    keys.header(binaryReply, opGet, false, binaryFlags, keys.size),
			stored: keys.header(binaryReply, opSet, false, 0, 0),
		}
		if multiget > 1 {
			d.runs, d.end = true, keys.header(binaryRequest, opNoop, false, 0, 0).before
			d.ask = keys.header(binaryRequest, opGetKQ, true, 0, 0)
			d.done = keys.header(binaryReply, opNoop, false, 0, 0)
			d.hit = keys.header(binaryReply, opGetKQ, true, binaryFlags, keys.size)
		}
		return d
	}
	return &dialect{
		keys: keys, runs: true, begin: "get", ask: keys.line(" $k"), end: "\r\n",
		set: keys.line("set $k 0 0 $n\r\n"), tail: "\r\n",
		hit: keys.line("VALUE $k 0 $n\r\n"), done: keys.line("END\r\n"), stored: keys.line("STORED\r\n"),
	}
}

// line makes a frame of a line, in which $k is the key and $n the size of its value.
func (k *KeySpace) line(text string) frame {
	text = strings.ReplaceAll(text, "$n", strconv.Itoa(k.size))
	before, after, key := strings.Cut(text, "$k")
	return k.frame(before, after, key)
}

// header makes a frame of a header of the binary protocol, of what has a key or none, extras of some bytes, all 0, and
// a value of some bytes.
func (k *KeySpace) header(magic, opcode byte, key bool, extras, value int) frame {
	h := make([]byte, binaryHeader+extras)
	f := k.frame(string(h), "", key)
	h[0], h[1], h[4] = magic, opcode, byte(extras)
	binary.BigEndian.PutUint16(h[2:], uint16(f.size-len(h)))
	binary.BigEndian.PutUint32(h[8:], uint32(f.size-binaryHeader+value))
	f.before = string(h)
	return f
}

func (k *KeySpace) frame(before, after string, key bool) frame {
	f := frame{before, after, key, len(before) + len(after)}
	if key {
		f.size += k.keySize
	}
	return f
}

// append appends a frame of a key.
func (d *dialect) append(dst []byte, f *frame, key uint32) []byte {
	at := len(dst)
	dst = append(dst, f.before...)
	if d.binary && f.before != "" {
		binary.BigEndian.PutUint32(dst[at+binaryOpaque:], key)
	}
	if f.key {
		dst = append(dst, d.keys.key(key)...)
	}
	if f.after != "" {
		dst = append(dst, f.after...)
	}
	return dst
}

// match returns the length of the frame of a key that in begins with, or 0. The CAS number of a header may be any.
func (d *dialect) match(in []byte, f *frame, key uint32) int {
	if len(in) < f.size || f.size == 0 {
		return 0
	}
	start, rest := in[:len(f.before)], in[len(f.before):f.size]
	if !d.binary {
		if string(start) != f.before {
			return 0
		}
	} else if string(start[:binaryOpaque]) != f.before[:binaryOpaque] ||
		binary.BigEndian.Uint32(start[binaryOpaque:]) != key || string(start[binaryHeader:]) != f.before[binaryHeader:] {
		return 0
	}
	if f.key {
		name := d.keys.key(key)
		if !bytes.HasPrefix(rest, name) {
			return 0
		}
		rest = rest[len(name):]
	}
	if string(rest) != f.after {
		return 0
	}
	return f.size
}

// sizes are the bytes of a get and of a set, and of the replies to them if the keys are there.
func (w *Workload) sizes() (get, set, hits, stored int) {
	d := newDialect(w.Protocol, w.Multiget, &KeySpace{keySize: w.KeySize, size: w.ValueSize})
	value := w.ValueSize + len(d.tail)
	get = len(d.begin) + w.Multiget*d.ask.size + len(d.end)
	hits = w.Multiget * (d.hit.size + value)
	if d.runs {
		hits += d.done.size
	}
	return get, d.set.size + value, hits, d.stored.size
}

// Sizes are the bytes of a request and of the reply to it, in a workload of gets or of sets whose keys are there.
func (w *Workload) Sizes() (request, reply int) {
	get, set, hits, stored := w.sizes()
	if w.Gets > 0 {
		return get, hits
	}
	return set, stored
}

// groupMax is the size in bytes of the largest group of requests that a connection sends at once.
func (w *Workload) groupMax() (size int) {
	get, set, _, _ := w.sizes()
	if w.Gets > 0 {
		size = get
	}
	if w.Sets > 0 {
		size = max(size, set)
	}
	size *= w.Pipeline
	if w.Transport == TransportUDP {
		size += frameHeader
	}
	return size
}
