package robustness

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// largeSizes are around what is received straight into an item, is sent from there, and is one chunk or a chain of them.
var largeSizes = []int{0, 100, 4000, 8<<10 - 2, 8 << 10, 8<<10 + 2100, 20_000, 65536, 300_000, 524_000, 600_000, 1 << 20, 3_000_000}

// TestLargeValues stores values of all sizes in all ways, cut at random places, and reads them again.
func TestLargeValues(t *testing.T) {
	const longest = 3_000_000
	letters := make([]byte, longest+1000)
	for i := range letters {
		letters[i] = 'a' + byte(rand.IntN(26))
	}
	setups := map[string][]string{"epoll": {"--engine", "epoll"}, "direct": {"--engine", "uring", "--direct-descriptors"}}
	for _, release := range []string{"5.19", "6.0", "6.1", "all"} {
		setups["uring-"+release] = []string{"--engine", "uring", "--ring-features", release}
	}
	setups["zero-copy"] = []string{"--engine", "uring", "--send-zc", "20000"}
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			if flags[1] == "uring" {
				servertest.NeedURing(t)
			}
			server := servertest.Start(t, flags[1], append([]string{"-t", "2", "-m", "200", "-I", "4m"}, flags[2:]...)...)
			var wg sync.WaitGroup
			for id := range 4 {
				c := mustDial(t, server)
				wg.Go(func() {
					requests, replies := largeConversation(id, letters)
					sent := make(chan error, 1)
					go func() { sent <- c.sayCut(requests) }()
					expect := c.expect
					if id%2 == 1 {
						expect = c.expectFrame
					}
					for i, reply := range replies {
						if err := expect(reply); err != nil {
							t.Errorf("client %d, reply %d: %v", id, i, err)
							c.Close()
							break
						}
					}
					if err := <-sent; err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := number(t, server.Stats(t, "batch"), "bytes_filled"); n == 0 {
				t.Error("nothing was received straight into an item")
			}
		})
	}
}

// largeConversation is what a client says and is answered: text and meta with an even id, binary with an odd one.
func largeConversation(id int, letters []byte) (requests string, replies []string) {
	var in strings.Builder
	answer := func(text string) { replies = append(replies, text) }
	for i := range 12 {
		size := largeSizes[rand.IntN(len(largeSizes))]
		at := rand.IntN(1000)
		key, value := fmt.Sprintf("c%d-%d", id, i%5), string(letters[at:at+size])
		if id%2 == 1 {
			in.WriteString(binaryRequest(0x01, uint32(i), "\x00\x00\x00\x00\x00\x00\x00\x00", key, value) + binaryRequest(0x00, uint32(i), "", key, ""))
			answer(binaryReply(0x01, 0, uint32(i), "", ""))
			answer(binaryReply(0x00, 0, uint32(i), "\x00\x00\x00\x00", value))
			continue
		}
		switch i % 4 {
		case 0:
			in.WriteString(setRequest(key, value))
			answer("STORED\r\n")
		case 1:
			fmt.Fprintf(&in, "set %s 0 0 %d noreply\r\n%s\r\n", key, size, value)
		case 2:
			fmt.Fprintf(&in, "ms %s %d O%d\r\n%s\r\n", key, size, i, value)
			answer(fmt.Sprintf("HD O%d\r\n", i))
		case 3: // what is not ended as it must be is not stored
			in.WriteString(setRequest(key, "kept"))
			fmt.Fprintf(&in, "set %s 0 0 %d\r\n%sxy", key, size, value)
			answer("STORED\r\nCLIENT_ERROR bad data chunk\r\n")
			value = "kept"
		}
		in.WriteString("get " + key + "\r\n")
		answer(getReply(key, value))
	}
	return in.String(), replies
}

// expectFrame is expect for a binary reply, whose CAS is not looked at.
func (c *client) expectFrame(want string) error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if n >= 24 {
		clear(got[16:24])
	}
	if string(got[:n]) != want {
		return fmt.Errorf("got %.80q (%d bytes, %w), want %.80q", got[:n], n, err, want)
	}
	return nil
}

// sayCut is say in pieces of random sizes, small and large ones.
func (c *client) sayCut(text string) error {
	for text != "" {
		n := min(len(text), 1+rand.IntN(1<<(4+rand.IntN(15))))
		if err := c.say(text[:n]); err != nil {
			return err
		}
		if text = text[n:]; rand.IntN(8) == 0 {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		}
	}
	return nil
}
