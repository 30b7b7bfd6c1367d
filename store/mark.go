package store

// Marks are what a protocol notes about an item. They mean nothing to the store, and a new item has none.
type Marks uint32

const (
	MarkStale  Marks = stateStale  // the value is known to be old
	MarkWon    Marks = stateWon    // a client was told to bring a new value
	MarkBinary Marks = stateBinary // the key came encoded, and is shown so
	allMarks         = MarkStale | MarkWon | MarkBinary
)

// Marks are the item's.
func (it Item) Marks() Marks { return Marks(it.h.state.Load()) & allMarks }

// SetMarks makes m the item's marks. Only for who owns the item, which is not linked, or has its entry locked.
func (it Item) SetMarks(m Marks) {
	now := it.Marks()
	if set := m &^ now & allMarks; set != 0 {
		it.h.state.Or(uint32(set))
	}
	if gone := now &^ m; gone != 0 {
		it.h.state.And(^uint32(gone))
	}
}
