package proto_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/proto"
	"ringcached/store"
)

// The workers of TestTogether ask one small store for the same keys in all protocols and pipelines, while values are replaced by those of other
// sizes, changed in place, deleted, expired, flushed and evicted, pages move between classes, and the limit goes up and down. A value follows
// from its key, flags and length, so that a reply of which any part is of another item, or of another moment, is noticed. A number that is
// changed in place has two halves that are the same.

const (
	togetherWorkers = 3
	togetherKeys    = 8_000
	togetherHalf    = 1_000_000_001 // a number times this has the same halves
)

// together is one of the workers, and what it saw.
type together struct {
	t      *testing.T
	w      *proto.Worker
	conn   uint32
	random *rand.Rand
	out    conversation.Output
	in     bytes.Buffer
	checks []func([]byte) []byte // take the reply of a request away
	hits   int
}

// valueOf is the value that a key has with these flags at this length.
func valueOf(key string, flags uint64, n int) []byte {
	unit := fmt.Sprintf("%s/%d/%d;", key, flags, n)
	return []byte(strings.Repeat(unit, n/len(unit)+1)[:n])
}

// key chooses one: half of the time one of a few that are hot.
func (g *together) key() string {
	if g.random.IntN(2) == 0 {
		return fmt.Sprint("k", g.random.IntN(60))
	}
	return fmt.Sprint("key-", g.random.IntN(togetherKeys))
}

func (g *together) number() string { return fmt.Sprint("n", g.random.IntN(10)) }

func (g *together) size() int {
	switch g.random.IntN(400) {
	case 0:
		return g.random.IntN(900_000)
	case 1, 2, 3:
		return g.random.IntN(100_000)
	case 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16:
		return g.random.IntN(8000)
	}
	return g.random.IntN(600)
}

// cut takes what is in front of sep away from the reply.
func (g *together) cut(reply []byte, sep string) (before string, rest []byte) {
	b, rest, ok := bytes.Cut(reply, []byte(sep))
	if !ok {
		panic(fmt.Sprintf("no %q in %.200q", sep, reply))
	}
	return string(b), rest
}

