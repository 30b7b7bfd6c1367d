package store

import (
	"math"
	"strings"
	"testing"

	"ringcached/store/memory"
)

func TestConfigValidate(t *testing.T) {
	ok := Config{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // part of the error, empty for none
	}{
		{"defaults", func(*Config) {}, ""},
		{"1 MiB", func(c *Config) { c.Limit = 1 << 20 }, ""},
		{"largest items", func(c *Config) { c.ItemMax = 32 << 20 }, ""},
		{"smallest items", func(c *Config) { c.ItemMax = 1024 }, ""},
		{"no memory", func(c *Config) { c.Limit = 0 }, "memory limit must be greater than 0"},
		{"negative memory", func(c *Config) { c.Limit = -1 }, "memory limit must be greater than 0"},
		{"beyond links", func(c *Config) { c.Limit = limitHighest + 1 }, "memory limit must be at most"},
		{"items too small", func(c *Config) { c.ItemMax = 1023 }, "at least 1024"},
		{"items above 1 GiB", func(c *Config) { c.Limit, c.ItemMax = 8<<30, 1<<30+1 }, "at most 1073741824"},
		{"items above half", func(c *Config) { c.ItemMax = 32<<20 + 1 }, "above half"},
		{"factor 1", func(c *Config) { c.Factor = 1 }, "growth factor"},
		{"factor NaN", func(c *Config) { c.Factor = math.NaN() }, "growth factor"},
		{"factor Inf", func(c *Config) { c.Factor = math.Inf(1) }, "growth factor"},
		{"chunk 0", func(c *Config) { c.ChunkMin = 0 }, "at least 1 byte"},
		{"chunk too large", func(c *Config) { c.ChunkMin = ChunkMax }, "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := ok
			c.change(&config)
			err := config.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if _, err := New(config); c.want != "" && err == nil {
				t.Fatal("New took it")
			}
		})
	}
}

func TestPagesAndUnits(t *testing.T) {
	for _, c := range []struct {
		limit   int64
		itemMax int
		pages   int
		shift   uint
	}{
		{64 << 20, 1 << 20, 64, 3},
		{64<<20 + 1, 1 << 20, 65, 3},
		{1 << 20, 1 << 20, 4, 3},
		{64 << 20, 32 << 20, 64, 3},
		{32<<30 - PageSize, 1 << 20, 32<<10 - 1, 3},
		{32 << 30, 1 << 20, 32 << 10, 4},
		{1 << 40, 1 << 20, 1 << 20, 9},
	} {
		config := Config{Limit: c.limit, ItemMax: c.itemMax, Factor: 1.25, ChunkMin: 48}
		if pages, shift := config.pages(), config.shift(); pages != c.pages || shift != c.shift {
			t.Errorf("limit %d, items of %d: %d pages, shift %d; want %d, %d", c.limit, c.itemMax, pages, shift, c.pages, c.shift)
		}
	}
}

func TestChunkSizes(t *testing.T) {
	for _, factor := range []float64{1.0000001, 1.01, 1.05, 1.08, 1.25, 2, 10, 1e9} {
		for _, chunkMin := range []int{1, 8, 48, 100, 1000, ChunkMax / 2} {
			for _, unit := range []int{8, 16, 1024} {
				sizes := chunkSizes(chunkMin, factor, unit)
				if len(sizes) > classesMax || sizes[len(sizes)-1] != ChunkMax {
					t.Fatalf("factor %v, smallest %d: %d classes up to %d", factor, chunkMin, len(sizes), sizes[len(sizes)-1])
				}
				if sizes[0] < headerSize+chunkMin {
					t.Fatalf("factor %v, smallest %d: first class of %d bytes", factor, chunkMin, sizes[0])
				}
				for i, size := range sizes {
					if size%unit != 0 || i > 0 && size <= sizes[i-1] {
						t.Fatalf("factor %v, smallest %d, unit %d: sizes %v", factor, chunkMin, unit, sizes)
					}
				}
			}
		}
	}
}

// TestClassesFit stores an item of every size around every class's limit.
func TestClassesFit(t *testing.T) {
	s := open(t, small)
	for size := headerSize; size <= ChunkMax; size++ {
		c := s.classFor(size)
		if int(c.size) < size || c.id > 1 && int(s.classes[c.id-1].size) >= size {
			t.Fatalf("%d bytes go to class %d of %d bytes", size, c.id, c.size)
		}
	}
}

func TestHugePages(t *testing.T) {
	config := small
	config.HugePages = true
	if memory.HugePageSize() == 0 { // the kernel has none, or /sys is not mounted
		s, err := New(config)
		if err != nil && !strings.Contains(err.Error(), "ask for huge pages") {
			t.Fatalf("a kernel without huge pages: %v", err)
		}
		if err != nil {
			return
		}
		s.Close()
	}
	s := open(t, config)
	mustSet(t, s, "k", "v")
	wantValue(t, s, "k", "v")
}

func TestMappingFailure(t *testing.T) {
	if _, err := memory.Map("a test", 1<<62, 0, false, 0); err == nil || !strings.Contains(err.Error(), "for a test") {
		t.Fatalf("mapping 4 EiB: %v", err)
	}
}
