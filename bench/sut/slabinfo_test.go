package sut

import (
	"slices"
	"strings"
	"testing"
)

const slabText = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
TCP                 1010   1050   2048   16    8 : tunables    0    0    0 : slabdata     22     22      0
filp                3000   3200    192   21    1 : tunables    0    0    0 : slabdata    152    152      0
dentry              5000   5000    192   21    1 : tunables    0    0    0 : slabdata    238    238      0
proc_inode_cache    7000   7000    712   11    2 : tunables    0    0    0 : slabdata    640    640      0
`

func TestSlabs(t *testing.T) {
	before, err := parseSlabs(slabText)
	if err != nil || before["TCP"] != (slab{1010, 2048}) || before["filp"] != (slab{3000, 192}) || len(before) != 3 {
		t.Fatalf("%v, %v", before, err)
	}
	// A thousand connections, of both of whose ends this process has one; and somebody's hundred dentries.
	after, err := parseSlabs(strings.NewReplacer("1010 ", "3010 ", "3000 ", "5000 ", "5000   5000", "5010   5010", "7000   7000", "9000   9000").Replace(slabText))
	if err != nil {
		t.Fatal(err)
	}
	if !after.Near(before, 10_000) || after.Near(before, 1000) || before.Near(after, 1000) {
		t.Error("what is near depends on the connections, and not on the order")
	}
	all := after.PerConnection(before, 1000)
	if rest, sum := all.Caches(nil); !slices.Equal(rest, []SlabCache{{"TCP", 4096}, {"filp", 384}}) || sum != 4480 {
		t.Errorf("%v, %v in all", rest, sum)
	}
	if rest, _ := all.Caches(all); !slices.Equal(rest, []SlabCache{{"TCP", 2048}, {"filp", 192}}) {
		t.Errorf("of the other end: %v", rest)
	}
	if rest, sum := all.Caches(Slabs{"TCP": {4, 2048}, "filp": {4, 192}, "eventpoll_epi": {1, 128}}); len(rest) != 0 || sum != 0 {
		t.Errorf("less all of it: %v", rest)
	}
}

func TestSlabsThatAreNotUnderstood(t *testing.T) {
	for _, text := range []string{"", "slabinfo - version: 1.1\n", "slabinfo - version: 2.1\nTCP 1 2\n", "slabinfo - version: 2.1\nTCP many 2 2048 16\n"} {
		if s, err := parseSlabs(text); err == nil {
			t.Errorf("%q: %v", text, s)
		}
	}
}
