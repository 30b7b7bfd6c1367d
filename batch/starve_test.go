package batch

import "testing"

// TestFeedEverybody: however many inputs wait, each of them is looked at again and again, and those that came last soon.
func TestFeedEverybody(t *testing.T) {
	const all = 20 * feedTurn
	ch := &channel{}
	for i := range uint32(all) {
		ch.starving = append(ch.starving, makeToken(kindIgnore, 0, i))
	}
	last := ch.starving[all-1]
	turns := map[token]int{}
	for turn := range 3 * all / feedTurn * 2 {
		ch.feed()
		for _, c := range ch.ready {
			turns[c]++
		}
		if len(ch.ready) != feedTurn || turn == 0 && turns[last] != 1 {
			t.Fatalf("turn %d: %d are looked at, the last one %d times", turn, len(ch.ready), turns[last])
		}
		ch.starving, ch.ready = append(ch.starving, ch.ready...), nil // all have to wait on
	}
	for i := range uint32(all) {
		if n := turns[makeToken(kindIgnore, 0, i)]; n < 2 {
			t.Errorf("number %d is looked at %d times", i, n)
		}
	}
}
