package evictsim

// node is what a policy keeps of an object, whether it is cached or not. Objects are numbered from 0, so a node is found by the object's number.
type node struct {
	newer, older uint32 // neighbours in the list, as key+1; 0: none
	in           uint8  // number of the list, or none
	uses         uint8  // or flags: the policy's to say
	stamp        uint32 // a time, or a place: the policy's to say
}

// none is the list of objects that are not cached.
const none = 0

// table holds the nodes of a policy.
type table []node

// at returns the node of an object. It is good until at is called for another object.
func (t *table) at(key uint32) *node {
	if n := len(*t); int(key) >= n {
		grown := make(table, max(2*n, int(key)+1, 1<<10))
		copy(grown, *t)
		*t = grown
	}
	return &(*t)[key]
}

// list is an order of objects, from the newest to the oldest. The lists of a policy share its table; an object is in one of them at most.
type list struct {
	number         uint8 // above none
	newest, oldest uint32
	len            int
}

func (l *list) pushNewest(t *table, key uint32) {
	n := t.at(key)
	n.in, n.newer, n.older = l.number, 0, l.newest
	if l.newest != 0 {
		t.at(l.newest - 1).newer = key + 1
	} else {
		l.oldest = key + 1
	}
	l.newest = key + 1
	l.len++
}

func (l *list) remove(t *table, key uint32) {
	n := t.at(key)
	newer, older := n.newer, n.older
	n.in = none
	if newer != 0 {
		t.at(newer - 1).older = older
	} else {
		l.newest = older
	}
	if older != 0 {
		t.at(older - 1).newer = newer
	} else {
		l.oldest = newer
	}
	l.len--
}

// popOldest removes the oldest object and returns it. The list must not be empty.
func (l *list) popOldest(t *table) uint32 {
	key := l.oldest - 1
	l.remove(t, key)
	return key
}
