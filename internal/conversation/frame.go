package conversation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A binary message has a header of 24 bytes: magic, opcode, length of the key, length of the extras, data type, status of a reply, length of
// the body, opaque and CAS.
const headerLen = 24

// opcodes are the operations by their names in a script. Others are written as numbers.
var opcodes = map[string]uint8{
	"get": 0x00, "set": 0x01, "add": 0x02, "replace": 0x03, "delete": 0x04, "incr": 0x05, "decr": 0x06, "quit": 0x07, "flush": 0x08,
	"getq": 0x09, "noop": 0x0a, "version": 0x0b, "getk": 0x0c, "getkq": 0x0d, "append": 0x0e, "prepend": 0x0f, "stat": 0x10,
	"setq": 0x11, "addq": 0x12, "replaceq": 0x13, "deleteq": 0x14, "incrq": 0x15, "decrq": 0x16, "quitq": 0x17, "flushq": 0x18,
	"appendq": 0x19, "prependq": 0x1a, "touch": 0x1c, "gat": 0x1d, "gatq": 0x1e, "sasl-list": 0x20, "sasl-auth": 0x21,
	"sasl-step": 0x22, "gatk": 0x23, "gatkq": 0x24,
}

// statuses are the statuses of replies by their names in a script, and the values that come with them.
var statuses = map[string]struct {
	number uint16
	text   string
}{
	"ok":          {0x00, ""},
	"not-found":   {0x01, "Not found"},
	"exists":      {0x02, "Data exists for key."},
	"too-large":   {0x03, "Too large."},
	"invalid":     {0x04, "Invalid arguments"},
	"not-stored":  {0x05, "Not stored."},
	"non-numeric": {0x06, "Non-numeric server-side value for incr or decr"},
	"auth":        {0x20, "Auth failure."},
	"continue":    {0x21, ""},
	"unknown":     {0x81, "Unknown command"},
	"no-memory":   {0x82, "Out of memory"},
}

// Frame fields that are numbers in the extras, in the order in which they are written, and their sizes in bytes.
var extraFields = map[string]int{"delta": 8, "initial": 8, "flags": 4, "exptime": 4}

// frame is a binary message as a script has it.
type frame struct {
	magic, opcode    uint8
	status           uint16
	extras, key      []byte
	value            []byte
	opaque           uint32
	cas              uint64
	anyCAS, anyValue bool   // of a reply: any will do
	casName          string // of a reply: under which its CAS is known from now on
	keyLen, bodyLen  int    // what the header says, -1 for the truth
	extrasLen        int
}

// parseFrame reads the words of a frame. missing is a name that nothing is known under yet.
func parseFrame(magic uint8, text string, names map[string]string) (f *frame, missing string, err error) {
	f = &frame{magic: magic, keyLen: -1, bodyLen: -1, extrasLen: -1}
	head, value, hasValue := cutValue(text)
	words := strings.Fields(head)
	if len(words) == 0 {
		return nil, "", fmt.Errorf("a frame without an operation")
	}
	op, ok := opcodes[words[0]]
	if !ok {
		n, err := strconv.ParseUint(words[0], 0, 8)
		if err != nil {
			return nil, "", fmt.Errorf("unknown operation %q", words[0])
		}
		op = uint8(n)
	}
	f.opcode = op
	for _, word := range words[1:] {
		if missing, err = f.word(word, names); missing != "" || err != nil {
			return nil, missing, err
		}
	}
	if hasValue {
		f.anyValue = value == "*"
		f.value, missing, err = expand(value, names)
	}
	return f, missing, err
}

// cutValue takes the value off the end of a frame's text: it may contain spaces.
func cutValue(text string) (head, value string, ok bool) {
	head, value, ok = strings.Cut(" "+text, " value=")
	return head, value, ok
}

// word reads one word behind the operation.
func (f *frame) word(word string, names map[string]string) (missing string, err error) {
	name, text, ok := strings.Cut(word, "=")
	if !ok {
		st, ok := statuses[word]
		if !ok {
			return "", fmt.Errorf("unknown status %q", word)
		}
		f.status, f.value = st.number, []byte(st.text)
		return "", nil
	}
	if name == "cas" && text == "*" {
		f.anyCAS = true
		return "", nil
	}
	if name == "cas" && strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") {
		f.anyCAS, f.casName = true, text[1:len(text)-1]
		return "", nil
	}
	b, missing, err := expand(text, names)
	if missing != "" || err != nil {
		return missing, err
	}
	switch name {
	case "key":
		f.key = b
		return "", nil
	case "extras":
		f.extras = append(f.extras, b...)
		return "", nil
	}
	n, err := strconv.ParseUint(string(b), 0, 64)
	if err != nil {
		return "", err
	}
	return "", f.number(name, n)
}

