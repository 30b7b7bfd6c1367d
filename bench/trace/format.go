package trace

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
)

// Format is a way to write a trace.
type Format uint8

// The formats: docs/traces.md describes them.
const (
	Twitter Format = iota
	Meta
	Plain
	OracleGeneral
)

var formats = [...]string{"twitter", "meta", "plain", "oracleGeneral"}

const expected = "time,key,key size,value size,client,operation,TTL (twitter), or rows below a header that names " +
	"key, op and size (meta), or time,key,size (plain), or binary records of 24 bytes (oracleGeneral)"

func (f Format) String() string { return formats[f] }

// ParseFormat returns the format of a name. Without a name it is OracleGeneral for a file that is named so or ends in
// .bin, and Twitter's for others.
func ParseFormat(name, path string) (Format, error) {
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst")
	if name == "" && (strings.HasSuffix(path, ".bin") || strings.Contains(path, "oracleGeneral")) {
		return OracleGeneral, nil
	}
	for f, known := range formats {
		if strings.EqualFold(name, known) || name == "" {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("format: %q is not twitter, meta, plain or oracleGeneral", name)
}

// field is what a column of a line holds.
type field uint8

const (
	unused field = iota
	timeField
	keyField
	keySizeField
	sizeField
	clientField
	opField
	countField
	ttlField
	fieldCount
)

// numberFields are the fields that are numbers.
var numberFields = [fieldCount]struct {
	name string
	most uint64
}{
	timeField: {"time", MaxTime}, keySizeField: {"key size", MaxKeySize}, sizeField: {"value size", MaxValueSize},
	clientField: {"client", math.MaxUint64}, countField: {"op_count", MaxCount}, ttlField: {"TTL", MaxTTL},
}

// columnNames are the fields by the names that headers have for them, without "_" and in small letters.
var columnNames = map[string]field{
	"time": timeField, "optime": timeField, "timestamp": timeField, "clocktime": timeField,
	"key": keyField, "objid": keyField, "objectid": keyField,
	"keysize": keySizeField, "size": sizeField, "valuesize": sizeField, "objsize": sizeField, "objectsize": sizeField,
	"client": clientField, "clientid": clientField, "op": opField, "operation": opField,
	"opcount": countField, "ttl": ttlField,
}

// layout says what the columns of a line are. What a line has beyond them is part of the key in Twitter's format, is
// ignored in Meta's, and is an error in others.
type layout struct {
	format    Format
	columns   []field
	least     int // columns that every line has
	separator byte
}

// layouts are those of lines without a header: Twitter's, Meta's of 2022-06 and of 2022-10 and later in a file that
// was split, and plain ones, with the next access if libCacheSim printed them.
var layouts = []layout{
	{Twitter, []field{timeField, keyField, keySizeField, sizeField, clientField, opField, ttlField}, 7, ','},
	{Meta, []field{keyField, opField, sizeField, countField, keySizeField, ttlField}, 5, ','},
	{Meta, []field{timeField, keyField, keySizeField, opField, countField, sizeField, unused, ttlField}, 7, ','},
	{Plain, []field{timeField, keyField, sizeField, unused}, 3, ','},
	{Plain, []field{timeField, keyField, sizeField, unused}, 3, '\t'},
	{Plain, []field{timeField, keyField, sizeField, unused}, 3, ' '},
}

// headerLayout is that of the lines below a header, nil if the line is none.
func headerLayout(line []byte) *layout {
	const longest = 500
	l := layout{format: Plain, separator: ','}
	for i, name := range strings.Split(string(line[:min(len(line), longest)]), ",") {
		f := columnNames[strings.ToLower(strings.Trim(strings.ReplaceAll(name, "_", ""), " \"#\ufeff"))]
		if l.columns = append(l.columns, f); f == keyField || f == sizeField || f == opField {
			l.least = i + 1
		}
	}
	if l.has(opField) {
		l.format = Meta
	}
	if !l.has(keyField) || !l.has(sizeField) {
		return nil
	}
	return &l
}

func (l *layout) has(f field) bool { return slices.Contains(l.columns, f) }

// parse reads a line and says what is wrong with it.
func (l *layout) parse(rec *Record, line []byte) (problem string) {
	more := bytes.Count(line, []byte{l.separator}) + 1 - len(l.columns)
	if more+len(l.columns) < l.least || more > 0 && l.format == Plain {
		return fmt.Sprintf("%d fields where %d should be", more+len(l.columns), l.least)
	}
	*rec = Record{}
	numbers := [fieldCount]uint64{countField: 1}
	for _, f := range l.columns {
		end := bytes.IndexByte(line, l.separator)
		for ; f == keyField && l.format == Twitter && more > 0; more-- {
			end += 1 + bytes.IndexByte(line[end+1:], l.separator)
		}
		value, rest := line, []byte(nil)
		if end >= 0 {
			value, rest = line[:end], line[end+1:]
		}
		line = rest
		switch {
		case f == unused:
		case f == keyField:
			rec.Key = value
		case f == opField:
			var ok bool
			if rec.Op, ok = opsByName[string(value)]; !ok {
				return "unknown operation"
			}
		case len(value) == 0 && l.format == Meta && f != sizeField && f != timeField: // as if there were no such column
		default:
			var ok bool
			if numbers[f], ok = number(value, f); !ok {
				return fmt.Sprintf("the %s is no number up to %d", numberFields[f].name, numberFields[f].most)
			}
		}
	}
	if len(rec.Key) == 0 {
		return "no key"
	}
	if numbers[countField] == 0 {
		return "no operations by its op_count"
	}
	rec.Time, rec.KeySize, rec.ValueSize = int64(numbers[timeField]), int(numbers[keySizeField]), int(numbers[sizeField])
	rec.Client, rec.TTL, rec.Count = numbers[clientField], int64(numbers[ttlField]), int64(numbers[countField])
	if rec.KeySize == 0 {
		rec.KeySize = min(len(rec.Key), MaxKeySize)
	}
	if !l.has(clientField) {
		rec.Client = clientOf(rec.Key)
	}
	return ""
}

// number reads a decimal number of digits only; of a time, a fraction of a second may follow.
func number(text []byte, f field) (n uint64, ok bool) {
	for i, c := range text {
		d := uint64(c - '0')
		switch {
		case d <= 9 && n <= (math.MaxUint64-d)/10:
			n = n*10 + d
		case c == '.' && f == timeField && i > 0:
			return n, len(bytes.Trim(text[i+1:], "0123456789")) == 0 && n <= numberFields[f].most
		default:
			return 0, false
		}
	}
	return n, len(text) > 0 && n <= numberFields[f].most
}

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

var opNames = [OpCount]string{
	"get", "gets", "set", "add", "replace", "cas", "append", "prepend", "delete", "incr", "decr",
}

// String is the operation's name in a trace, which is memcached's.
func (o Op) String() string { return opNames[o] }

// Reads reports that a request of the kind asks for a value.
func (o Op) Reads() bool { return o <= Gets }

// Stores reports that a request of the kind brings a value.
func (o Op) Stores() bool { return o >= Set && o <= Prepend }

// opsByName are the operations as traces have them, Meta's in capitals. CacheLib too takes an operation with a lease
// for one without.
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
	// Key is the key as the trace has it, which may be longer or shorter than it was before it was made anonymous. It
	// may contain commas. In a record that was read it is valid until the next one is.
	Key       []byte
	KeySize   int    // bytes of the key as it was
	ValueSize int    // bytes; 0 for a get that missed when it was recorded
	Client    uint64 // where a trace has no clients, 16 bits of the key's hash: requests for a key keep their order
	Op        Op
	TTL       int64 // seconds; 0: for ever, or the request stores nothing
	Count     int64 // requests
}

func clientOf(key []byte) uint64 { return xxh3.Hash(key) & 0xffff }

// BadRecord says of a line, or a binary record, that is no request, where it is and why.
type BadRecord string

func (e BadRecord) Error() string { return string(e) }
