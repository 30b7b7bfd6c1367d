package record

import (
	"crypto/cipher"
	"encoding/binary"
	"unsafe"
)

// Ciphers opens and seals the records of many connections. It belongs to one thread. It keeps the expanded keys of the connections that were busy lately:
// at most a number of them that its maker sets, each for one direction of one connection, in memory that it maps when it needs more and gives back when it
// does not, and that never lies on the Go heap if the kind of key allows it (see expand).
type Ciphers struct {
	// Unmap gives back memory that was mapped. Nil: it is not given back.
	Unmap func(mem []byte) error

	mapMemory func(n int) ([]byte, error)
	most      int      // entries
	pieces    []*piece // nil where a piece was given back
	hand      int      // the entry that eviction looks at next
	now       uint8    // seconds, by Tick

	// What is passed to an AEAD escapes to the heap, so it lies here.
	nonce [ivLen]byte
	extra [13]byte // additional data of TLS 1.2: sequence number, type, version, length of the plaintext
}

const (
	pieceLen     = 64 << 10 // bytes of a piece
	entryLen     = 832      // bytes of an entry: a check, and an AEAD, of which AES-GCM in Go 1.26 is the largest, 760 bytes
	pieceEntries = pieceLen / entryLen
	checkLen     = 16 // so that the AEAD is aligned
	idleTicks    = 5  // ticks after which an entry that is not used is dropped
)

// piece is memory for some entries, mapped at once.
type piece struct {
	mem     []byte
	mapped  bool // by mapMemory; otherwise of the Go heap, because no memory could be mapped
	used    int
	entries [pieceEntries]entry
}

// entry is an expanded key. Its memory begins with a part of the key that it was made of: an entry is never used for another key, even if a State was
// overwritten without Drop.
type entry struct {
	aead    cipher.AEAD // nil: free. Points into the piece's memory if inPiece
	owner   uint64      // slot<<1, +1 for the direction out
	used    uint8       // when, in ticks
	recent  bool        // used since the hand passed
	inPiece bool
}

// New makes Ciphers that keep at most so many expanded keys, at least two: an active connection has two. mapMemory returns zeroed memory outside the Go heap,
// ring.Map for instance; it is called for 64 KiB at a time.
func New(entries int, mapMemory func(n int) ([]byte, error)) *Ciphers {
	return &Ciphers{mapMemory: mapMemory, most: max(entries, 2)}
}

// ownerOf is the owner of an entry.
func ownerOf(slot uint32, s *State, d *direction) uint64 {
	if d == &s.out {
		return uint64(slot)<<1 | 1
	}
	return uint64(slot) << 1
}

// aead is the expanded key of a direction of the connection in slot.
func (c *Ciphers) aead(slot uint32, s *State, d *direction) cipher.AEAD {
	if e, mem := c.at(d.cached); e != nil && e.aead != nil && e.owner == ownerOf(slot, s, d) && check(mem) == check(d.key[:]) {
		e.used, e.recent = c.now, true
		return e.aead
	}
	i := c.free()
	p := c.pieces[i/pieceEntries]
	e, mem := c.at(uint32(i) + 1)
	e.aead, e.inPiece = expand(s.suite, d.key[:s.suite.keyLen()], mem[checkLen:])
	copy(mem[:checkLen], d.key[:8])
	e.owner, e.used, e.recent = ownerOf(slot, s, d), c.now, true
	p.used++
	d.cached = uint32(i) + 1
	return e.aead
}

// check is the part of a key that an entry is recognised by.
func check(key []byte) uint64 { return binary.LittleEndian.Uint64(key) }

// at is the entry that a direction's hint names, with its memory, or nil.
func (c *Ciphers) at(hint uint32) (*entry, []byte) {
	i := int(hint) - 1
	if i < 0 || i/pieceEntries >= len(c.pieces) || c.pieces[i/pieceEntries] == nil {
		return nil, nil
	}
	p := c.pieces[i/pieceEntries]
	i %= pieceEntries
	return &p.entries[i], p.mem[i*entryLen:][:entryLen]
}

