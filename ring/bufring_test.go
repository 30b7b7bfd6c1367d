package ring

import (
	"testing"

	"golang.org/x/sys/unix"
)

// bufRingTester receives on a socket pair into a BufRing of whole pages.
type bufRingTester struct {
	*testing.T
	r           *Ring
	b           *BufRing
	here, there int
}

// receive receives n messages of one byte before it publishes, and returns the
// highest buffer that the kernel took, and how many receives found none.
func (t *bufRingTester) receive(n int) (highest uint16, none int) {
	t.Helper()
	var ids []uint16
	for range n {
		if _, err := unix.Write(t.there, []byte("x")); err != nil {
			t.Fatal(err)
		}
		t.r.SQE().PrepRecv(t.here, 0, false, false)
		c := wait(t, t.r)
		id, ok := c.Buffer()
		if c.Res == -int32(unix.ENOBUFS) {
			none++
			if _, err := unix.Read(t.here, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if c.Res != 1 || !ok {
			t.Fatalf("completion %+v", c)
		}
		if got := t.b.Take(id, 1); got[0] != 'x' {
			t.Fatalf("buffer %d begins with %q", id, got)
		}
		ids, highest = append(ids, id), max(highest, id)
	}
	for _, id := range ids {
		t.b.Recycle(id)
	}
	t.b.Publish()
	return highest, none
}

func (t *bufRingTester) expectLent(n int) {
	t.Helper()
	if got := t.b.Lent(); got != n {
		t.Fatalf("%d buffers are lent, want %d", got, n)
	}
}

// TestBuffersLent: the kernel has as many buffers as are needed, and the others take no memory.
func TestBuffersLent(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	page := unix.Getpagesize()
	b, err := NewBufRing(r, 0, 2, 9, page)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	here, there := pair(t)
	s := &bufRingTester{t, r, b, here, there}

	for range 20 {
		if highest, none := s.receive(1); highest > 1 || none > 0 {
			t.Fatalf("one by one: buffer %d is used, %d receives found none", highest, none)
		}
	}
	s.expectLent(2)

	if _, none := s.receive(3); none != 1 {
		t.Fatalf("%d receives of 3 found no buffer of 2", none)
	}
	s.expectLent(4)
	s.receive(3)
	s.expectLent(8)
	s.receive(5)
	s.expectLent(9) // all there are
	if _, none := s.receive(9); none > 0 {
		t.Fatalf("%d receives of 9 found no buffer of 9", none)
	}

	b.Trim() // 9 were needed
	s.expectLent(9)
	b.Trim()
	b.Trim()
	s.expectLent(2)
	if b.data[8*page] != 'x' {
		t.Fatal("a buffer that the kernel has was given back")
	}
	// The kernel has all of them still, and hands them over as it uses them.
	for range 9 {
		if _, none := s.receive(1); none > 0 {
			t.Fatal("a receive found no buffer")
		}
	}
	b.Trim()
	for id := 2; id < 9; id++ {
		if b.data[id*page] != 0 {
			t.Errorf("the memory of buffer %d was not given back", id)
		}
	}
	for range 20 {
		if highest, none := s.receive(1); highest > 1 || none > 0 {
			t.Fatalf("after the peak: buffer %d is used, %d receives found none", highest, none)
		}
	}
	s.receive(2)
	s.expectLent(4)
	if _, none := s.receive(4); none > 0 {
		t.Fatalf("%d receives of 4 found no buffer of 4", none)
	}
}
