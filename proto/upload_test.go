package proto_test

import (
	"fmt"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// TestUploadLeast: direct upload pays as long as that much is to come, with the "\r\n" where there is one.
func TestUploadLeast(t *testing.T) {
	w := newWorker(t, nil, nil)
	for _, c := range []struct {
		request string
		more    int // bytes behind the value
	}{
		{fmt.Sprintf("set a 0 0 %d\r\n", 3*proto.UploadLeast), 2},
		{fmt.Sprintf("set a 0 0 %d noreply\r\n", 3*proto.UploadLeast), 2},
		{fmt.Sprintf("ms a %d\r\n", 3*proto.UploadLeast), 2},
		{request(0x01, 0, storeExtras, "a", strings.Repeat("v", 3*proto.UploadLeast))[:24+8+1], 0},
	} {
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		w.data(c.request)
		rest := strings.Repeat("v", 3*proto.UploadLeast+c.more)
		for _, left := range []int{2 * proto.UploadLeast, proto.UploadLeast, proto.UploadLeast - 1, 1} {
			want := contract.Upload
			if left < proto.UploadLeast {
				want = contract.More
			}
			n := len(rest) - left
			if used, next := w.data(rest[:n]); used != n || next != want {
				t.Errorf("%.20q: %d of %d bytes used, then %d, want %d", c.request, used, n, next, want)
			}
			rest = rest[n:]
		}
	}
}

// TestFillToTheEnd: what was begun in place goes on there, however little is left.
func TestFillToTheEnd(t *testing.T) {
	w := newWorker(t, nil, nil)
	value := strings.Repeat("v", 100_000) + "\r\n"
	w.data("set a 0 0 100000\r\n")
	for left := len(value); left > 0; {
		n := copy(w.UploadBuffer(0, make([][]byte, 0, 1))[0], value[len(value)-left:][:min(9999, left)])
		left -= n
		want := contract.Upload
		if left == 0 {
			want = contract.More
		}
		if next := w.UploadAdvance(0, n, &w.out); next != want {
			t.Errorf("%d left: %d, want %d", left, next, want)
		}
	}
	if got := string(w.out.Bytes); got != "STORED\r\n" {
		t.Errorf("got %q", got)
	}
	w.wantReply("get a\r\n", "VALUE a 0 100000\r\n"+value+"END\r\n")
}