// number sets a field that is a number.
func (f *frame) number(name string, n uint64) error {
	switch name {
	case "number":
		f.value = binary.BigEndian.AppendUint64(nil, n)
	case "opaque":
		f.opaque = uint32(n)
	case "cas":
		f.cas = n
	case "magic":
		f.magic = uint8(n)
	case "keylen":
		f.keyLen = int(n)
	case "extraslen":
		f.extrasLen = int(n)
	case "bodylen":
		f.bodyLen = int(n)
	default:
		switch extraFields[name] {
		case 4:
			f.extras = binary.BigEndian.AppendUint32(f.extras, uint32(n))
		case 8:
			f.extras = binary.BigEndian.AppendUint64(f.extras, n)
		default:
			return fmt.Errorf("unknown field %q", name)
		}
	}
	return nil
}

// bytes is the frame as it is sent.
func (f *frame) bytes() []byte {
	truth := func(said, is int) int {
		if said >= 0 {
			return said
		}
		return is
	}
	b := []byte{f.magic, f.opcode}
	b = binary.BigEndian.AppendUint16(b, uint16(truth(f.keyLen, len(f.key))))
	b = append(b, uint8(truth(f.extrasLen, len(f.extras))), 0)
	b = binary.BigEndian.AppendUint16(b, f.status)
	b = binary.BigEndian.AppendUint32(b, uint32(truth(f.bodyLen, len(f.extras)+len(f.key)+len(f.value))))
	b = binary.BigEndian.AppendUint32(b, f.opaque)
	b = binary.BigEndian.AppendUint64(b, f.cas)
	return append(append(append(b, f.extras...), f.key...), f.value...)
}

// matches compares a reply with what is expected, and takes over what may be anything.
func (f *frame) matches(reply []byte) bool {
	if f.anyCAS {
		f.cas = binary.BigEndian.Uint64(reply[16:])
	}
	if f.anyValue {
		if n := headerLen + len(f.extras) + len(f.key); n <= len(reply) {
			f.value = reply[n:]
		}
	}
	return bytes.Equal(f.bytes(), reply)
}

// readFrame reads a reply.
func readFrame(in io.Reader) ([]byte, error) {
	b := make([]byte, headerLen)
	if n, err := io.ReadFull(in, b); err != nil {
		return b[:n], err
	}
	body := int(binary.BigEndian.Uint32(b[8:]))
	if b[0] != magicReply || body > 1<<30 {
		return b, fmt.Errorf("this is no reply: %s", brief(b))
	}
	b = append(b, make([]byte, body)...)
	n, err := io.ReadFull(in, b[headerLen:])
	return b[:headerLen+n], err
}

const (
	magicRequest = 0x80
	magicReply   = 0x81
)

// expectFrame checks a reply.
func (c *talk) expectFrame(l line) error {
	want, missing, err := parseFrame(magicReply, l.text, c.names)
	if missing != "" {
		return fmt.Errorf("nothing matched %q", missing)
	}
	if err != nil {
		return err
	}
	got, err := readFrame(c.in)
	if err != nil {
		return fmt.Errorf("want %q, got %s: %w", l.text, brief(got), err)
	}
	if !want.matches(got) {
		return fmt.Errorf("want %q, which is %s, got %s", l.text, brief(want.bytes()), brief(got))
	}
	if want.casName != "" {
		c.names[want.casName] = strconv.FormatUint(want.cas, 10)
	}
	return nil
}

// skipFrames passes over replies until one is like the one that is expected next, which it leaves.
func (c *talk) skipFrames(rest []line) error {
	if len(rest) == 0 || rest[0].kind != expectReply {
		return fmt.Errorf("<:... without a reply behind it")
	}
	for {
		want, _, err := parseFrame(magicReply, rest[0].text, c.names)
		if err != nil {
			return err
		}
		head, err := c.in.Peek(headerLen)
		if err != nil {
			return err
		}
		size := headerLen + int(binary.BigEndian.Uint32(head[8:]))
		got, err := c.in.Peek(size)
		if err != nil {
			return fmt.Errorf("no reply is like %q: %w", rest[0].text, err)
		}
		if want.matches(got) {
			return nil
		}
		if _, err := c.in.Discard(size); err != nil {
			return err
		}
	}
}
