package load

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
)

// Protocols by the names that the command line uses.
const (
	ProtocolText   = "text"
	ProtocolMeta   = "meta"   // mg KEY v, ms KEY SIZE
	ProtocolBinary = "binary" // Get and Set; a multiget is a run of GetKQ and a Noop
)

// Of the binary protocol.
const (
	binaryHeader = 24
	binaryFlags  = 4 // extras of a hit
	opGet        = 0x00
	opSet        = 0x01
	opNoop       = 0x0a
	opGetKQ      = 0x0d
)

// lengths are the bytes of a workload's requests and replies. Those of gets are per key, and per request beside its keys.
type lengths struct{ key, get, hit, end, set, stored int }

func (w *Workload) lengths() (l lengths) {
	digits := len(strconv.Itoa(w.ValueSize))
	switch item := w.KeySize + w.ValueSize; w.Protocol {
	case ProtocolMeta:
		l = lengths{key: len("mg  v\r\n") + w.KeySize, hit: len("VA \r\n\r\n") + digits + w.ValueSize}
		l.set, l.stored = len("ms  \r\n\r\n")+digits+item, len("HD\r\n")
	case ProtocolBinary:
		l = lengths{key: binaryHeader + w.KeySize, hit: binaryHeader + binaryFlags + w.ValueSize, set: binaryHeader + 8 + item, stored: binaryHeader}
		if w.Multiget > 1 {
			l.get, l.hit, l.end = binaryHeader, l.hit+w.KeySize, binaryHeader
		}
	default:
		l = lengths{key: 1 + w.KeySize, get: len("get\r\n"), hit: len("VALUE  0 \r\n\r\n") + digits + item, end: len("END\r\n")}
		l.set, l.stored = len("set  0 0 \r\n\r\n")+digits+item, len("STORED\r\n")
	}
	return l
}

// Sizes are the bytes of a request and of the reply to it, in a workload of gets or of sets whose keys are there.
func (w *Workload) Sizes() (request, reply int) {
	l := w.lengths()
	if w.Gets > 0 {
		return l.get + w.Multiget*l.key, l.end + w.Multiget*l.hit
	}
	return l.set, l.stored
}

// groupMax is the size in bytes of the largest group of requests that a connection sends at once.
func (w *Workload) groupMax() (size int) {
	l := w.lengths()
	if w.Gets > 0 {
		size = l.get + w.Multiget*l.key
	}
	if w.Sets > 0 {
		size = max(size, l.set)
	}
	size *= w.Pipeline
	if w.Transport == TransportUDP {
		size += frameHeader
	}
	return size
}

// A generator draws requests of a workload and renders them. It belongs to one load thread and serves all sessions of it.
type generator struct {
	w      *Workload
	keys   *KeySpace
	src    *rand.PCG
	draw   func() uint32 // the number of a key
	gets   uint64        // a random 64-bit number below it is a get
	setMid []byte        // what stands between key and value of a set
}

func newGenerator(w *Workload, keys *KeySpace, seed, thread uint64) *generator {
	src := rand.NewPCG(seed, thread)
	g := &generator{w: w, keys: keys, src: src, draw: w.picker(src)}
	g.gets = uint64(float64(w.Gets) / float64(w.Gets+w.Sets) * (1 << 63) * 2)
	mid := " 0 0 "
	if w.Protocol == ProtocolMeta {
		mid = " "
	}
	g.setMid = append(strconv.AppendInt([]byte(mid), int64(w.ValueSize), 10), "\r\n"...)
	return g
}

// next draws a request into p and appends its bytes to dst.
func (g *generator) next(dst []byte, p *pending) []byte {
	p.set = g.w.Sets > 0 && (g.w.Gets == 0 || g.src.Uint64() >= g.gets)
	p.keys = p.keys[:0]
	if p.set {
		p.keys = append(p.keys, g.draw())
		return g.appendSet(dst, p.keys[0])
	}
	for range g.w.Multiget {
		p.keys = append(p.keys, g.draw())
	}
	return g.appendGet(dst, p.keys)
}

func (g *generator) appendGet(dst []byte, keys []uint32) []byte {
	switch g.w.Protocol {
	case ProtocolMeta:
		dst = append(append(dst, "mg "...), g.keys.key(keys[0])...)
		return append(dst, " v\r\n"...)
	case ProtocolBinary:
		if len(keys) == 1 {
			return append(appendBinary(dst, opGet, g.keys.keySize, 0, 0, keys[0]), g.keys.key(keys[0])...)
		}
		for _, k := range keys {
			dst = append(appendBinary(dst, opGetKQ, g.keys.keySize, 0, 0, k), g.keys.key(k)...)
		}
		return appendBinary(dst, opNoop, 0, 0, 0, 0)
	}
	dst = append(dst, "get"...)
	for _, k := range keys {
		dst = append(append(dst, ' '), g.keys.key(k)...)
	}
	return append(dst, "\r\n"...)
}

func (g *generator) appendSet(dst []byte, key uint32) []byte {
	switch g.w.Protocol {
	case ProtocolBinary:
		dst = appendBinary(dst, opSet, g.keys.keySize, 8, g.keys.size, key)
		dst = append(append(dst, 0, 0, 0, 0, 0, 0, 0, 0), g.keys.key(key)...) // flags, exptime
		return g.keys.AppendValue(dst, key)
	case ProtocolMeta:
		dst = append(dst, "ms "...)
	default:
		dst = append(dst, "set "...)
	}
	dst = append(append(dst, g.keys.key(key)...), g.setMid...)
	return append(g.keys.AppendValue(dst, key), "\r\n"...)
}

// appendBinary appends a request's header. The key's number is its opaque value, which the reply repeats.
func appendBinary(dst []byte, opcode byte, key, extras, value int, opaque uint32) []byte {
	dst = append(dst, 0x80, opcode, byte(key>>8), byte(key), byte(extras), 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(key+extras+value))
	dst = binary.BigEndian.AppendUint32(dst, opaque)
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
}