// free is the number of an entry without a key: one that is left, or of a new piece, or that of the connection that did nothing for longest, more or less
// (CLOCK).
func (c *Ciphers) free() int {
	room := -1
	for n, p := range c.pieces {
		switch {
		case p == nil:
			if room < 0 {
				room = n
			}
		case p.used < c.entriesIn(n):
			for i := range p.entries[:c.entriesIn(n)] {
				if p.entries[i].aead == nil {
					return n*pieceEntries + i
				}
			}
		}
	}
	if room < 0 && len(c.pieces)*pieceEntries < c.most {
		room = len(c.pieces)
		c.pieces = append(c.pieces, nil)
	}
	if room >= 0 && c.addPiece(room) {
		return room * pieceEntries
	}
	return c.evict()
}

// entriesIn is how many entries piece n may have in use.
func (c *Ciphers) entriesIn(n int) int { return min(c.most-n*pieceEntries, pieceEntries) }

// addPiece maps piece n. It returns false if that fails, unless there is no piece at all: then the Go heap has to do.
func (c *Ciphers) addPiece(n int) bool {
	mem, err := c.mapMemory(pieceLen)
	if err != nil {
		for _, p := range c.pieces {
			if p != nil {
				return false
			}
		}
		mem = make([]byte, pieceLen)
	}
	c.pieces[n] = &piece{mem: mem, mapped: err == nil}
	return true
}

// evict drops an entry and returns its number. There is at least one.
func (c *Ciphers) evict() int {
	for {
		i := c.hand
		c.hand = (c.hand + 1) % c.most
		e, _ := c.at(uint32(i) + 1)
		switch {
		case e == nil:
		case e.recent:
			e.recent = false
		default:
			c.dropEntry(uint32(i) + 1)
			return i
		}
	}
}

// dropEntry zeroes the entry that a hint names, and frees it.
func (c *Ciphers) dropEntry(hint uint32) {
	e, mem := c.at(hint)
	if e == nil || e.aead == nil {
		return
	}
	if !e.inPiece {
		zeroValue(e.aead)
	}
	clear(mem)
	*e = entry{}
	c.pieces[(int(hint)-1)/pieceEntries].used--
}

// dropKey drops the entry of one direction, because its key changes or ends.
func (c *Ciphers) dropKey(slot uint32, s *State, d *direction) {
	if e, _ := c.at(d.cached); e != nil && e.owner == ownerOf(slot, s, d) {
		c.dropEntry(d.cached)
	}
	d.cached = 0
}

// Drop ends the connection in slot: it zeroes its State and its expanded keys. The State is then one without TLS.
func (c *Ciphers) Drop(slot uint32, s *State) {
	c.dropKey(slot, s, &s.in)
	c.dropKey(slot, s, &s.out)
	*s = State{}
}

// Tick is called once a second. It drops the keys that were not used for five seconds, and gives back memory that has none.
func (c *Ciphers) Tick() {
	c.now++
	for n, p := range c.pieces {
		if p == nil {
			continue
		}
		for i := range p.entries {
			if e := &p.entries[i]; e.aead != nil && c.now-e.used >= idleTicks {
				c.dropEntry(uint32(n*pieceEntries+i) + 1)
			}
		}
		if p.used == 0 {
			_ = c.giveBack(n) // what cannot be unmapped is lost, and zero
		}
	}
}

// giveBack unmaps piece n, whose entries are dropped.
func (c *Ciphers) giveBack(n int) error {
	p := c.pieces[n]
	c.pieces[n] = nil
	if !p.mapped || c.Unmap == nil {
		return nil
	}
	return c.Unmap(p.mem)
}

// Held is how many bytes of memory the expanded keys take now, used or not.
func (c *Ciphers) Held() (bytes int) {
	for _, p := range c.pieces {
		if p != nil {
			bytes += len(p.mem) + int(unsafe.Sizeof(*p))
		}
	}
	return bytes
}

// Close zeroes all expanded keys and gives back their memory. The States keep their secrets: Drop is for them. Ciphers may be used again.
func (c *Ciphers) Close() (err error) {
	for n, p := range c.pieces {
		if p == nil {
			continue
		}
		for i := range p.entries {
			c.dropEntry(uint32(n*pieceEntries+i) + 1)
		}
		if failed := c.giveBack(n); failed != nil {
			err = failed
		}
	}
	c.pieces, c.hand = nil, 0
	return err
}
