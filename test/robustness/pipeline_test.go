package robustness

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// What a client that does not take its replies may hold, see "What a client can hold" in
// docs/architecture.md: replies, and input in each of the engines.
const (
	mostReplies    = 256<<10 + 64<<10 + 8<<10 // 256 KiB, a piece of the arena, and one reply of the test
	mostInputEpoll = 64<<10 + 16<<10
	mostInputURing = 64<<10 + 1024*2112
	// mostArena is what the channel keeps for a moment for the replies of one batch.
	mostArena = 8 << 20
)

// pipelineKeys are the keys k0, k1, ... of values of 100 to 4096 bytes.
const pipelineKeys = 64

func pipelineValue(i int) string {
	return strings.Repeat(string(rune('a'+i%26)), 100+(i%pipelineKeys)*(4096-100)/(pipelineKeys-1))
}

// pipeline is a kind of requests, with what each is answered.
type pipeline struct {
	name     string
	requests func(i int) (request, reply string)
	binary   bool // the replies' CAS is not looked at
	stuck    bool // so much is replied that it cannot be sent to a client that does not read
}

// unjams is how often a client that can say no more, while the server has all that arrived
// and holds nothing, reads some replies to get TCP going again. When a receive buffer is full
// of small packets, Linux takes back what it had offered of its window: what is under way
// then lies beyond it and is dropped, with the acknowledgements it carries, so that neither
// side gets on until the client reads.
const unjams = 3

var pipelines = []pipeline{
	{name: "get", stuck: true, requests: func(i int) (string, string) {
		k := i % pipelineKeys
		return fmt.Sprintf("get k%d\r\n", k), getReply(fmt.Sprint("k", k), pipelineValue(k))
	}},
	{name: "set", requests: func(i int) (string, string) {
		k := i % pipelineKeys
		return setRequest(fmt.Sprint("k", k), pipelineValue(k)), "STORED\r\n"
	}},
	{name: "meta", stuck: true, requests: func(i int) (string, string) {
		k := i % pipelineKeys
		v := pipelineValue(k)
		if i%3 == 0 {
			return fmt.Sprintf("ms k%d %d O%d k\r\n%s\r\n", k, len(v), i, v), fmt.Sprintf("HD O%d kk%d\r\n", i, k)
		}
		return fmt.Sprintf("mg k%d v O%d s\r\n", k, i), fmt.Sprintf("VA %d O%d s%d\r\n%s\r\n", len(v), i, len(v), v)
	}},
	{name: "mixture", stuck: true, requests: func(i int) (string, string) {
		k := i % pipelineKeys
		switch key, v := fmt.Sprint("k", k), pipelineValue(k); i % 7 {
		case 0:
			return setRequest(key, v), "STORED\r\n"
		case 1:
			return "set " + key + " 0 0 1 noreply\r\n1\r\n" + setRequest(key, v), "STORED\r\n"
		case 2:
			return "nonsense\r\n", "ERROR\r\n"
		case 3:
			return fmt.Sprintf("ms none 3 MR O%d q\r\nabc\r\n", i), fmt.Sprintf("NS O%d\r\n", i)
		case 4:
			return "mg none q\r\nmn\r\n", "MN\r\n"
		default:
			return "get none " + key + "\r\n", getReply(key, v)
		}
	}},
	{name: "binary", stuck: true, binary: true, requests: func(i int) (string, string) {
		k := i % pipelineKeys
		switch key, v := fmt.Sprint("k", k), pipelineValue(k); i % 4 {
		case 0:
			return binaryRequest(0x01, uint32(i), "\x00\x00\x00\x00\x00\x00\x00\x00", key, v), binaryReply(0x01, 0, uint32(i), "", "")
		case 1:
			return binaryRequest(0x09, 1, "", "none", "") + binaryRequest(0x0a, uint32(i), "", "", ""), binaryReply(0x0a, 0, uint32(i), "", "")
		default:
			return binaryRequest(0x00, uint32(i), "", key, ""), binaryReply(0x00, 0, uint32(i), "\x00\x00\x00\x00", v)
		}
	}},
}

func binaryRequest(opcode byte, opaque uint32, extras, key, value string) string {
	return binaryMessage(0x80, opcode, 0, opaque, extras, key, value)
}

func binaryReply(opcode byte, status uint16, opaque uint32, extras, value string) string {
	return binaryMessage(0x81, opcode, status, opaque, extras, "", value)
}

func binaryMessage(magic, opcode byte, status uint16, opaque uint32, extras, key, value string) string {
	b := []byte{magic, opcode}
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, byte(len(extras)), 0)
	b = binary.BigEndian.AppendUint16(b, status)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = binary.BigEndian.AppendUint32(b, opaque)
	b = binary.BigEndian.AppendUint64(b, 0)
	return string(b) + extras + key + value
}

// TestPipelineBeforeReading: a client that says all before it reads does not stop the server,
// makes it hold no more than is promised, and then reads every reply in its place.
func TestPipelineBeforeReading(t *testing.T) {
	requests := 100_000
	if servertest.Slow > 1 {
		requests = 10_000
	}
	for _, p := range pipelines {
		t.Run(p.name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, on transport) {
				p.run(t, on, requests)
			})
		})
	}
}

