package proto

import "ringcached/store"

// Without CAS numbers (-C) the store has them all the same, because they order stores and flushes. Clients see 0 and cannot choose them.

// casOf is the item's CAS as clients see it.
func (w *Worker) casOf(it store.Item) uint64 { return it.CAS() & w.casMask }

// comparable is the CAS that an item has to have for a request that says so, of a kind for which 0 means that any will do.
func (w *Worker) comparable(cas uint64) uint64 { return cas & w.casMask }

// choosesCAS says that the meta command gives its item a CAS.
func (w *Worker) choosesCAS() bool { return w.meta.has('E') && w.casMask != 0 }
