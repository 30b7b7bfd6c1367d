package store

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"ringcached/store/keyhash"
	"ringcached/store/memory"
	"ringcached/store/snapshot"
)

const (
	// PageSize is the unit in which memory is given to slab classes, in bytes.
	PageSize = 1 << 20
	// ChunkMax is the largest chunk, in bytes. Larger items are chains of chunks.
	ChunkMax = PageSize / 2
	// KeyMax is the longest key, in bytes.
	KeyMax = keyhash.LongestKey

	itemMaxLowest  = 1 << 10 // the bounds of ItemMax, as memcached's
	itemMaxHighest = 1 << 30
	limitHighest   = 4 << 40 // above it, 32-bit links would need chunks aligned to more than 1 KiB
	pagesLowest    = 4
)

var (
	// ErrTooLarge is Alloc's answer to an item above Config.ItemMax.
	ErrTooLarge = errors.New("store: object too large for cache")
	// ErrNoMemory is Alloc's answer when there is no memory: everything is referenced, or full and Config.NoEvict.
	ErrNoMemory = errors.New("store: out of memory storing object")
)

// Config says how large a store is and how it cuts its memory.
type Config struct {
	// Limit is the memory for items, in bytes, rounded up to whole pages. A limit below four pages, or below two items of ItemMax,
	// is raised to that: with less, items of different sizes could not be in the store together. The index is not part of it.
	Limit int64
	// LimitMax is how far SetLimit may raise the limit: New reserves address space for it, and nothing else. Below Limit it is Limit. New lowers
	// it to what links of the unit for Limit can address, and halves it, down to Limit, until the system has that much address space and 512 MiB
	// for the rest of the process.
	LimitMax int64
	// ItemMax is the largest item in bytes, as memcached counts them: 48 + 8 + (key+1) + (4 if flags) + (value+2). At most half
	// of Limit, or 1 MiB when Limit is below 2 MiB.
	ItemMax int
	// NoCAS leaves the 8 bytes out of that.
	NoCAS bool
	// TrackSizes makes the store count items by their size, see NextSize: a little work for every item that is stored or goes.
	TrackSizes bool
	// Factor is the ratio between the chunk sizes of neighbouring classes. With one so small that 63 classes do not reach ChunkMax
	// it holds for the smaller ones, and the others are further apart.
	Factor float64
	// ChunkMin is the room for key, suffix and value in the smallest chunk, in bytes.
	ChunkMin int
	// NoEvict makes Alloc fail when memory is used up, instead of evicting.
	NoEvict bool
	// HugePages asks the kernel for transparent huge pages for items and index: fewer page faults and TLB misses, coarser
	// resident memory.
	HugePages bool
	// Seed determines the secrets of Hash. 0 draws them from the system, so that a client cannot choose keys that share a bucket; other
	// values are for tests that depend on the order of items. A store that restores a file's items goes on with the secrets they were kept with.
	Seed uint64
	// File is a file for the items' memory, "" for none: the next store with the same settings restores what Save kept there and in
	// a second file, of the same name and MetaSuffix. The limit cannot be raised above Limit then. One store at a
	// time can use it.
	File string
	// Opened are File and the one beside it, where an earlier store had them open: they are the new store's then, and locked already. That
	// store must have been closed.
	Opened FilePair
}

// Validate says what is wrong with c, in a sentence for the person who set it.
func (c Config) Validate() error {
	switch {
	case c.Limit <= 0:
		return fmt.Errorf("memory limit must be greater than 0, not %d", c.Limit)
	case c.Limit > limitHighest:
		return fmt.Errorf("memory limit must be at most %d bytes, not %d", int64(limitHighest), c.Limit)
	case c.ItemMax < itemMaxLowest:
		return fmt.Errorf("item size limit must be at least %d bytes, not %d", itemMaxLowest, c.ItemMax)
	case c.ItemMax > itemMaxHighest:
		return fmt.Errorf("item size limit must be at most %d bytes, not %d", itemMaxHighest, c.ItemMax)
	case int64(c.ItemMax) > max(c.Limit/2, PageSize):
		return fmt.Errorf("item size limit of %d bytes is above half of the memory limit of %d bytes", c.ItemMax, c.Limit)
	case !(c.Factor > 1) || math.IsInf(c.Factor, 0):
		return fmt.Errorf("growth factor must be greater than 1, not %v", c.Factor)
	case c.ChunkMin < 1:
		return fmt.Errorf("minimum space for key and value must be at least 1 byte, not %d", c.ChunkMin)
	case c.ChunkMin > ChunkMax/2:
		return fmt.Errorf("minimum space for key and value must be at most %d bytes, not %d", ChunkMax/2, c.ChunkMin)
	}
	return nil
}

// pages is how many pages the store has.
func (c Config) pages() int {
	n := (c.Limit + PageSize - 1) / PageSize
	largest := (int64(c.ItemMax) + PageSize - 1) / PageSize
	return int(max(n, 2*largest, pagesLowest))
}

// pagesMax is how many pages SetLimit can make of them.
func (c Config) pagesMax() int {
	reachable := int64(math.MaxUint32) << c.shift() / PageSize
	return max(c.pages(), int(min(c.LimitMax/PageSize, reachable)))
}

// shift is the binary logarithm of the unit of links in bytes: the smallest with which 32 bits reach every chunk.
func (c Config) shift() uint {
	size := int64(c.pages()) * PageSize
	shift := uint(3)
	for size>>shift > math.MaxUint32 {
		shift++
	}
	return shift
}

