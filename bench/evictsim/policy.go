package evictsim

// Policy decides which objects stay in a cache that holds a number of them. It starts without room: Grow comes first.
type Policy interface {
	// Use notes that the object was asked for, and says whether it is there.
	Use(key uint32) bool
	// Insert stores an object that is not there, and evicts another if there is no room.
	Insert(key uint32)
	// Writes is how many of the uses so far wrote to memory that all cores would share.
	Writes() int
	// Len is how many objects are there.
	Len() int
	// Grow adds room for n objects.
	Grow(n int)
}

// Kind is a policy as the study lists it.
type Kind struct {
	Name string
	// Writes is what a hit writes to memory that all cores share.
	Writes string
	New    func() Policy
}

// Kinds lists the policies of the study. The third is the one that ringcached's store has.
func Kinds() []Kind {
	return []Kind{
		{"LRU", "up to 6 links of 4 items, under a lock of the list", func() Policy { return NewLRU() }},
		{"segmented LRU", "1 flag; later, by another thread, links as with LRU", func() Policy { return NewSegmented() }},
		{"CLOCK, 2 bits", "2 bits of the item, nothing when they are full", func() Policy { return NewClock(ClockOptions{}) }},
		{"CLOCK, 2 bits, ghosts", "2 bits of the item, nothing when they are full", func() Policy { return NewClock(ClockOptions{Ghosts: true}) }},
		{"SIEVE", "1 bit of the item, nothing when it is set", func() Policy { return NewSieve() }},
		{"S3-FIFO", "2 bits of the item, nothing when they are full", func() Policy { return NewS3FIFO() }},
		{"CLOCK, probation", "2 bits of the item, nothing when they are full", func() Policy { return NewQuickDemotion() }},
	}
}
