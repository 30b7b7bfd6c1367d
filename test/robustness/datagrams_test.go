package robustness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

const (
	datagramHead    = 8
	datagramPayload = 1400 - datagramHead
)

// unanswered is the id of requests that are to have no answer. Others have smaller ones.
const unanswered = 0xffff

// datagramTo is a request with the head id, sequence, total, 0.
func datagramTo(id, sequence, total uint16, request string) string {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, sequence)
	b = binary.BigEndian.AppendUint16(b, total)
	return string(append(b, 0, 0)) + request
}

// datagrams is a client that speaks UDP.
type datagrams struct {
	net.Conn
	id uint16
}

func dialDatagrams(t *testing.T, server *servertest.Server) *datagrams {
	t.Helper()
	return dialDatagramsTo(t, strings.TrimSuffix(server.Addr, "/udp"))
}

func dialDatagramsTo(t *testing.T, addr string) *datagrams {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.(*net.UDPConn).SetReadBuffer(4 << 20)
	return &datagrams{Conn: conn}
}

// ask sends a request and puts the datagrams of its reply together. One that was lost on the
// way, as datagrams may be, is asked again.
func (c *datagrams) ask(request string) (reply string, err error) {
	for range 10 {
		c.id++
		if _, err := c.Write([]byte(datagramTo(c.id, 0, 1, request))); err != nil {
			return "", err
		}
		if reply, err = c.reply(patience / 10); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return reply, err
}

// reply reads the datagrams of the reply to the last request.
func (c *datagrams) reply(limit time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(limit))
	var parts []string
	buf := make([]byte, 64<<10)
	for got := 0; parts == nil || got < len(parts); {
		n, err := c.Read(buf)
		if err != nil {
			return "", err
		}
		id, sequence, total := binary.BigEndian.Uint16(buf), binary.BigEndian.Uint16(buf[2:]), int(binary.BigEndian.Uint16(buf[4:]))
		if id != c.id && n > datagramHead { // of a request that was given up
			continue
		}
		if parts == nil {
			parts = make([]string, total)
		}
		last := int(sequence) == total-1
		if total != len(parts) || int(sequence) >= total || parts[sequence] != "" || n <= datagramHead ||
			n > datagramHead+datagramPayload || !last && n < datagramHead+datagramPayload || buf[6]|buf[7] != 0 {
			return "", fmt.Errorf("a datagram of %d bytes with the head %x", n, buf[:datagramHead])
		}
		parts[sequence] = string(buf[datagramHead:n])
		got++
	}
	return strings.Join(parts, ""), nil
}

// TestHostileDatagrams: what is no request is not answered, forged or abandoned requests do no
// harm, and whoever asks in between is answered.
func TestHostileDatagrams(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "1", "-p", "0", "-U", "-1", "--udp-amplification", "0")
		c := dialDatagrams(t, server)
		big := strings.Repeat("b", 60_000)
		if got, err := c.ask(setRequest("big", big)); got != "STORED\r\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		for _, silent := range []string{
			"", "\x00", "\xff\xff\x00\x00\x00\x01\x00", datagramTo(unanswered, 0, 1, ""), datagramTo(unanswered, 0, 0, "get big\r\n"), datagramTo(unanswered, 0, 2, "get big\r\n"),
			datagramTo(unanswered, 1, 2, "get big\r\n"), datagramTo(unanswered, 0, 65535, "get big\r\n"), datagramTo(unanswered, 0, 1, "get big"), datagramTo(unanswered, 0, 1, "set cut 0 0 1000000\r\n"+big[:50_000]),
			datagramTo(unanswered, 0, 1, "ms cut 100 O1\r\nab"), datagramTo(unanswered, 0, 1, strings.Repeat("x", 60_000)), datagramTo(unanswered, 0, 1, "quit\r\nget big\r\n"), datagramTo(unanswered, 0, 1, "nonsense\r\nget big\r\n"), datagramTo(unanswered, 0, 1, "\r\n"),
			datagramTo(unanswered, 0, 1, "get"+strings.Repeat(" big", 1000)), datagramTo(unanswered, 0, 1, "get "+strings.Repeat("k", 5000)),
			datagramTo(unanswered, 0, 1, binaryRequest(0x99, 1, "", "", "")), datagramTo(unanswered, 0, 1, binaryRequest(0x00, 1, "", "", "")),
			datagramTo(unanswered, 0, 1, "GET / HTTP/1.1\r\n\r\n"), datagramTo(unanswered, 0, 1, "mg none q\r\n"), datagramTo(unanswered, 0, 1, "set quiet 0 0 1 noreply\r\n1\r\n"),
			datagramTo(unanswered, 0, 1, binaryRequest(0x09, 1, "", "none", "")), datagramTo(unanswered, 0, 1, binaryRequest(0x0a, 1, "", "", "")[:23]),
			datagramTo(unanswered, 0, 1, binaryRequest(0x01, 1, "12345678", "cut", big)[:40_000]),
		} {
			if _, err := c.Write([]byte(silent)); err != nil {
				t.Fatal(err)
			}
			// The next reply is the one that was asked for: nothing came in between.
			if err := c.only("mn\r\n", "MN\r\n"); err != nil {
				t.Fatalf("behind %.40q: %v", silent, err)
			}
		}
		for n := datagramPayload - 2; n <= 3*datagramPayload+2; n++ {
			if n%datagramPayload > 2 && n%datagramPayload < datagramPayload-2 {
				continue
			}
			value := valueForReply(n)
			stored, err := c.ask(setRequest("k", value))
			got, err2 := c.ask("get k\r\n")
			if stored != "STORED\r\n" || got != getReply("k", value) || len(got) != n || err != nil || err2 != nil {
				t.Errorf("a reply of %d bytes: %q, got %d bytes, %v, %v", n, stored, len(got), err, err2)
			}
		}
		// Many ask at once and are gone before the replies come.
		for range 100 {
			gone := dialDatagrams(t, server)
			for range 20 {
				_, _ = gone.Write([]byte(datagramTo(7, 0, 1, "get big\r\n")))
			}
			gone.Close()
		}
		if got, err := c.ask("get big\r\n"); got != getReply("big", big) || err != nil {
			t.Errorf("after all that: %d bytes, %v", len(got), err)
		}
		if got, err := c.ask("get cut quiet\r\n"); got != getReply("quiet", "1") || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// only asks, and wants no answer to another request than its own: neither to one that is to have
// none, nor a wrong one. Answers that were given up and come late do not count.
func (c *datagrams) only(request, want string) error {
	buf := make([]byte, 64<<10)
	for range 10 {
		c.id++
		if _, err := c.Write([]byte(datagramTo(c.id, 0, 1, request))); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(patience / 10))
		for {
			n, err := c.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break // lost
			}
			got := string(buf[:n])
			switch {
			case err != nil:
				return err
			case got == datagramTo(c.id, 0, 1, want):
				return nil
			case n < datagramHead || binary.BigEndian.Uint16(buf) > c.id || got[datagramHead:] != want:
				return fmt.Errorf("got %.80q", got)
			}
		}
	}
	return errors.New("no answer")
}

// valueForReply makes a value for which `get k` is answered with n bytes.
func valueForReply(n int) string {
	for size := n - len(getReply("k", "")); ; size-- {
		if len(getReply("k", strings.Repeat("v", size))) == n {
			return strings.Repeat("v", size)
		}
	}
}
