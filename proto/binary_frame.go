package proto

import "encoding/binary"

// The header of a binary message: magic, opcode, key length, extras length, data type, status (of a reply), body length, opaque, CAS.
const (
	headerLen    = 24
	magicRequest = 0x80
	magicReply   = 0x81
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 1 << 30

// status is the status of a reply.
type status uint16

const (
	statusOK         status = 0x00
	statusNotFound   status = 0x01
	statusExists     status = 0x02
	statusTooLarge   status = 0x03
	statusInvalid    status = 0x04
	statusNotStored  status = 0x05
	statusNonNumeric status = 0x06
	statusAuth       status = 0x20
	statusContinue   status = 0x21
	statusUnknown    status = 0x81
	statusNoMemory   status = 0x82
)

// statusTexts are the bodies of replies with an error.
var statusTexts = [256]string{
	statusNotFound:   "Not found",
	statusExists:     "Data exists for key.",
	statusTooLarge:   "Too large.",
	statusInvalid:    "Invalid arguments",
	statusNotStored:  "Not stored.",
	statusNonNumeric: "Non-numeric server-side value for incr or decr",
	statusAuth:       "Auth failure.",
	statusUnknown:    "Unknown command",
	statusNoMemory:   "Out of memory",
}

// echo is what a reply repeats of its request.
type echo struct {
	opcode uint8
	opaque uint32
}

// echo is what the reply to the upload repeats.
func (s *session) echo() echo { return echo{uint8(s.slot), s.tag} }

// frame is the binary request that is being answered. There is one per worker.
type frame struct {
	echo
	op        *operation
	extrasLen int
	keyLen    int
	bodyLen   int // extras, key and value together
	cas       uint64
	in        []byte // everything at hand from the first byte of the request on
	head      int    // length of header, extras and key
	extras    []byte
	key       []byte
}

// read takes the header at the beginning of in.
func (f *frame) read(in []byte) {
	_ = in[headerLen-1]
	f.opcode = in[1]
	f.op = &operations[in[1]]
	f.keyLen = int(binary.BigEndian.Uint16(in[2:]))
	f.extrasLen = int(in[4])
	f.bodyLen = int(binary.BigEndian.Uint32(in[8:]))
	f.opaque = binary.BigEndian.Uint32(in[12:])
	f.cas = binary.BigEndian.Uint64(in[16:])
}

func (f *frame) valueLen() int { return f.bodyLen - f.extrasLen - f.keyLen }

// forget lets go of what belongs to the caller of Data.
func (f *frame) forget() { f.in, f.extras, f.key = nil, nil, nil }

// shape is the lengths of the parts of a reply's body.
type shape struct{ extras, key, value int }

// appendHeader appends the header of a reply.
func appendHeader(b []byte, to echo, st status, sh shape, cas uint64) []byte {
	b = append(b, magicReply, to.opcode)
	b = binary.BigEndian.AppendUint16(b, uint16(sh.key))
	b = append(b, uint8(sh.extras), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(st))
	b = binary.BigEndian.AppendUint32(b, uint32(sh.extras+sh.key+sh.value))
	b = binary.BigEndian.AppendUint32(b, to.opaque)
	return binary.BigEndian.AppendUint64(b, cas)
}

// frameReply replies with a value, which may be empty.
func (w *Worker) frameReply(to echo, st status, value string, cas uint64) {
	w.room(headerLen + len(value))
	w.buf = append(appendHeader(w.buf, to, st, shape{value: len(value)}, cas), value...)
}

// frameError replies with an error and its text.
func (w *Worker) frameError(to echo, st status) { w.frameReply(to, st, statusTexts[st], 0) }

// frameDone ends a request that was answered, or that succeeded quietly.
func (w *Worker) frameDone(f *frame, st status, cas uint64) (int, step) {
	if st != statusOK || !f.op.quiet {
		w.frameReply(f.echo, st, statusTexts[st], cas)
	}
	return f.head, stepDone
}
