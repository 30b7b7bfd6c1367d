package robustness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestLongMultiget: a line may name 10 000 keys, be it of 80 KB, and each is answered in its
// place.
func TestLongMultiget(t *testing.T) {
	const keys = 10_000
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		c := mustDial(t, server)
		var sets, names, want strings.Builder
		for i := range keys {
			key, value := fmt.Sprintf("key%04d", i), fmt.Sprintf("%0*d", 20+i%300, i)
			fmt.Fprintf(&sets, "ms %s %d E%d q\r\n%s\r\n", key, len(value), i+1, value)
			names.WriteString(" " + key)
			fmt.Fprintf(&want, "VALUE %s 0 %d %d\r\n%s\r\n", key, len(value), i+1, value)
		}
		said := make(chan error, 1)
		go func() {
			said <- c.say(sets.String() + "mn\r\nget" + names.String() + "\r\ngets" + names.String() + "\r\n")
		}()
		withoutCAS := bufio.NewScanner(strings.NewReader(want.String()))
		if err := c.expect("MN\r\n"); err != nil {
			t.Fatal(err)
		}
		for withoutCAS.Scan() {
			line := withoutCAS.Text()
			if strings.HasPrefix(line, "VALUE ") {
				line = line[:strings.LastIndexByte(line, ' ')]
			}
			if err := c.expect(line + "\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.expect("END\r\n" + want.String() + "END\r\n"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(<-said, c.ping()); err != nil {
			t.Error(err)
		}
	})
}

// itemLimit is -I by default, itemHead what an item needs beside key, flags and value, which
// are followed by one byte, none and two.
const (
	itemLimit = 1 << 20
	itemHead  = 48 + 8
)

// TestLargestValues stores values that are just small enough, and a byte too large, in every
// protocol, cut at random places. What was asked before and is asked behind them is answered.
func TestLargestValues(t *testing.T) {
	const tooLarge = "SERVER_ERROR object too large for cache\r\n"
	protocols := []struct {
		name            string
		set             func(flags int, value string) string
		stored, refused string
		ask, answer     string // of something else, before and behind
	}{
		{
			"text", func(flags int, v string) string { return fmt.Sprintf("set large %d 0 %d\r\n%s\r\n", flags, len(v), v) },
			"STORED\r\n", tooLarge, "get none\r\n", "END\r\n",
		},
		{
			"meta", func(flags int, v string) string { return fmt.Sprintf("ms large %d F%d O7\r\n%s\r\n", len(v), flags, v) },
			"HD O7\r\n", tooLarge, "mg none\r\n", "EN\r\n",
		},
		{
			"binary", func(flags int, v string) string {
				return binaryRequest(0x01, 7, fmt.Sprintf("\x00\x00\x00%c\x00\x00\x00\x00", flags), "large", v)
			},
			binaryReply(0x01, 0, 7, "", ""), binaryReply(0x01, 3, 7, "", "Too large."),
			binaryRequest(0x0a, 1, "", "", ""), binaryReply(0x0a, 0, 1, "", ""),
		},
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachTransport(t, func(t *testing.T, on transport) {
		random := rand.New(rand.NewPCG(seed, 0))
		server := on.start(t)
		for _, p := range protocols {
			for _, flags := range []int{0, 1} {
				most := itemLimit - itemHead - len("large\x00") - len("\r\n")
				if flags > 0 {
					most -= 4
				}
				for _, size := range []int{most, most + 1, most - 1, most + 4096} {
					want := p.stored
					if size > most {
						want = p.refused
					}
					value := randomValue(random, size)
					c := mustDial(t, server)
					said := make(chan error, 1)
					go func() { said <- c.sayInPieces(random, p.ask+p.set(flags, value)+p.ask) }()
					got, err := c.replies(len(p.answer), len(want), len(p.answer))
					if want := p.answer + want + p.answer; got != want || err != nil {
						t.Errorf("%s, flags %d, %d bytes: got %q, %v, want %q", p.name, flags, size, got, err, want)
					}
					if err := <-said; err != nil {
						t.Error(err)
					}
					c.Close()
					expectLarge(t, server, flags, value, size <= most)
				}
			}
		}
	})
}

// expectLarge looks whether the value is there.
func expectLarge(t *testing.T, server *servertest.Server, flags int, value string, stored bool) {
	t.Helper()
	c := mustDial(t, server)
	defer c.Close()
	want := "END\r\n"
	if stored {
		want = fmt.Sprintf("VALUE large %d %d\r\n%s\r\nEND\r\n", flags, len(value), value)
	}
	if err := errors.Join(c.say("get large\r\n"), c.expect(want)); err != nil {
		t.Errorf("flags %d, %d bytes: %v", flags, len(value), err)
	}
}

// replies reads replies of these lengths. The CAS of a binary one is taken out.
func (c *client) replies(lengths ...int) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var all strings.Builder
	for _, n := range lengths {
		b := make([]byte, n)
		n, err := io.ReadFull(c.in, b)
		if n >= 24 && b[0] == 0x81 {
			clear(b[16:24])
		}
		all.Write(b[:n])
		if err != nil {
			return all.String(), err
		}
	}
	return all.String(), nil
}

// randomValue is n bytes that are hard to mistake for others.
func randomValue(random *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

// sayInPieces sends text cut at random places, some of which are next to each other.
func (c *client) sayInPieces(random *rand.Rand, text string) error {
	for len(text) > 0 {
		n := 1 + random.IntN(3)
		if random.IntN(3) > 0 {
			n = 1 + random.IntN(200_000)
		}
		n = min(n, len(text))
		if err := c.say(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}
