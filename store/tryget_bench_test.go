package store

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkCopyOfSize is a hit with its answer copied, as proto does it: "tryget" copies the item into a Copy and from there, "lock" copies
// it once, under the lock. To see larger sizes, raise copyMax.
func BenchmarkCopyOfSize(b *testing.B) {
	for _, n := range []int{64, 256, 512, 900} {
		b.Run(fmt.Sprintf("tryget/%d", n), func(b *testing.B) { copyOfSize(b, n, true) })
		b.Run(fmt.Sprintf("lock/%d", n), func(b *testing.B) { copyOfSize(b, n, false) })
	}
}

func copyOfSize(b *testing.B, n int, tryGet bool) {
	s := open(b, small)
	keys := make([][]byte, 64)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%016d", i)
		mustSet(b, s, string(keys[i]), strings.Repeat("v", n))
		warmUp(s, string(keys[i]))
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		var c Copy
		reply := make([]byte, 8<<10)
		for i := 0; p.Next(); i++ {
			key := keys[i%len(keys)]
			hash := s.Hash(key)
			if tryGet {
				if s.TryGet(key, hash, &c) != Hit {
					panic("a key is gone")
				}
				copy(reply, s.Text(c.Item()))
				continue
			}
			e := s.Lock(key, hash)
			e.MarkUsed()
			copy(reply, s.Text(e.Item()))
			e.Unlock()
		}
	})
}
