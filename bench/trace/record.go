package trace

import (
	"fmt"
	"strings"

	"github.com/zeebo/xxh3"
)

// Op is what a request does.
type Op uint8

// The operations. OpCount is how many there are.
const (
	Get Op = iota
	Gets
	Set
	Add
	Replace
	Cas
	Append
	Prepend
	Delete
	Incr
	Decr
	OpCount
)

var opNames = [OpCount]string{"get", "gets", "set", "add", "replace", "cas", "append", "prepend", "delete", "incr", "decr"}

// String is the operation's name in a trace, which is memcached's.
func (o Op) String() string { return opNames[o] }

// Reads reports that a request of the kind asks for a value.
func (o Op) Reads() bool { return o <= Gets }

// Stores reports that a request of the kind brings a value.
func (o Op) Stores() bool { return o >= Set && o <= Prepend }

// opsByName are the operations as traces have them, Meta's in capitals. CacheLib too takes an operation with a lease for one without.
var opsByName = func() map[string]Op {
	all := map[string]Op{"GET_LEASE": Get, "SET_LEASE": Set}
	for op, name := range opNames {
		all[name], all[strings.ToUpper(name)] = Op(op), Op(op)
	}
	return all
}()

// Limits of what a record may say. They keep a damaged one from being taken for a request.
const (
	MaxTime      = 1 << 40 // seconds
	MaxKeySize   = 1 << 16 // bytes
	MaxValueSize = 1<<32 - 1
	MaxTTL       = 1 << 40 // seconds
	MaxCount     = 1 << 20 // requests of a row, which are those of a second for one key
)

// Record is a request of a trace, or several in a row that are the same.
type Record struct {
	Time int64 // seconds, from an origin of the trace's own
	// Key is the key as the trace has it, which may be longer or shorter than it was before it was made anonymous. It may contain commas. In
	// a record that was read it is valid until the next one is.
	Key       []byte
	KeySize   int    // bytes of the key as it was
	ValueSize int    // bytes; 0 for a get that missed when it was recorded
	Client    uint64 // where a trace has no clients, 16 bits of the key's hash: requests for a key keep their order
	Op        Op
	TTL       int64 // seconds; 0: for ever, or the request stores nothing
	Count     int64 // requests
}

func clientOf(key []byte) uint64 { return xxh3.Hash(key) & 0xffff }

// BadRecord is a line, or a binary record, that is no request.
type BadRecord struct {
	Unit    string // line or record
	Number  int64  // from 1
	Text    string // its beginning
	Problem string
}

func (e *BadRecord) Error() string {
	return fmt.Sprintf("%s %d: %s: %q", e.Unit, e.Number, e.Problem, e.Text)
}
