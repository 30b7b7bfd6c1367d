package proto_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// FuzzDatagram presents a datagram to four servers. To the first whole: what is not one whole request of one datagram is not answered.
// To the second, what is behind the head as a connection: the replies must be the same, up to what is no request. To the third with little
// room for replies, and to the fourth with an amplification: they say the same, or that it is too large. To no reply there may be a reply. At
// the end nothing may be in use.
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

func checkDatagram(t *testing.T, in []byte) {
	const amplification = 10
	noConnection, member, poor := newWorker(t, nil, nil), newWorker(t, nil, nil), newWorker(t, nil, nil)
	capped := newWorker(t, nil, func(c *proto.Config) { c.Amplification = amplification })
	poor.out.Tight, poor.out.Limit = true, 100
	given := bytes.Clone(in)
	for _, w := range []*worker{noConnection, poor, capped} {
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
	got := bytes.Clone(noConnection.out.Bytes)
	if len(in) <= 8 || binary.BigEndian.Uint16(in[4:]) != 1 {
		if len(got) > 0 {
			t.Fatalf("answered with %.500q", got)
		}
		return
	}
	if n := onWire(string(capped.out.Bytes)); n > amplification*len(in) {
		t.Fatalf("%d bytes leave for %d that came", n, len(in))
	}
	if noConnection.batchStat("datagrams_refused") == 0 {
		want := settle(present(member, in[8:], nil))
		if !bytes.HasPrefix(want, settle(got)) || len(want) != len(settle(got)) && noConnection.batchStat("datagrams_ignored") == 0 {
			t.Fatalf("datagram: %.500q\nconnection: %.500q", got, want)
		}
	}
	checkTooLarge(t, settle(poor.out.Bytes), settle(got))
	checkTooLarge(t, settle(capped.out.Bytes), settle(got))
	checkNoAnswer(t, got)
	for _, w := range []*worker{noConnection, member, poor, capped} {
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		w.ask("delete a\r\ndelete b\r\ndelete n\r\n")
		if w.store.Stats().CurrItems == 0 {
			w.wantEmpty()
		}
	}
}

// checkTooLarge says that a reply is the whole one, or an error, or that there was no room even for that.
func checkTooLarge(t *testing.T, got, whole []byte) {
	t.Helper()
	const tooLarge = "Too large."
	if bytes.Equal(got, whole) || len(got) == 0 || string(got) == "SERVER_ERROR reply too large for UDP\r\n" {
		return
	}
	if len(got) != 24+len(tooLarge) || got[0] != 0x81 || !bytes.HasSuffix(got, []byte(tooLarge)) {
		t.Fatalf("too large: %.500q\nwhole: %.500q", got, whole)
	}
}

// checkNoAnswer says that another server does not answer a reply, whatever the head of its datagrams says.
func checkNoAnswer(t *testing.T, reply []byte) {
	t.Helper()
	other := newWorker(t, nil, nil)
	for _, part := range [][]byte{reply, reply[:min(len(reply), contract.DatagramSize-8)]} {
		if other.Datagram(datagram(1, string(part)), &other.out); len(other.out.Bytes) > 0 {
			t.Fatalf("%.500q is answered with %.500q", part, other.out.Bytes)
		}
	}
}
