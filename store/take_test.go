package store

import (
	"fmt"
	"strings"
	"testing"
)

// TestSharing: a class without a page, in a store where the others have one each, lives in theirs as long as they use them.
func TestSharing(t *testing.T) {
	for _, shared := range []int{60, 300, 1500, 6000, 20_000} {
		t.Run(fmt.Sprint(shared, " bytes"), func(t *testing.T) {
			config := small
			config.Limit = 4 << 20
			s := open(t, config)
			for _, n := range []int{60, 300, 1500, 6000, 20_000} {
				if n != shared {
					for i := range PageSize / (n + 100) / 2 {
						mustSet(t, s, fmt.Sprint(n, "-", i), strings.Repeat("v", n))
					}
				}
			}
			c := s.classFor(headerSize + shared + 20)
			key, value := func(i int) string { return fmt.Sprint("shared", i) }, strings.Repeat("s", shared)
			for i := range 3000 {
				mustSet(t, s, key(i), value)
				wantValue(t, s, key(i), value)
			}
			n := s.Stats()
			if len(c.pages) != 0 || n.PagesMoved != 0 {
				t.Errorf("while all are in use it got %d pages, and %d were moved", len(c.pages), n.PagesMoved)
			}
			s.SetNow(s.Now() + 4*colderBy)
			for i := range 3000 {
				mustSet(t, s, key(i), value)
			}
			if len(c.pages) == 0 {
				t.Error("it got no page although the others have been idle for long")
			}
		})
	}
}
