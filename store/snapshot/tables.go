package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"ringcached/store/keyhash"
)

const (
	metaMagic = "ringmeta"
	// metaVersion changes with the layout of the snapshot, of an item, of a chunk or of a bucket.
	metaVersion = 3
)

// header is the beginning of a snapshot, written last and in one piece.
type header struct {
	Magic   [len(metaMagic)]byte
	Version uint64
	ID      fileID
	Tables  uint64 // bytes
	Index   uint64 // bytes, behind the tables

	IndexSum uint64
	Sum      uint64 // of what is in front of it, and the tables
}

// HeaderSize is the size of a snapshot's header in bytes.
const HeaderSize = int64(unsafe.Sizeof(header{}))

// Tables is all of a snapshot but header and index.
type Tables struct {
	Scalars Scalars
	Stripes []Stripe
	Classes []Class
	Pages   []Page
	Numbers []uint32 // of pages: what each class has, one after the other, and the pool's returned, surplus and retired ones

	header header // as Read found it
}

// Scalars are what a store has one of.
type Scalars struct {
	Wall, Age                                       int64 // see store.Save; nanoseconds
	Now, FlushAt                                    uint32
	CASBlocks, Watermark                            uint64
	Secrets                                         keyhash.Secrets
	Home                                            uint32 // buckets of each stripe in the index that follows
	SpillNext, SpillFree, SpillUsed                 uint32
	BlocksNext, BlocksFree                          uint32
	PoolTaken, PoolFresh                            uint32
	Returned, Surplus, Retired                      uint32 // lengths
	StripeCount, ClassCount, PageCount, NumberCount uint32 // lengths, which encode sets
}

// Stripe is a stripe of the index.
type Stripe struct {
	Mask, Split               uint32
	CAS, CASEnd, Items, Bytes uint64
}

// Class is a slab class.
type Class struct {
	PageCount, Partial, HandPage, HandChunk uint32
	Since, VictimAges, Unmet                uint32
	Used, Items, Requested                  uint64
	Probation                               Queue
}

// Queue is the probation queue of a class.
type Queue struct{ Length, Head, Tail, First, After uint32 }

// Page is a page of the items' memory.
type Page struct {
	Class                                        uint8
	Listed                                       bool
	Position, Used, Carved, Free, Next, Previous uint32
	Sum                                          uint64 // of what is carved: see CheckPages
}

// Settings are what a store must have in common with one whose items it restores. Two of them are compared in their order.
type Settings []Setting

// Setting is one of them, with its name as the user knows it.
type Setting struct {
	Name  string
	Value any
}

// String has a line for each setting.
func (s Settings) String() string {
	var b strings.Builder
	for _, setting := range s {
		fmt.Fprintf(&b, "%s %v\n", setting.Name, setting.Value)
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

// encode is the settings, with a length in front, and the tables.
func (t *Tables) encode(settings string) ([]byte, error) {
	n := &t.Scalars
	n.StripeCount, n.ClassCount, n.PageCount, n.NumberCount = uint32(len(t.Stripes)), uint32(len(t.Classes)), uint32(len(t.Pages)), uint32(len(t.Numbers))
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(settings)))
	out = append(out, settings...)
	var err error
	for _, part := range []any{t.Scalars, t.Stripes, t.Classes, t.Pages, t.Numbers} {
		if out, err = binary.Append(out, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decodeSettings cuts the settings off the tables.
func decodeSettings(in []byte) (settings string, rest []byte, err error) {
	if len(in) < 4 || int64(binary.LittleEndian.Uint32(in)) > int64(len(in)-4) {
		return "", nil, ErrDamaged
	}
	end := 4 + binary.LittleEndian.Uint32(in)
	return string(in[4:end]), in[end:], nil
}

// decodeTables reads what encode wrote behind the settings, for a store with as many of each as shape says.
func decodeTables(in []byte, shape Shape) (*Tables, error) {
	t := &Tables{Stripes: make([]Stripe, shape.Stripes), Classes: make([]Class, shape.Classes), Pages: make([]Page, shape.Pages)}
	r := bytes.NewReader(in)
	n := &t.Scalars
	if err := binary.Read(r, binary.LittleEndian, n); err != nil {
		return nil, ErrDamaged
	}
	if int(n.StripeCount) != shape.Stripes || int(n.ClassCount) != shape.Classes || int(n.PageCount) != shape.Pages || int(n.NumberCount) > shape.Pages {
		return nil, ErrDamaged
	}
	t.Numbers = make([]uint32, n.NumberCount)
	for _, part := range []any{t.Stripes, t.Classes, t.Pages, t.Numbers} {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return nil, ErrDamaged
		}
	}
	if r.Len() > 0 {
		return nil, ErrDamaged
	}
	return t, nil
}
