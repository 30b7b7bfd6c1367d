package load

import (
	"math/rand/v2"
	"strconv"
)

// A generator draws requests of a workload and renders them. It belongs to one load thread and serves all sessions of it.
type generator struct {
	w      *Workload
	keys   *KeySpace
	src    *rand.PCG
	picker picker
	gets   uint64 // a random 64-bit number below it is a get
	always bool   // every request is a get
	setMid []byte // what stands between key and value of a set
}

func newGenerator(w *Workload, keys *KeySpace, seed, thread uint64) (*generator, error) {
	src := rand.NewPCG(seed, thread)
	p, err := newPicker(w, src)
	if err != nil {
		return nil, err
	}
	g := &generator{w: w, keys: keys, src: src, picker: p, always: w.Sets == 0}
	g.gets = uint64(float64(w.Gets) / float64(w.Gets+w.Sets) * (1 << 63) * 2)
	g.setMid = append(g.setMid, " 0 0 "...)
	g.setMid = strconv.AppendInt(g.setMid, int64(w.ValueSize), 10)
	g.setMid = append(g.setMid, '\r', '\n')
	return g, nil
}

// next draws a request into p and appends its bytes to dst.
func (g *generator) next(dst []byte, p *pending) []byte {
	p.set = !g.always && (g.w.Gets == 0 || g.src.Uint64() >= g.gets)
	if p.set {
		p.keys = append(p.keys[:0], g.picker.Draw())
		return g.appendSet(dst, p.keys[0])
	}
	p.keys = p.keys[:0]
	dst = append(dst, "get"...)
	for range g.w.Multiget {
		k := g.picker.Draw()
		p.keys = append(p.keys, k)
		dst = append(dst, ' ')
		dst = append(dst, g.keys.key(k)...)
	}
	return append(dst, '\r', '\n')
}

func (g *generator) appendSet(dst []byte, key uint32) []byte {
	dst = append(dst, "set "...)
	dst = append(dst, g.keys.key(key)...)
	dst = append(dst, g.setMid...)
	dst = g.keys.AppendValue(dst, key)
	return append(dst, '\r', '\n')
}
