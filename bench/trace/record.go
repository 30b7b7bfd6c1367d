package trace

// Op is what a request does.
type Op uint8

// The operations, in the order of [Ops].
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
	opCount
)

var opNames = [opCount]string{"get", "gets", "set", "add", "replace", "cas", "append", "prepend", "delete", "incr", "decr"}

// String is the operation's name in a trace, which is memcached's.
func (o Op) String() string { return opNames[o] }

// Ops lists all operations.
func Ops() []Op {
	all := make([]Op, opCount)
	for i := range all {
		all[i] = Op(i)
	}
	return all
}

func parseOp(name []byte) (Op, bool) {
	for i := range opNames {
		if opNames[i] == string(name) {
			return Op(i), true
		}
	}
	return 0, false
}

// Limits of what a line may say. They keep a damaged one from being taken for a request.
const (
	MaxTime      = 1 << 40 // seconds
	MaxKeySize   = 1 << 16 // bytes
	MaxValueSize = 1 << 28 // bytes: more than any server takes
	MaxTTL       = 1 << 40 // seconds
)

// Record is a request of a trace.
type Record struct {
	Time int64 // seconds, from an origin of the trace's own
	// Key is the key as the trace has it, which may be longer or shorter than it was before it was made anonymous. It may contain commas. In
	// a record that was read it is valid until the next one is.
	Key       []byte
	KeySize   int // bytes of the key as it was
	ValueSize int // bytes; 0 for a get that missed when it was recorded
	Client    uint64
	Op        Op
	TTL       int64 // seconds; 0: for ever, or the request stores nothing
}
