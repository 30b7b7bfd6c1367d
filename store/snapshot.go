package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/zeebo/xxh3"

	"ringcached/store/keyhash"
)

// A snapshot is what the file beside Config.File holds while no server runs: header, books, and the used part of the index as it lies in
// memory. All numbers are little-endian.

const (
	metaMagic = "ringmeta"
	// metaVersion changes with the layout of the snapshot, of an item, of a chunk or of a bucket.
	metaVersion = 3
)

// metaHeader is the beginning of a snapshot, written last and in one piece.
type metaHeader struct {
	Magic   [len(metaMagic)]byte
	Version uint64
	ID      fileID
	Books   uint64 // bytes
	Index   uint64 // bytes, behind the books

	IndexSum uint64
	Sum      uint64 // of what is in front of it, and the books
}

const metaHeaderSize = int64(unsafe.Sizeof(metaHeader{}))

// books is all of a snapshot but header and index.
type books struct {
	Scalars scalars
	Stripes []stripeBook
	Classes []classBook
	Pages   []pageBook
	Numbers []uint32 // of pages: what each class has, one after the other, and the pool's returned, surplus and retired ones
}

type scalars struct {
	Wall, Age                                     int64 // see Store.Save; nanoseconds
	Now, FlushAt                                  uint32
	CASBlocks, Watermark                          uint64
	HashKey                                       keyhash.Secrets
	Home                                          uint32 // buckets of each stripe in the index that follows
	SpillNext, SpillFree, SpillUsed               uint32
	BlocksNext, BlocksFree                        uint32
	PoolTaken, PoolFresh                          uint32
	Returned, Surplus, Retired                    uint32 // lengths
	StripeCount, ClassCount, PageCount, Numberset uint32 // lengths
}

type stripeBook struct {
	Mask, Split               uint32
	CAS, CASEnd, Items, Bytes uint64
}

type classBook struct {
	PageCount, Partial, HandPage, HandChunk uint32
	Since, VictimAges, Lacking              uint32
	Used, Items, Requested                  uint64
	Probation                               queueBook
}

type queueBook struct{ Length, Head, Tail, First, After uint32 }

type pageBook struct {
	Class                                     uint8
	Listed                                    bool
	Place, Used, Carved, Free, Next, Previous uint32
	Sum                                       uint64 // of what is carved: see sumPages
}

// settings are what a store must have in common with one whose items it takes up, a line for each.
func (s *Store) settings() string {
	var sizes []byte
	for i := range s.classes {
		sizes = binary.LittleEndian.AppendUint32(sizes, s.classes[i].size)
	}
	known := keyhash.New(1)
	var b strings.Builder
	for _, line := range []struct {
		name  string
		value any
	}{
		{"memory limit", s.config.Limit},
		{"item size limit", s.config.ItemMax},
		{"growth factor", s.config.Factor},
		{"minimum space for key and value", s.config.ChunkMin},
		{"slab classes", fmt.Sprintf("%x", xxh3.Hash(sizes))},
		{"page size", PageSize},
		{"unit of links", 1 << s.shift},
		{"stripes of the index", len(s.stripes)},
		{"hash", fmt.Sprintf("%x", known.Hash([]byte("a text that is hashed in several steps")))},
		{"processor", runtime.GOARCH},
		{"internal checks", invariants},
	} {
		fmt.Fprintf(&b, "%s %v\n", line.name, line.value)
	}
	return b.String()
}

// compareSettings says what differs.
func compareSettings(saved, now string) error {
	was, is := strings.Split(saved, "\n"), strings.Split(now, "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			return fmt.Errorf("other settings: it was kept with %s, this is %s", was[i], is[i])
		}
	}
	if len(was) != len(is) {
		return errors.New("other settings")
	}
	return nil
}

// encode is the settings, with a length in front, and the books.
func (b *books) encode(settings string) ([]byte, error) {
	n := &b.Scalars
	n.StripeCount, n.ClassCount, n.PageCount, n.Numberset = uint32(len(b.Stripes)), uint32(len(b.Classes)), uint32(len(b.Pages)), uint32(len(b.Numbers))
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(settings)))
	out = append(out, settings...)
	var err error
	for _, part := range []any{b.Scalars, b.Stripes, b.Classes, b.Pages, b.Numbers} {
		if out, err = binary.Append(out, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// errDamaged is what a snapshot is refused with whose contents make no sense.
var errDamaged = errors.New("it is damaged")

// decodeSettings cuts the settings off the books.
func decodeSettings(in []byte) (settings string, rest []byte, err error) {
	if len(in) < 4 || int64(binary.LittleEndian.Uint32(in)) > int64(len(in)-4) {
		return "", nil, errDamaged
	}
	end := 4 + binary.LittleEndian.Uint32(in)
	return string(in[4:end]), in[end:], nil
}

// decodeBooks reads what encode wrote behind the settings, for a store with so many of each.
func decodeBooks(in []byte, stripes, classes, pages int) (*books, error) {
	b := &books{Stripes: make([]stripeBook, stripes), Classes: make([]classBook, classes), Pages: make([]pageBook, pages)}
	r := bytes.NewReader(in)
	n := &b.Scalars
	if err := binary.Read(r, binary.LittleEndian, n); err != nil {
		return nil, errDamaged
	}
	if int(n.StripeCount) != stripes || int(n.ClassCount) != classes || int(n.PageCount) != pages || int(n.Numberset) > pages {
		return nil, errDamaged
	}
	b.Numbers = make([]uint32, n.Numberset)
	for _, part := range []any{b.Stripes, b.Classes, b.Pages, b.Numbers} {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return nil, errDamaged
		}
	}
	if r.Len() > 0 {
		return nil, errDamaged
	}
	return b, nil
}

// sum is the checksum of a header and the books behind it.
func (h *metaHeader) sum(books []byte) (uint64, error) {
	head, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		return 0, err
	}
	hash := xxh3.New()
	_, _ = hash.Write(head[:len(head)-8])
	_, _ = hash.Write(books)
	return hash.Sum64(), nil
}

// transferStep is how many bytes of the index are moved and summed up at a time: so much stays in the processor's cache.
const transferStep = 256 << 10

// transfer reads or writes memory at an offset of a file, by move, and sums it up.
func transfer(parts [][]byte, off int64, move func([]byte, int64) (int, error)) (sum uint64, err error) {
	hash := xxh3.New()
	for _, part := range parts {
		for len(part) > 0 {
			step := part[:min(len(part), transferStep)]
			if _, err := move(step, off); err != nil {
				return 0, err
			}
			_, _ = hash.Write(step)
			part, off = part[len(step):], off+int64(len(step))
		}
	}
	return hash.Sum64(), nil
}

// indexParts is the used part of the index, and of the probation queues.
func (s *Store) indexParts(n *scalars) [][]byte {
	return [][]byte{
		s.indexMemory.mem[:int64(n.Home)<<s.stripeBits*bucketSize],
		s.spillMemory.mem[:int64(n.SpillNext)*bucketSize],
		s.queueMemory.mem[:int64(n.BlocksNext)*blockSize],
	}
}
