package proto_test

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"testing"
)

// FuzzDatagram presents a datagram to three servers. To the first whole: what is not one whole request of one datagram is not answered.
// To the second, what is behind the head as a connection: the replies must be the same. To the third with little room for replies: it
// says the same, or the beginning and that there is no more. At the end nothing may be in use.
func FuzzDatagram(f *testing.F) {
	for _, head := range []string{"", "\x00\x01\x00\x00", "\x00\x01\x00\x00\x00\x02\x00\x00", "\xff\xff\x00\x07\x00\x01\xff\xff"} {
		f.Add([]byte(head))
		f.Add([]byte(head + "get a\r\n"))
	}
	stored := request(0x11, 0, storeExtras, "a", "quiet")
	for _, in := range []string{
		"set a 0 0 100\r\nhi", "ms a 100 O1\r\nhi", "get a", "mn\r\nget a\r\nquit\r\nget a\r\n", "\x81",
		stored + request(0x09, 0, "", "b", "") + request(0x09, 0, "", "a", ""), stored[:36], stored[:23], "\x80\x01\x00\x01\x08\x00\x00\x00\x40\x00\x00\x00",
		"set a 0 0 5000\r\n" + string(bytes.Repeat([]byte("v"), 5000)) + "\r\nget a a a a\r\n",
	} {
		f.Add(datagram(1, in))
	}
	for _, said := range conversations(f, func(string) bool { return true }) {
		f.Add(datagram(2, string(said)))
	}
	f.Fuzz(checkDatagram)
}

// forConnections are commands that datagrams are refused.
var forConnections = regexp.MustCompile(`watch|crawler|cachedump|sizes`)

func checkDatagram(t *testing.T, in []byte) {
	guest, member, poor := newWorker(t, nil, nil), newWorker(t, nil, nil), newWorker(t, nil, nil)
	poor.out.Tight, poor.out.Limit = true, 100
	given := bytes.Clone(in)
	for _, w := range []*worker{guest, poor} {
		w.Datagram(given, &w.out)
		w.EndBatch()
		w.out.Flush(t, w.Worker)
		if !bytes.Equal(given, in) {
			t.Fatal("the request was written to")
		}
		if n := w.OpaquesInUse(); n != 0 {
			t.Fatalf("%d opaques are still kept", n)
		}
	}
	got := guest.out.Bytes
	if len(in) <= 8 || binary.BigEndian.Uint16(in[4:]) != 1 {
		if len(got) > 0 {
			t.Fatalf("answered with %.500q", got)
		}
		return
	}
	if !forConnections.Match(in) {
		if want := settle(present(member, in[8:], nil)); !bytes.Equal(settle(got), want) {
			t.Fatalf("datagram: %.500q\nconnection: %.500q", got, want)
		}
		checkPoor(t, settle(poor.out.Bytes), settle(got))
	}
	for _, w := range []*worker{guest, member, poor} {
		w.Closed(0)
		w.Open(0)
		w.ask("delete a\r\ndelete b\r\ndelete n\r\n")
		if w.store.Stats().CurrItems == 0 {
			w.wantEmpty()
		}
	}
}

// checkPoor says that a reply is the whole one, or its beginning and an error.
func checkPoor(t *testing.T, got, whole []byte) {
	t.Helper()
	if bytes.Equal(got, whole) {
		return
	}
	begun, ok := bytes.CutSuffix(got, []byte("SERVER_ERROR out of memory writing get response\r\n"))
	if !ok {
		const noMemory = "Out of memory"
		begun, ok = bytes.CutSuffix(got, []byte(noMemory))
		ok = ok && len(begun) >= 24 && begun[len(begun)-24] == 0x81
		if ok {
			begun = begun[:len(begun)-24]
		}
	}
	if !ok || !bytes.HasPrefix(whole, begun) {
		t.Fatalf("with little room: %.500q\nwhole: %.500q", got, whole)
	}
}
