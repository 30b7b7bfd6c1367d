package store

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
