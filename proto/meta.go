package proto

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"ringcached/proto/admin"
)

// maxMetaTokens is the most tokens that the line of a meta command may have, its name and key among them.
const maxMetaTokens = 20

// maxMetaLook is the last token that is looked at in a line that has more.
const maxMetaLook = 23

// maxOpaque is the longest opaque in bytes, without its O.
const maxOpaque = 31

// metaReplyMax is more than the longest line that a meta command is answered with, and a number behind it.
const metaReplyMax = 640

// The replies of meta commands that are always the same.
const (
	replyNoop         = "MN\r\n"
	replyDuplicate    = "CLIENT_ERROR duplicate flag\r\n"
	replyNoFlag       = "CLIENT_ERROR invalid flag\r\n"
	replyBadFlags     = "CLIENT_ERROR invalid or duplicate flag\r\n"
	replyManyFlags    = "CLIENT_ERROR options flags are too long\r\n"
	replyBadToken     = "CLIENT_ERROR bad token in command line format\r\n"
	replyBadKey       = "CLIENT_ERROR error decoding key\r\n"
	replyBadInitial   = "CLIENT_ERROR invalid numeric initial value\r\n"
	replyBadStep      = "CLIENT_ERROR invalid numeric delta value\r\n"
	replyLongOpaque   = "CLIENT_ERROR opaque token too long\r\n"
	replyBadSetMode   = "CLIENT_ERROR invalid mode for ms M token\r\n"
	replyBadArithMode = "CLIENT_ERROR invalid mode for ma M token\r\n"
	replyOutOfNew     = "SERVER_ERROR Out of memory allocating new item\r\n"
)

// resultCodes are the codes of results. A result without one is answered as in the classic protocol, see resultTexts.
var resultCodes = [numResults]string{done: "HD", notStored: "NS", exists: "EX", notFound: "NF"}

// letters is a set of flags.
type letters uint64

// letter is the set of one flag; of what is no letter, the empty set.
func letter(c byte) letters { return 1 << (c - 'A') }

// lettersOf is the set of the flags in s.
func lettersOf(s string) (l letters) {
	for i := range len(s) {
		l |= letter(s[i])
	}
	return l
}

// meta is the meta command that is being answered. There is one per worker, so that nothing has to be allocated for it.
type meta struct {
	token   []byte  // the key as it came
	key     []byte  // the key
	seen    letters // flags that the line has
	garbled bool    // and it has what cannot be a flag
	n       int
	order   [maxMetaTokens]byte // n flags that the command's reply goes by, in the order in which they came
	opaque  []byte              // of flag O, without the O
	mode    byte                // of M
	client  uint32              // of F
	exptime uint32              // of T, vivify of N, and recache of R: seconds of the store
	vivify  uint32
	recache uint32
	compare uint64 // of C
	own     uint64 // of E
	initial uint64 // of J
	delta   uint64 // of D
	decoded [maxKey]byte
	lookup  lookup   // of mg
	flags   [16]byte // what stood behind the key of the last mg that had plainFlags alone
	again   uint8    // its length; 0: what was read from it is gone
}

func (m *meta) has(c byte) bool { return m.seen&letter(c) != 0 }

// choosesCAS says that the command gives its item a CAS.
func (w *Worker) choosesCAS() bool { return w.meta.has('E') && w.casMask != 0 }

// forget drops what points into the memory of the caller of Data.
func (m *meta) forget() { m.token, m.key, m.opaque = nil, nil, nil }

// readKey begins to read a meta command, with its key. What is behind the key in the line is at p.
func (w *Worker) readKey(r *request) (p int) {
	w.tally.Add(admin.MetaCommands)
	m := &w.meta
	from := int(r.args[0].to)
	for from < len(r.line) && r.line[from] == ' ' {
		from++
	}
	to := tokenEnd(r.line, from)
	for to < len(r.line) && r.line[to] != ' ' {
		to = tokenEnd(r.line, to+1) // a control character
	}
	m.token, m.again = r.line[from:to], 0
	m.key, m.opaque = m.token, nil
	m.seen, m.garbled, m.n, m.mode, m.delta, m.initial = 0, false, 0, 0, 1, 0
	m.client, m.exptime, m.vivify, m.recache, m.compare, m.own = 0, 0, 0, 0, 0, 0
	return to
}

// nextToken finds the token at p or behind it. Both ends are len(line) if there is none.
func nextToken(line []byte, p int) (from, to int) {
	for p < len(line) && line[p] == ' ' {
		p++
	}
	from = p
	for p < len(line) && line[p] != ' ' {
		p++
	}
	return from, p
}

// readFlags reads the flags from p on, where tokens have gone before. goes are the flags that the command's reply goes by. "" or the
// reply that says what is wrong.
func (w *Worker) readFlags(line []byte, p, tokens int, goes letters) string {
	m := &w.meta
	if len(m.token) > maxKey {
		return replyBadFormat
	}
	// A flag that cannot be read does not end the reading: what is wrong with a later one counts more.
	text, failed := replyBadFormat, false
	for {
		from, to := nextToken(line, p)
		if from == to {
			break
		}
		tokens++
		c := line[from]
		if m.has(c) {
			return m.orWorse(replyDuplicate, line, from, tokens)
		}
		f := &metaFlags[c]
		if !f.known || tokens > maxMetaTokens {
			return m.orWorse(replyNoFlag, line, from, tokens)
		}
		bit := letter(c)
		m.seen |= bit
		if f.read != nil && !f.read(w, line[from+1:to]) {
			failed = true
			text = choose(f.bad != "", f.bad, text)
		}
		if goes&bit != 0 {
			m.order[m.n] = c
			m.n++
		}
		p = to
	}
	if failed {
		return text
	}
	return ""
}

