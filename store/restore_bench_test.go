package store

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRestore is a start with a file full of items of 20-byte keys and 32-byte values, in memory, where the system has a place for it.
// Beside the time of a start with 1 GiB it reports that of the stop before.
func BenchmarkRestore(b *testing.B) {
	c := inFile(b)
	c.Limit = 1 << 30
	s := begun(b, c)
	items := 0
	for ; s.Stats().PagesUsed < int(c.Limit/PageSize); items += 10_000 {
		for i := range 10_000 {
			mustSet(b, s, fmt.Sprintf("key:%016d", items+i), "0123456789abcdef0123456789abcdef")
		}
	}
	var saving time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		begin := time.Now()
		end(b, s)
		saving += time.Since(begin)
		b.StartTimer()
		s = begun(b, c)
		if s.Restored().Why != nil {
			b.Fatal(s.Restored().Why)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(saving.Nanoseconds())/float64(b.N), "ns/save")
	b.ReportMetric(float64(s.Stats().CurrItems), "items")
	end(b, s)
}
