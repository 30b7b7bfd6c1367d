package evictsim

// LRU evicts what was not used for longest.
//
// It is the yardstick of the others: Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for storage hierarchies", IBM Systems Journal 9 (1970).
// Every hit moves the item to the front of a list that all cores share.
type LRU struct {
	table table
	list  list
	room  int
	write int // uses that moved something
}

// NewLRU makes an LRU without room.
func NewLRU() *LRU { return &LRU{list: list{number: 1}} }

// Len, Writes, Grow, Use and Insert are Policy's.
func (l *LRU) Len() int { return l.list.len }

func (l *LRU) Writes() int { return l.write }

func (l *LRU) Grow(n int) { l.room += n }

func (l *LRU) Use(key uint32) bool {
	if l.table.at(key).in == none {
		return false
	}
	if l.list.newest != key+1 {
		l.list.remove(&l.table, key)
		l.list.pushNewest(&l.table, key)
		l.write++
	}
	return true
}

func (l *LRU) Insert(key uint32) {
	if l.list.len >= l.room {
		l.list.popOldest(&l.table)
	}
	l.list.pushNewest(&l.table, key)
}

// WeightedLRU is an LRU over objects of different sizes, as if memory could be cut at every byte: what no server with slab classes is.
type WeightedLRU struct {
	lru   LRU
	bytes []uint32 // by key
	used  int64
	room  int64
}

// NewWeightedLRU makes an LRU that holds the given number of bytes.
func NewWeightedLRU(bytes int64) *WeightedLRU { return &WeightedLRU{lru: *NewLRU(), room: bytes} }

// Writes is Cache's.
func (w *WeightedLRU) Writes() int { return w.lru.Writes() }

// Get is Cache's.
func (w *WeightedLRU) Get(r Request) bool {
	if w.lru.Use(r.Key) {
		return true
	}
	for w.used+int64(r.Size) > w.room && w.lru.Len() > 0 {
		w.used -= int64(w.bytes[w.lru.list.popOldest(&w.lru.table)])
	}
	w.lru.list.pushNewest(&w.lru.table, r.Key)
	if n := int(r.Key) + 1; n > len(w.bytes) {
		w.bytes = append(w.bytes, make([]uint32, max(n, 2*len(w.bytes))-len(w.bytes))...)
	}
	w.bytes[r.Key] = r.Size
	w.used += int64(r.Size)
	return false
}