// orWorse returns text, the error of the flag at p, token number n of the line, or a worse error: a token that cannot be a flag, or too many
// tokens.
func (m *meta) orWorse(text string, line []byte, p, n int) string {
	for from, to := nextToken(line, p); from < to; from, to = nextToken(line, to) {
		if m.garbled = !canBeFlag(line[from]) && n <= maxMetaLook; m.garbled {
			return replyBadFormat
		}
		n++
	}
	if n-1 > maxMetaTokens {
		return replyManyFlags
	}
	return text
}

// canBeFlag says whether a flag may begin with c, in this or in later versions of the protocol.
func canBeFlag(c byte) bool { return c-'0' <= 9 || c-'A' <= 'z'-'A' }

// refuseMeta replies to a line with an error, in quiet mode too.
func (w *Worker) refuseMeta(r *request, text string) (int, step) {
	w.write(text)
	return r.size, stepDone
}

// appendEcho appends the key or the opaque to a reply, if c is their flag.
func (m *meta) appendEcho(b []byte, c byte, binary bool) []byte {
	switch c {
	case 'k':
		return appendKey(append(b, " k"...), m.key, binary)
	case 'O':
		return append(append(b, " O"...), m.opaque...)
	}
	return b
}

// appendKey appends a key, encoded if it came so, which is then marked.
func appendKey(b, key []byte, binary bool) []byte {
	if !binary {
		return append(b, key...)
	}
	return append(base64.StdEncoding.AppendEncode(b, key), " b"...)
}

// answerMeta replies with a code and what every command can echo.
func (w *Worker) answerMeta(code string) {
	m := &w.meta
	w.room(metaReplyMax)
	b := append(w.buf, code...)
	for _, c := range m.order[:m.n] {
		b = m.appendEcho(b, c, m.has('b'))
	}
	w.buf = append(b, "\r\n"...)
}

// appendTTL appends how many seconds are left until exptime; -1 if it never comes.
func (w *Worker) appendTTL(b []byte, exptime uint32) []byte {
	now := w.st.Now()
	if exptime == 0 {
		return append(b, "-1"...)
	}
	return strconv.AppendUint(b, uint64(max(exptime, now)-now), 10)
}

// pack puts the flags that the reply of ms goes by into a number. There are at most four: each comes once.
func (m *meta) pack() uint32 {
	var four [4]byte
	copy(four[:], m.order[:m.n])
	return binary.LittleEndian.Uint32(four[:])
}

// metaFlag describes a flag of the meta commands. Every command accepts every flag, and ignores those that mean nothing to it.
type metaFlag struct {
	known bool
	// read parses what stands behind the flag's letter into w.meta, and returns whether it could. nil: the flag has no argument.
	read func(w *Worker, token []byte) bool
	bad  string // the reply if it could not; "": a bad command line
}

// metaFlags are all flags by their letters.
var metaFlags = [256]metaFlag{
	'b': {known: true, read: readBinaryKey, bad: replyBadKey},
	'c': {known: true},
	'f': {known: true},
	'h': {known: true},
	'k': {known: true},
	'l': {known: true},
	'q': {known: true},
	's': {known: true},
	't': {known: true},
	'u': {known: true},
	'v': {known: true},
	'x': {known: true},
	'C': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.compare }), bad: replyBadToken},
	'D': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.delta }), bad: replyBadStep},
	'E': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.own }), bad: replyBadToken},
	'F': {known: true, read: readClientFlags},
	'I': {known: true},
	'J': {known: true, read: readNumber(func(m *meta) *uint64 { return &m.initial }), bad: replyBadInitial},
	'L': {known: true}, // L and P are for proxies
	'M': {known: true, read: readMode},
	'N': {known: true, read: readExptime(func(m *meta) *uint32 { return &m.vivify }), bad: replyBadToken},
	'O': {known: true, read: readOpaque},
	'P': {known: true},
	'R': {known: true, read: readExptime(func(m *meta) *uint32 { return &m.recache }), bad: replyBadToken},
	'T': {known: true, read: readExptime(func(m *meta) *uint32 { return &m.exptime }), bad: replyBadToken},
}

// readBinaryKey decodes the key.
func readBinaryKey(w *Worker, _ []byte) bool {
	m := &w.meta
	n, err := base64.StdEncoding.Decode(m.decoded[:], m.token)
	m.key = m.decoded[:n]
	return err == nil && n > 0
}

// readNumber makes a function that parses an unsigned number of 64 bits.
func readNumber(where func(*meta) *uint64) func(*Worker, []byte) bool {
	return func(w *Worker, token []byte) (ok bool) {
		*where(&w.meta), ok = parseUint(token, math.MaxUint64)
		return ok
	}
}

// readExptime makes a function that parses an expiry time of the classic protocol.
func readExptime(where func(*meta) *uint32) func(*Worker, []byte) bool {
	return func(w *Worker, token []byte) bool {
		t, ok := parseInt32(token)
		*where(&w.meta) = w.expiry(int64(t))
		return ok
	}
}

func readClientFlags(w *Worker, token []byte) bool {
	flags, ok := parseUint(token, math.MaxUint32)
	w.meta.client = uint32(flags)
	return ok
}

// readMode takes the first letter of a mode. A mode without a letter is 0x20, which is none, and different from no mode.
func readMode(w *Worker, token []byte) bool {
	w.meta.mode = ' '
	if len(token) > 0 {
		w.meta.mode = token[0]
	}
	return true
}

func readOpaque(w *Worker, token []byte) bool {
	w.meta.opaque = token
	return true
}
