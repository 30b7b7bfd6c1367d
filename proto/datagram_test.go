package proto_test

import (
	"strings"
	"testing"

	"ringcached/proto"
)

// datagram puts the head of request id, of one datagram, before a request.
func datagram(id byte, request string) []byte {
	return append([]byte{0, id, 0, 0, 0, 1, 0, 0}, request...)
}

func TestDatagram(t *testing.T) {
	w := newWorker(t, nil, nil)
	pipeline := strings.Repeat("get a\r\n", 100) // more than -R: nobody else waits here
	for _, c := range []struct{ request, want string }{
		{"set a 0 0 2\r\nhi\r\n", "STORED\r\n"},
		{"get a\r\n", "VALUE a 0 2\r\nhi\r\nEND\r\n"},
		{"get a", ""},               // no whole line
		{"set b 0 0 100\r\nhi", ""}, // no whole value
		{"get b\r\n", "END\r\n"},    // nothing of it stayed
		{"set c 0 0 1 noreply\r\n1\r\n", ""},
		{"nonsense\r\nget a\r\n", "ERROR\r\nVALUE a 0 2\r\nhi\r\nEND\r\n"},
		{pipeline, strings.Repeat("VALUE a 0 2\r\nhi\r\nEND\r\n", 100)},
		{"quit\r\n", ""},
		{"mg a v k Omine\r\nmn\r\nmg b\r\n", "VA 2 ka Omine\r\nhi\r\nMN\r\nEN\r\n"},
		{"ms b 100 Omine\r\nhi", ""},
		{"lru_crawler metadump all\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{"lru_crawler mgdump all\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{"stats cachedump 1 0\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{"stats sizes_enable\r\nstats sizes\r\n", "STAT sizes_status enabled\r\nEND\r\nCLIENT_ERROR not over UDP\r\n"},
		{request(0x10, 0, "", "sizes", ""), reply(0x10, 4, "Invalid arguments")},
		{request(0x0a, 0, "", "", "") + request(0x00, 0, "", "none", ""), reply(0x0a, 0, "") + reply(0x00, 1, "Not found")},
		{request(0x01, 0, storeExtras, "d", "value")[:36], ""},
		{request(0x07, 0, "", "", "") + request(0x0a, 0, "", "", ""), reply(0x07, 0, "")},
	} {
		w.out.Reset()
		w.Datagram(datagram(1, c.request), &w.out)
		if got := string(w.out.Bytes); got != c.want {
			t.Errorf("%.40q: got %.80q, want %.80q", c.request, got, c.want)
		}
	}
	for _, in := range []string{"", "short", "\x00\x01\x00\x00\x00\x01\x00\x00", "\x00\x01\x00\x00\x00\x02\x00\x00get a\r\n"} {
		w.out.Reset()
		w.Datagram([]byte(in), &w.out)
		if len(w.out.Bytes) > 0 {
			t.Errorf("%q was answered with %q", in, w.out.Bytes)
		}
	}
	w.out.Reset()
	w.ask("delete a\r\ndelete c\r\n")
	w.wantEmpty()
	if n := w.OpaquesInUse(); n != 0 {
		t.Errorf("%d opaques are still kept", n)
	}
}

// TestDatagramFull asks for more than replies may hold.
func TestDatagramFull(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 1000\r\n" + strings.Repeat("a", 1000) + "\r\n")
	w.out.Reset()
	w.out.Limit = 10_000
	w.Datagram(datagram(1, "get"+strings.Repeat(" a", 10_000)+"\r\n"), &w.out)
	got := string(w.out.Bytes)
	if !strings.HasSuffix(got, "SERVER_ERROR out of memory writing get response\r\n") || len(got) > 100_000 {
		t.Errorf("%d bytes, at the end %q", len(got), got[max(0, len(got)-60):])
	}
}

// TestBinaryDatagramFull is the same with binary requests.
func TestBinaryDatagramFull(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 1000\r\n" + strings.Repeat("a", 1000) + "\r\n")
	w.out.Reset()
	w.out.Limit = 10_000
	w.Datagram(datagram(1, strings.Repeat(request(0x00, 0, "", "a", ""), 2000)), &w.out)
	if got := string(w.out.Bytes); !strings.HasSuffix(got, reply(0x00, 0x82, "Out of memory")) || len(got) > 100_000 {
		t.Errorf("%d bytes, at the end %q", len(got), got[max(0, len(got)-60):])
	}
}

// TestGuestsAuthenticate: a datagram is not from anybody who is known.
func TestGuestsAuthenticate(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Auth = &guard{} })
	w.Datagram(datagram(1, "get a\r\n"), &w.out)
	if got := string(w.out.Bytes); got != "CLIENT_ERROR unauthenticated\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestFrame(t *testing.T) {
	w := newWorker(t, nil, nil)
	head := make([]byte, 8)
	w.Frame(head, datagram(7, "get a\r\n"), 258, 772)
	if want := "\x00\x07\x01\x02\x03\x04\x00\x00"; string(head) != want {
		t.Errorf("head %q, want %q", head, want)
	}
}
