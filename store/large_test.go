package store

import (
	"fmt"
	"strings"
	"testing"
)

// TestLargeSparesSmall: a value of a megabyte takes the place of as many bytes of small items, not of half of a small cache.
func TestLargeSparesSmall(t *testing.T) {
	s := open(t, small)
	for i := 0; s.Stats().Evictions == 0; {
		for range 1000 {
			mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", 100))
			i++
		}
	}
	full := s.Stats()
	large := strings.Repeat("v", 1<<20-200)
	perPage := int(full.CurrItems) / full.PagesUsed
	for n := range 3 {
		before := s.Stats().CurrItems
		mustSet(t, s, fmt.Sprint("large", n), large)
		pages := float64(int(before)-int(s.Stats().CurrItems)) / float64(perPage)
		t.Logf("%.2f pages of %d", pages, full.PagesUsed)
		if pages > 2.1 {
			t.Errorf("large value %d: as many small items as %.1f pages hold are gone, of %d", n, pages, full.PagesUsed)
		}
	}
}
