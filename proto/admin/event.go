package admin

import (
	"strconv"
	"time"

	"ringcached/internal/contract"
)

// eventKind is what happened.
type eventKind uint8

const (
	eventGet eventKind = iota
	eventStore
	eventEviction
	eventDelete
	eventConnNew
	eventConnClose
)

// event is something that watchers read about. Each kind has some of the fields.
type event struct {
	kind    eventKind
	key     []byte
	status  string
	cmd     string
	ttl     int64 // seconds until the item expires; 0 of one that is stored, and -1 of one that is evicted: never
	idle    uint32
	fetched bool
	class   int
	size    int // of the value, in bytes
	fd      int // descriptor of the client's connection
	socket  contract.Socket
	reason  string // why a connection ended
}

// eventForms say which watchers read about a kind of event, and what: type=<name>, and the fields.
var eventForms = [...]struct {
	to     Interest
	name   string
	fields []eventField
}{
	eventGet:       {fetchers, "item_get", []eventField{fieldKey, fieldStatus, fieldClass, fieldFD, fieldSize}},
	eventStore:     {mutations, "item_store", []eventField{fieldKey, fieldStatus, fieldCommand, fieldTTL, fieldClass, fieldFD, fieldSize}},
	eventEviction:  {evictions, "eviction", []eventField{fieldKey, fieldFetched, fieldTTL, fieldAccess, fieldClass, fieldSize}},
	eventDelete:    {deletions, "deleted", []eventField{fieldKey, fieldCommand, fieldClass, fieldSize}},
	eventConnNew:   {connEvents, "conn_new", []eventField{fieldHost, fieldPort, fieldTransport, fieldFD}},
	eventConnClose: {connEvents, "conn_close", []eventField{fieldHost, fieldPort, fieldTransport, fieldReason, fieldFD}},
}

// eventField is one name=value of an event's line.
type eventField struct {
	name   string
	append func(b []byte, ev *event) []byte
}

var (
	fieldKey       = eventField{"key", func(b []byte, ev *event) []byte { return appendEscaped(b, ev.key) }}
	fieldStatus    = eventField{"status", func(b []byte, ev *event) []byte { return append(b, ev.status...) }}
	fieldCommand   = eventField{"cmd", func(b []byte, ev *event) []byte { return append(b, ev.cmd...) }}
	fieldTTL       = eventField{"ttl", func(b []byte, ev *event) []byte { return strconv.AppendInt(b, ev.ttl, 10) }}
	fieldAccess    = eventField{"la", func(b []byte, ev *event) []byte { return strconv.AppendUint(b, uint64(ev.idle), 10) }}
	fieldFetched   = eventField{"fetch", func(b []byte, ev *event) []byte { return append(b, yes(ev.fetched)...) }}
	fieldClass     = eventField{"clsid", func(b []byte, ev *event) []byte { return strconv.AppendInt(b, int64(ev.class), 10) }}
	fieldFD        = eventField{"cfd", func(b []byte, ev *event) []byte { return strconv.AppendInt(b, int64(ev.fd), 10) }}
	fieldSize      = eventField{"size", func(b []byte, ev *event) []byte { return strconv.AppendInt(b, int64(ev.size), 10) }}
	fieldHost      = eventField{"rip", func(b []byte, ev *event) []byte { return append(b, hostOf(&ev.socket)...) }}
	fieldPort      = eventField{"rport", func(b []byte, ev *event) []byte { return strconv.AppendUint(b, uint64(ev.socket.Peer.Port()), 10) }}
	fieldTransport = eventField{"transport", func(b []byte, ev *event) []byte {
		return append(b, choose(ev.socket.Transport == "unix", "local", "tcp")...)
	}}
	fieldReason = eventField{"reason", func(b []byte, ev *event) []byte { return append(b, ev.reason...) }}
)

// eventLineMax is more than the longest line of an event: a key of which every byte is escaped, and what is around it.
const eventLineMax = 1024

// appendLine appends the event as watchers read it. id says in which order events happened.
func (ev *event) appendLine(b []byte, id uint64, at time.Time) []byte {
	form := &eventForms[ev.kind]
	b = strconv.AppendInt(append(b, "ts="...), at.Unix(), 10)
	b = appendMicros(b, at.Nanosecond()/1000)
	b = strconv.AppendUint(append(b, " gid="...), id, 10)
	b = append(append(b, " type="...), form.name...)
	for i := range form.fields {
		f := &form.fields[i]
		b = f.append(append(append(append(b, ' '), f.name...), '='), ev)
	}
	return append(b, '\n')
}

// appendMicros appends a dot and the six digits of n.
func appendMicros(b []byte, n int) []byte {
	b = append(b, ".000000"...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
	return b
}

// eventLog has what happened on a worker since it last gave the watchers its lines. Only the worker uses it.
type eventLog struct {
	text  []byte
	lines []eventLine
	size  int // most bytes of text
}

// eventLine is a line of an eventLog, which ends at end and begins where the one before it ends.
type eventLine struct {
	to  Interest
	end int
	id  uint64
}

// add logs an event. If the log is full, its lines go to the watchers first.
func (l *eventLog) add(to *watchers, ev *event) {
	if len(l.text)+eventLineMax > l.size {
		to.drain(l)
	}
	id := to.lastID.Add(1)
	l.text = ev.appendLine(l.text, id, time.Now())
	l.lines = append(l.lines, eventLine{eventForms[ev.kind].to, len(l.text), id})
}
