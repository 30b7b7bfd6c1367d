package proto

import "unsafe"

// mode says what the next bytes of a connection are.
type mode uint8

const (
	modeLine       mode = iota // a command line
	modeFrame                  // a binary request
	modeLogin                  // a command line of a client that has to authenticate
	modeFrameLogin             // a binary request of a client that has to authenticate
	modeFirst                  // the first byte of all, which tells the protocol
	modeKeys                   // keys of a get that has begun
	modeLongReply              // the last byte of a request that is being answered in quanta
	modeUpload                 // the value of a storage command, and its "\r\n" unless it is binary
	modeSwallow                // a value that was refused, which is skipped
	modeSkip                   // the rest of a line that was answered already
	modeWatch                  // nothing that has a meaning: the client watches
	modeExptime                // the expiry time of a gat, whose keys follow
	modeBroken                 // nothing more: the client broke the protocol
)

// lastPause is the last of the modes in which a connection that has used up its quantum waits.
const lastPause = modeLongReply

// flags of a session in modeKeys.
const (
	flagCAS   uint8 = 1 << iota // gets, gats: show the CAS
	flagTouch                   // gat, gats: arg is the new expiry
	flagKey                     // a key of this get was seen
)

// flags of a session in modeUpload, and flagBinary in modeLongReply.
const (
	flagQuiet  uint8 = 1 << iota // noreply, q, or a quiet opcode
	flagMeta                     // the reply is a meta command's
	flagBinary                   // the reply is a binary one, and no "\r\n" comes behind the value
	flagStale                    // ms with I: a value that is older than the stored one is taken, as stale
	flagVivify                   // ms with N: append and prepend make an item where there is none
)

// session is the state of one connection between two calls of Data: 32 bytes without a pointer, so that the garbage collector never scans
// the table. It names the item of an upload by a number and owns a reference to it.
type session struct {
	mode  mode
	home  mode   // the mode between two requests: which protocol it is, and whether the client is known
	verb  verb   // modeUpload
	flags uint8  // modeUpload, modeKeys, modeLongReply
	left  uint32 // modeUpload: bytes that arrived. modeSwallow: bytes still to come
	item  uint64 // modeUpload: store.Item.Ref
	arg   uint64 // modeUpload: the CAS to compare, 0 for none. modeKeys: the expiry to set, a store second
	tag   uint32 // modeUpload: ms: what the reply shows, see meta.pack. Binary, and modeLongReply: the request's opaque
	slot  uint32 // modeUpload: ms: where its opaque is kept, see opaques. Binary: the request's opcode. modeLongReply: see admin.Answer
}

// storing is what an upload does with its item.
func (s *session) storing() storing {
	return storing{verb: s.verb, stale: s.flags&flagStale != 0, vivify: s.flags&flagVivify != 0, compare: s.arg}
}

// quiet says that the client of an upload wants no reply to a success.
func (s *session) quiet() bool { return s.flags&flagQuiet != 0 }

// enter goes on to another mode.
func (s *session) enter(next session) {
	next.home = s.home
	*s = next
}

// rest ends a request and goes back to the mode between two requests.
func (s *session) rest() { *s = session{mode: s.home, home: s.home} }

// settle makes m the mode between two requests.
func (s *session) settle(m mode) { *s = session{mode: m, home: m} }

// sessionsPerChunk sessions are allocated together: 8 KiB.
const sessionsPerChunk = 256

// sessions is a table indexed by connection. It grows by chunks, which never move and are kept: a connection number is used again.
type sessions struct {
	chunks []*[sessionsPerChunk]session
	memory func(bytes int) ([]byte, error) // see Config.Memory
}

// of gives the session of an open connection.
func (t *sessions) of(conn uint32) *session {
	return &t.chunks[conn/sessionsPerChunk][conn%sessionsPerChunk]
}

// open makes sure that the session exists and is a new one's, in mode first.
func (t *sessions) open(conn uint32, first mode) {
	c := int(conn / sessionsPerChunk)
	for len(t.chunks) <= c {
		t.chunks = append(t.chunks, nil)
	}
	if t.chunks[c] == nil {
		t.chunks[c] = t.newChunk()
	}
	t.of(conn).settle(first)
}

// newChunk takes memory from the Go heap where Config.Memory has none: there may be some left in it.
func (t *sessions) newChunk() *[sessionsPerChunk]session {
	if t.memory != nil {
		if mem, err := t.memory(int(unsafe.Sizeof(session{})) * sessionsPerChunk); err == nil {
			return (*[sessionsPerChunk]session)(unsafe.Pointer(&mem[0]))
		}
	}
	return new([sessionsPerChunk]session)
}
