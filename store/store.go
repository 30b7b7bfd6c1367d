package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// firstSecond is the time at which a store starts. 0 as an expiry time means never, and 1 is always past.
const firstSecond = 2

// Store is a cache of items, safe for use by many goroutines. It owns its mappings until Close.
type Store struct {
	// Read on every operation, written at the start only.
	base       unsafe.Pointer // of the items' memory
	shift      uint           // links count units of 1<<shift bytes
	hashKey    hashKey
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

	itemMemory  *mapping
	indexMemory *mapping
	spillMemory *mapping
	ghostMemory *mapping
	queueMemory *mapping

	file     *itemFile // nil: none
	restored Restored
}

// New maps the memory of a store as c says.
func New(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Store{config: c, shift: c.shift(), hashKey: newHashKey(c.Seed)}
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
		if s.file, err = openFile(c.File, c.Opened, wholePages(itemBytes(c.pages()))+trailerRoom); err != nil {
			return nil, err
		}
	}
	if err := s.makeMemory(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeMemory maps what the items and the index need, and takes up what is in the file.
func (s *Store) makeMemory() error {
	s.makeStripes()
	if err := s.reserve(); err != nil {
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

// Close unmaps the memory, and gives up the file: without a Save before, nothing in it is taken up again. Nobody may use the store, or an
// item of it, any more.
func (s *Store) Close() error {
	err := s.unmapAll()
	s.file.close()
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
	return (*header)(unsafe.Add(s.base, uintptr(link-1)<<s.shift))
}

// offset is how far p is from the beginning of the items' memory, in bytes.
func (s *Store) offset(h *header) uintptr { return uintptr(unsafe.Pointer(h)) - uintptr(s.base) }

// link is the number of the chunk at h.
func (s *Store) link(h *header) uint32 { return uint32(s.offset(h)>>s.shift) + 1 }

// pageOf is the number of the page that the chunk lies in.
func (s *Store) pageOf(h *header) uint32 { return uint32(s.offset(h) / PageSize) }
