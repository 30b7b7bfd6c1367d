package config

import "github.com/urfave/cli/v2"

// Memory says how much is cached and how it is laid out.
type Memory struct {
	Limit     int64   // bytes
	ItemMax   int64   // bytes of the largest item
	Factor    float64 // from one slab class to the next
	ItemMin   int     // bytes of key and value in the smallest chunk
	NoEvict   bool
	HugePages bool
	File      string // of the items; empty: none

	ClientMemory      int64 // bytes that clients may make the server hold; 0: no limit
	clientMemoryGiven bool
}

func newMemory() Memory {
	return Memory{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ItemMin: 48}
}

// memoryFlags say how much is cached and how it is laid out.
func (c *Config) memoryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "max-item-size", Aliases: []string{"I"}, Category: GroupMemory,
			Usage: "largest item with key and header, in `BYTES` (suffixes k, m), at most half of -m",
			Value: byteSize{&c.Memory.ItemMax, 1 << 10, 1 << 30},
		},
		&cli.GenericFlag{
			Name: "slab-growth-factor", Aliases: []string{"f"}, Category: GroupMemory,
			Usage: "growth `FACTOR` from one slab class to the next",
			Value: decimal{&c.Memory.Factor, 1},
		},
		&cli.GenericFlag{
			Name: "slab-min-size", Aliases: []string{"n"}, Category: GroupMemory,
			Usage: "room for key and value in the smallest chunk, in `BYTES`",
			Value: wholeNumber{&c.Memory.ItemMin, 1, 1 << 19},
		},
		&cli.BoolFlag{
			Name: "disable-evictions", Aliases: []string{"M"}, Category: GroupMemory,
			Usage:              "when memory is full refuse new items instead of evicting old ones",
			DisableDefaultText: true,
			Destination:        &c.Memory.NoEvict,
		},
		&cli.BoolFlag{
			Name: "enable-largepages", Aliases: []string{"L"}, Category: GroupMemory,
			Usage:              "ask the kernel for huge pages",
			DisableDefaultText: true,
			Destination:        &c.Memory.HugePages,
		},
		&cli.BoolFlag{
			Name: "lock-memory", Aliases: []string{"k"}, Category: GroupMemory,
			Usage:              "never swap: lock pages into memory as they are used",
			DisableDefaultText: true,
			Destination:        &c.Process.LockMemory,
		},
		&cli.GenericFlag{
			Name: "client-memory", Category: GroupMemory,
			Usage:       "memory for what clients send and do not take, over all of them, in `BYTES` (suffixes k, m): above it those that hold the most are closed; 0: no limit",
			Value:       noted{byteSize{&c.Memory.ClientMemory, 0, 1 << 44}, &c.Memory.clientMemoryGiven},
			DefaultText: "64k for each of -c, a quarter of -m at most, 32m at least",
		},
		&cli.GenericFlag{
			Name: "memory-file", Aliases: []string{"e"}, Category: GroupMemory,
			Usage: "keep the items in this `FILE`, and a file beside it, over a stop and a start with the same settings",
			Value: text{&c.Memory.File},
		},
	}
}

// The command cache_memlimit can raise the limit to growth times what it is at the start, and to growthFrom bytes in any case: address space
// is all that it costs.
const (
	growth     = 4
	growthFrom = 8 << 30
)

// Bytes for clients: the least limit that can be given, and what the default is made of.
const (
	leastClientMemory = 4 << 20
	plainClientMemory = 32 << 20 // the default at the least,
	clientMemoryEach  = 64 << 10 // and for each connection
)

// defaultClientMemory is the limit in bytes of what the clients of maxConns connections may make the server hold, unless one is given.
func (m *Memory) defaultClientMemory(maxConns int) int64 {
	return max(plainClientMemory, min(m.Limit/4, clientMemoryEach*int64(maxConns)))
}