func (g *together) atoi(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// value takes a value of n bytes away, and checks it.
func (g *together) value(reply []byte, key string, flags uint64, n int) []byte {
	g.hits++
	if len(reply) < n {
		panic(fmt.Sprintf("%s: %d bytes of %d", key, len(reply), n))
	}
	got := reply[:n]
	if key[0] == 'n' {
		if number := g.atoi(string(got)); number%togetherHalf != 0 {
			panic(fmt.Sprintf("%s: %s is half of one number and half of another", key, got))
		}
	} else if want := valueOf(key, flags, n); !bytes.Equal(got, want) {
		at := 0
		for got[at] == want[at] {
			at++
		}
		panic(fmt.Sprintf("%s, flags %d, %d bytes: differs at %d: %.100q", key, flags, n, at, got[at:]))
	}
	return reply[n:]
}

// values takes away the VALUEs of some of the keys, and END.
func (g *together) values(keys []string) func([]byte) []byte {
	return func(reply []byte) []byte {
		for left := keys; ; {
			line, rest := g.cut(reply, "\r\n")
			if line == "END" {
				return rest
			}
			words := strings.Fields(line)
			if len(words) < 4 || words[0] != "VALUE" {
				panic(fmt.Sprintf("%.100q in a reply to get %q", line, keys))
			}
			for left[0] != words[1] {
				if left = left[1:]; len(left) == 0 {
					panic(fmt.Sprintf("%s was not asked for, or in another order: %q", words[1], keys))
				}
			}
			left = left[1:]
			rest = g.value(rest, words[1], g.atoi(words[2]), int(g.atoi(words[3])))
			end, rest := g.cut(rest, "\r\n")
			if end != "" {
				panic(fmt.Sprintf("%.100q behind the value of %s", end, words[1]))
			}
			reply = rest
		}
	}
}

// line takes a line away, which must be one of these.
func (g *together) line(wanted ...string) func([]byte) []byte {
	return func(reply []byte) []byte {
		got, rest := g.cut(reply, "\r\n")
		for _, w := range wanted {
			if strings.HasPrefix(got, w) {
				return rest
			}
		}
		panic(fmt.Sprintf("%.100q, want one of %q", got, wanted))
	}
}

// add adds a request and what takes its reply away.
func (g *together) add(check func([]byte) []byte, format string, args ...any) {
	fmt.Fprintf(&g.in, format, args...)
	g.checks = append(g.checks, check)
}

// metaGet takes away the reply to mg with the flags f, k, s and v.
func (g *together) metaGet(key string) func([]byte) []byte {
	return func(reply []byte) []byte {
		line, rest := g.cut(reply, "\r\n")
		if line == "EN k"+key {
			return rest
		}
		words := strings.Fields(line)
		if len(words) < 5 || words[0] != "VA" || words[3] != "k"+key || words[4] != "s"+words[1] {
			panic(fmt.Sprintf("%.100q in reply to mg %s", line, key))
		}
		rest = g.value(rest, key, g.atoi(words[2][1:]), int(g.atoi(words[1])))
		return g.line("")(rest)
	}
}

// text adds a text request.
func (g *together) text() {
	key := g.key()
	stored := g.line("STORED", "SERVER_ERROR out of memory")
	switch g.random.IntN(20) {
	case 0, 1, 2, 8:
		for range g.random.IntN(20) {
			key, flags, n := g.key(), g.random.Uint64N(1000), g.size()
			g.add(stored, "set %s %d 0 %d\r\n%s\r\n", key, flags, n, valueOf(key, flags, n))
		}
	case 3:
		flags, n := g.random.Uint64N(1<<32), g.random.IntN(6000)
		g.add(g.line("HD", "SERVER_ERROR out of memory"), "ms %s %d F%d E%d\r\n%s\r\n", key, n, flags, g.random.Uint64(), valueOf(key, flags, n))
	case 4:
		g.add(g.line("DELETED", "NOT_FOUND"), "delete %s\r\n", key)
	case 5:
		g.add(g.line("TOUCHED", "NOT_FOUND"), "touch %s %d\r\n", key, g.random.IntN(3)*50-1)
	case 6:
		key = g.number()
		g.add(func(reply []byte) []byte {
			got, rest := g.cut(reply, "\r\n")
			if got != "NOT_FOUND" && g.atoi(got)%togetherHalf != 0 {
				panic("a number of two halves has become " + got)
			}
			return rest
		}, "incr %s %d\r\n", key, togetherHalf)
	case 7:
		key = g.number()
		g.add(stored, "set %s 0 0 18\r\n%d\r\n", key, (g.random.Uint64N(800_000_000)+100_000_000)*togetherHalf)
	case 9, 10:
		var keys []string
		for range g.random.IntN(60) + 1 {
			keys = append(keys, g.key())
		}
		verb := []string{"get", "gets", "gat 0", "get", "gets"}[g.random.IntN(5)]
		g.add(g.values(keys), "%s %s\r\n", verb, strings.Join(keys, " "))
	case 11, 12, 13, 14:
		for range g.random.IntN(20) + 1 {
			key = g.key()
			g.add(g.metaGet(key), "mg %s f k s v t c\r\n", key)
		}
	default:
		for range g.random.IntN(40) + 1 {
			if key = g.key(); g.random.IntN(4) == 0 {
				key = g.number()
			}
			g.add(g.values([]string{key}), "get %s\r\n", key)
		}
	}
}

// frames takes away the replies to GetKQ of the keys, and to Noop.
func (g *together) frames(keys []string) func([]byte) []byte {
	return func(reply []byte) []byte {
		for left := keys; ; {
			if len(reply) < 24 || reply[0] != 0x81 || reply[6] != 0 || reply[7] != 0 {
				panic(fmt.Sprintf("%.100q in a reply to GetKQ", reply))
			}
			keyLen, body, opcode := int(binary.BigEndian.Uint16(reply[2:])), int(binary.BigEndian.Uint32(reply[8:])), reply[1]
			if reply = reply[24:]; opcode == 0x0a {
				return reply
			}
			flags, key := binary.BigEndian.Uint32(reply), string(reply[4:4+keyLen])
			for left[0] != key {
				if left = left[1:]; len(left) == 0 {
					panic(fmt.Sprintf("%s was not asked for, or in another order: %q", key, keys))
				}
			}
			left = left[1:]
			reply = g.value(reply[4+keyLen:], key, uint64(flags), body-4-keyLen)
		}
	}
}

// binary adds a run of binary gets.
func (g *together) binary() {
	var keys []string
	for range g.random.IntN(60) + 1 {
		keys = append(keys, g.key())
		g.in.WriteString(request(0x0d, 0, "", keys[len(keys)-1], ""))
	}
	g.in.WriteString(request(0x0a, 0, "", "", ""))
	g.checks = append(g.checks, g.frames(keys))
}

// ask sends what was added, in pieces, and checks the replies.
func (g *together) ask() {
	g.out.Reset()
	for rest, end := g.in.Bytes(), 0; end < g.in.Len(); {
		end = min(end+1+g.random.IntN(16<<10), g.in.Len())
		for {
			in := g.in.Bytes()[g.in.Len()-len(rest) : end]
			n, next := g.w.Data(g.conn, in, &g.out)
			rest = rest[n:]
			g.w.EndBatch()
			if g.random.IntN(4) == 0 {
				g.out.Flush(g.t, g.w)
			}
			if next != contract.Yield {
				break
			}
		}
	}
	g.out.Flush(g.t, g.w)
	reply := g.out.Bytes
	for _, check := range g.checks {
		reply = check(reply)
	}
	if len(reply) > 0 {
		panic(fmt.Sprintf("%.100q behind the replies", reply))
	}
	g.in.Reset()
	g.checks = g.checks[:0]
}

// disturb does what an operator does, and what time does, until done.
func disturb(st *store.Store, random *rand.Rand, done <-chan struct{}) {
	var more bool
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
		switch random.IntN(40) {
		case 0:
			if err := st.SetLimit(int64(4+random.IntN(12)) << 20); err != nil {
				panic(err)
			}
		case 1:
			classes := st.Classes()
			_ = st.Reassign(classes[random.IntN(len(classes))].ID, classes[random.IntN(len(classes))].ID)
		case 2, 3, 4:
			st.SetNow(st.Now() + uint32(random.IntN(3)))
		case 5:
			if random.IntN(30) == 0 {
				st.FlushAll(0)
			}
		}
		for i := 0; i < 4 && (i == 0 || more); i++ {
			_, more = st.Maintain()
		}
	}
}

