package config

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ringcached/store"
)

// Memory says how much is cached and how it is laid out.
type Memory struct {
	Limit     int64 // bytes
	ItemMax   int64 // bytes
	Factor    float64
	ItemMin   int // bytes
	NoEvict   bool
	HugePages bool   // pages
	File      string // empty: none

	ClientMemory      int64 // bytes that clients may make the server hold; 0: no limit
	clientMemoryGiven bool
}

func newMemory() Memory {
	return Memory{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ItemMin: 48}
}

func (o *Memory) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "memory-limit", Aliases: []string{"m"}, Category: categoryMemory,
			Usage: "memory for items, in `MEGABYTES`",
			Value: megabytes{&o.Limit, 1, 1 << 24},
		},
		&cli.GenericFlag{
			Name: "max-item-size", Aliases: []string{"I"}, Category: categoryMemory,
			Usage: "largest item with key and header, in `BYTES` (suffixes k, m), at most half of -m",
			Value: byteSize{&o.ItemMax, 1 << 10, 1 << 30},
		},
		&cli.GenericFlag{
			Name: "slab-growth-factor", Aliases: []string{"f"}, Category: categoryMemory,
			Usage: "growth `FACTOR` from one slab class to the next",
			Value: decimal{&o.Factor, 1},
		},
		&cli.GenericFlag{
			Name: "slab-min-size", Aliases: []string{"n"}, Category: categoryMemory,
			Usage: "room for key and value in the smallest chunk, in `BYTES`",
			Value: wholeNumber{&o.ItemMin, 1, 1 << 19},
		},
		&cli.BoolFlag{
			Name: "disable-evictions", Aliases: []string{"M"}, Category: categoryMemory,
			Usage:              "when memory is full refuse new items instead of evicting old ones",
			DisableDefaultText: true,
			Destination:        &o.NoEvict,
		},
		&cli.BoolFlag{
			Name: "enable-largepages", Aliases: []string{"L"}, Category: categoryMemory,
			Usage:              "ask the kernel for huge pages",
			DisableDefaultText: true,
			Destination:        &o.HugePages,
		},
		&cli.GenericFlag{
			Name: "client-memory", Category: categoryMemory,
			Usage:       "memory for what clients send and do not take, over all of them, in `BYTES` (suffixes k, m): above it those that hold the most are closed; 0: no limit",
			Value:       noted{byteSize{&o.ClientMemory, 0, 1 << 44}, &o.clientMemoryGiven},
			DefaultText: "64k for each of -c, a quarter of -m at most, 32m at least",
		},
		&cli.GenericFlag{
			Name: "memory-file", Aliases: []string{"e"}, Category: categoryMemory,
			Usage: "keep the items in `FILE`, and a file beside it, over a stop and a start with the same settings",
			Value: text{&o.File},
		},
	}
}

// The limit can be raised to so much by the command cache_memlimit: address space is all that it costs.
const (
	growth     = 4       // times the limit,
	growthFrom = 8 << 30 // but to this in any case; bytes
)

// Store is the configuration of the item store.
func (o *Memory) Store() store.Config {
	return store.Config{
		Limit:    o.Limit,
		LimitMax: max(growth*o.Limit, growthFrom),
		ItemMax:  int(o.ItemMax),
		Factor:   o.Factor,
		ChunkMin: o.ItemMin,
		NoEvict:  o.NoEvict,

		HugePages: o.HugePages,
		File:      o.File,
	}
}

// Limits in bytes of the memory for clients: the least one, and what is taken unless one is given.
const (
	leastClients   = 4 << 20
	defaultClients = 32 << 20
	eachClient     = 64 << 10
)

// defaultClientMemory is the limit in bytes of what so many clients may make the server hold unless one is given.
func (o *Memory) defaultClientMemory(maxConns int) int64 {
	return max(defaultClients, min(o.Limit/4, eachClient*int64(maxConns)))
}

func (o *Memory) validate() (err error) {
	if o.ClientMemory != 0 && o.ClientMemory < leastClients {
		return fmt.Errorf("--client-memory must be 0 or at least %s", formatSize(leastClients))
	}
	if o.File != "" {
		// Daemons change their directory.
		if o.File, err = filepath.Abs(o.File); err != nil {
			return fmt.Errorf("-e, --memory-file: %w", err)
		}
	}
	if o.ItemMax > o.Limit/2 {
		return fmt.Errorf("-I, --max-item-size (%s) must be at most half of -m, --memory-limit (%s)",
			formatSize(o.ItemMax), formatSize(o.Limit))
	}
	return o.Store().Validate()
}
