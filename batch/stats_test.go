package batch

import "testing"

// TestCountsNeverFall: whoever reads the counts twice sees none of them fall when a reply that was counted as sent turns out not to be, and each is right again
// as soon as more is sent.
func TestCountsNeverFall(t *testing.T) {
	var k counters
	check := func(bytes, sends uint64) {
		t.Helper()
		k.publish()
		var s Stats
		if k.addTo(&s); s.BytesWritten != bytes || s.Sends != sends {
			t.Errorf("%d bytes in %d sends, want %d in %d", s.BytesWritten, s.Sends, bytes, sends)
		}
	}
	k.bytesWritten, k.sends = 100, 2
	check(100, 2)
	k.bytesWritten, k.sends = 40, 1
	check(100, 2)
	k.bytesWritten, k.sends = 120, 3
	check(120, 3)
}