func (p *pipeline) run(t *testing.T, on transport, requests int) {
	server := on.start(t, "-t", "1")
	c := mustDial(t, server)
	var keys []string
	for k := range pipelineKeys {
		keys = append(keys, fmt.Sprint("k", k))
		if err := c.set(keys[k], pipelineValue(k)); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	// What memory a server touches at all is touched by then.
	c = mustDial(t, server)
	said := p.say(c, requests/20)
	if err := p.read(c, 0, requests/20); err != nil {
		t.Fatal(err)
	}
	if err := <-said.end; err != nil {
		t.Fatal(err)
	}
	c.Close()
	before, resident := rest(t, server), server.Resident(t)

	c = mustDial(t, server)
	_ = c.tcp.SetReadBuffer(256 << 10)
	said = p.say(c, requests)
	var most held
	p.watch(t, server, said, &most)
	read := 0
	for unjam := 0; unjam < unjams && p.stuck && most.sendQueue == 0; unjam++ {
		if err := p.read(c, read, read+requests/20); err != nil {
			t.Fatal(err)
		}
		read += requests / 20
		p.watch(t, server, said, &most)
	}
	t.Logf("held %d KiB of replies and %d KiB of input at most", most.sendQueue>>10, most.input>>10)
	mostInput := mostInputEpoll
	if on.engine == "uring" {
		mostInput = mostInputURing
	}
	if most.sendQueue > mostReplies || most.input > mostInput {
		t.Errorf("held %d bytes of replies and %d of input; at most %d and %d are promised", most.sendQueue, most.input, mostReplies, mostInput)
	}
	if p.stuck && most.sendQueue == 0 {
		t.Error("all replies were sent to a client that does not read")
	}
	// Input is kept in memory of the Go heap, which is reused when it has been collected.
	if grown, limit := most.resident-resident, mostReplies+2*mostInput+mostArena; grown > limit && servertest.Slow == 1 {
		t.Errorf("the server has grown by %d bytes, at most %d are promised", grown, limit)
	}
	if err := p.read(c, read, requests); err != nil {
		t.Fatal(err)
	}
	if err := <-said.end; err != nil {
		t.Error(err)
	}
	c.Close()
	expectNoLeak(t, server, before, keys...)
}

// saying is how far a client is with its requests.
type saying struct {
	bytes atomic.Int64
	end   chan error
}

// say sends the requests in a goroutine of its own.
func (p *pipeline) say(c *client, requests int) *saying {
	s := &saying{end: make(chan error, 1)}
	go func() {
		// The client begins to read some time after it cannot send any more.
		_ = c.SetWriteDeadline(time.Now().Add(10 * patience))
		out := bufio.NewWriterSize(io.MultiWriter(c, s), 32<<10)
		for i := range requests {
			request, _ := p.requests(i)
			if _, err := out.WriteString(request); err != nil {
				s.end <- fmt.Errorf("request %d: %w", i, err)
				return
			}
		}
		s.end <- out.Flush()
	}()
	return s
}

// Write counts what was sent.
func (s *saying) Write(b []byte) (int, error) {
	s.bytes.Add(int64(len(b)))
	return len(b), nil
}

// read expects the replies to the requests [from, to).
func (p *pipeline) read(c *client, from, to int) error {
	_ = c.SetReadDeadline(time.Now().Add(10 * patience))
	var got []byte
	for i := from; i < to; i++ {
		_, want := p.requests(i)
		got = append(got[:0], want...)
		n, err := io.ReadFull(c.in, got)
		if p.binary && n >= 24 {
			clear(got[16:24])
		}
		if string(got[:n]) != want || err != nil {
			return fmt.Errorf("reply %d: got %.80q (%d bytes, %w), want %.80q", i, got[:n], n, err, want)
		}
	}
	return nil
}

// held is the most of what a server was seen to hold.
type held struct{ sendQueue, input, resident int }

// watch looks at the server until neither it nor the client gets on any more, and raises
// most to what it sees.
func (p *pipeline) watch(t *testing.T, server *servertest.Server, said *saying, most *held) {
	t.Helper()
	type progress struct {
		said   int64
		served int
	}
	// Input that is held is counted once a second: long enough for that to be seen.
	const quiet = 100
	var last progress
	for same := 0; same < quiet; same++ {
		stats, batch := server.Stats(t), server.Stats(t, "batch")
		now := progress{said: said.bytes.Load()}
		for _, name := range []string{"cmd_get", "cmd_set", "cmd_meta", "get_misses"} {
			now.served += number(t, stats, name)
		}
		most.sendQueue = max(most.sendQueue, number(t, batch, "backlog_bytes"))
		most.input = max(most.input, number(t, batch, "stash_bytes"))
		most.resident = max(most.resident, server.Resident(t))
		if now != last {
			last, same = now, 0
		}
		time.Sleep(20 * time.Millisecond)
	}
}