// firstSecond is the time at which a store starts. 0 as an expiry time means never, and 1 is always past.
const firstSecond = 2

// Store is a cache of items, safe for use by many goroutines. It owns its mappings until Close.
type Store struct {
	// Read on every operation, written at the start only.
	base       unsafe.Pointer // of the items' memory
	shift      uint           // links count units of 1<<shift bytes
	secrets    keyhash.Secrets
	stripeMask uint64
	stripeBits uint
	stripes    []stripe
	classes    []class // by id; 0 is unused
	classOf    []uint8 // class id by (bytes+7)/8
	pages      []page
	buckets    unsafe.Pointer
	sizes      *sizes // of the items in the index; nil: they are not counted
	config     Config // as the store was made; limit is what became of Limit

	// Read on every operation, written about once a second or less: a line of their own.
	_          [64]byte
	now        atomic.Uint32
	flushAt    atomic.Uint32 // second of the delayed flush, 0 for none
	watermark  atomic.Uint64 // items with a CAS up to this are flushed
	soonest    atomic.Uint32 // second at which an item expires, at the latest, that no sweep has met: see SweepDue
	swept      atomic.Uint64 // watermark when the last sweep began
	maxBuckets atomic.Uint32 // per stripe
	automove   atomic.Int32
	onEviction atomic.Pointer[func(Item)]
	_          [64]byte

	scarcity  scarcity
	saturated atomic.Uint64 // items pinned for ever by an overflow of their references
	moves     moveCounters
	_         [64]byte

	// Three locks and what they guard, each in lines of its own.
	pool  pagePool
	_     [64]byte
	spill spillPool
	_     [64]byte
	move  move

	limitMu sync.Mutex // orders changes of the limit; taken before all others, and held across no system call that may be slow
	limit   atomic.Int64

	limitCuts  atomic.Uint64 // times that SetLimit's limit could not be reached
	onLimitCut atomic.Pointer[func(limit, missing int64, why error)]

	numbers    numbers
	_          [64]byte
	linkBlocks linkBlocks
	_          [64]byte

	itemMemory  *memory.Mapping
	indexMemory *memory.Mapping
	spillMemory *memory.Mapping
	ghostMemory *memory.Mapping
	queueMemory *memory.Mapping
	huge        *memory.HugePages

	file     *snapshot.File // nil: none
	restored Restored
}

// New maps the memory of a store as c says.
func New(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Store{config: c, shift: c.shift(), secrets: keyhash.New(c.Seed)}
	s.now.Store(firstSecond)
	s.scarcity.start = time.Now()
	s.makeClasses()
	if c.TrackSizes {
		s.sizes = newSizes(c.ItemMax)
	}
	s.automove.Store(AutomoveCareful)
	if c.File != "" {
		s.config.LimitMax = 0 // the file has its size
		var err error
		if s.file, err = snapshot.Open(c.File, c.Opened, fileBytes(c.pages())); err != nil {
			return nil, err
		}
	}
	if err := s.makeMemory(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeMemory maps what the items and the index need, and restores what is in the file.
func (s *Store) makeMemory() error {
	s.makeStripes()
	if err := s.mapForLimits(); err != nil {
		return err
	}
	s.makePages()
	s.makeIndex()
	if s.file == nil {
		s.restored.Why = errNoFile
		return nil
	}
	return s.restore()
}

// Close unmaps the memory, and gives up the file: without a Save before, no later store restores anything from it. Nobody may use the store, or an
// item of it, any more.
func (s *Store) Close() error {
	err := s.unmapAll()
	s.file.Close()
	return err
}

// Now is the second that SetNow said last.
func (s *Store) Now() uint32 { return s.now.Load() }

// SetNow says what second it is, counted from a start of its caller's choice; the first is 2, since an expiry time of 0 means never
// and 1 is always past. A delayed flush that is due happens here.
func (s *Store) SetNow(sec uint32) {
	s.now.Store(sec)
	s.flushDue(sec)
}

// OnEviction makes f be called with every live item that is evicted, before it goes; nil ends that. It is called by whoever makes room, with
// locks held, so it must not call the store for anything but Now and what is known of the item, and must not wait.
func (s *Store) OnEviction(f func(Item)) {
	if f == nil {
		s.onEviction.Store(nil)
		return
	}
	s.onEviction.Store(&f)
}

// at is the chunk that link means. link must not be 0.
func (s *Store) at(link uint32) *header {
	return (*header)(unsafe.Add(s.base, uintptr(link-1)<<(s.shift&63)))
}

// offset is how far p is from the beginning of the items' memory, in bytes.
func (s *Store) offset(h *header) uintptr { return uintptr(unsafe.Pointer(h)) - uintptr(s.base) }

// link is the number of the chunk at h.
func (s *Store) link(h *header) uint32 { return uint32(s.offset(h)>>s.shift) + 1 }

// pageOf is the number of the page that the chunk lies in.
func (s *Store) pageOf(h *header) uint32 { return uint32(s.offset(h) / PageSize) }

// rank is the place of a lock in the order that the package's documentation gives. A rankedMutex is a mutex that knows its rank:
// built with the tag "invariants" it watches the order, otherwise it is a mutex and nothing else.
type rank int

const (
	rankStripe rank = iota
	rankMove
	rankClass
	rankPool
	ranks
)