func TestTogether(t *testing.T) {
	for _, automove := range []int{1, 2} {
		t.Run(fmt.Sprint("automove ", automove), func(t *testing.T) { testTogether(t, automove) })
	}
}

func testTogether(t *testing.T, automove int) {
	first := newWorker(t, func(c *store.Config) { c.Limit, c.LimitMax = 8<<20, 64<<20 }, nil)
	first.store.SetAutomove(automove)
	done, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		disturb(first.store, rand.New(rand.NewPCG(1, uint64(automove))), done)
	}()
	var all sync.WaitGroup
	workers := make([]*together, togetherWorkers)
	begun := time.Now()
	goesOn := func() bool { // on a busy machine it takes longer until pages have moved
		took := time.Since(begun)
		n := first.store.Stats()
		return took < time.Second || took < 20*time.Second && (n.Evictions == 0 || n.PagesMoved == 0)
	}
	for i := range workers {
		g := &together{t: t, w: first.server.NewWorker(), conn: uint32(i + 1), random: rand.New(rand.NewPCG(uint64(i), 7))}
		workers[i] = g
		all.Go(func() {
			for goesOn() {
				add, label := g.text, uint8(0)
				if g.random.IntN(3) == 0 {
					add, label = g.binary, proto.ProtocolBinary.Label()
				}
				g.w.Open(g.conn, label)
				for range 8 {
					for range g.random.IntN(12) + 1 {
						add()
					}
					g.ask()
				}
				g.w.Closed(g.conn, contract.ReasonNormal)
			}
		})
	}
	all.Wait()
	close(done)
	<-left
	hits := 0
	for _, g := range workers {
		hits += g.hits
	}
	n := first.store.Stats()
	t.Logf("%d hits, %d sets, %d evictions, %d pages moved, %d passed by, %d times out of memory",
		hits, n.TotalItems, n.Evictions, n.PagesMoved, n.PinnedSkips, n.OutOfMemory)
	if hits == 0 || n.Evictions == 0 || n.PagesMoved == 0 {
		t.Error("there was nothing to see")
	}
}
