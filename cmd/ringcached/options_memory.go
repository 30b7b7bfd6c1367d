package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ringcached/store"
)

// memoryOptions says how much is cached and how it is laid out.
type memoryOptions struct {
	limit   int64 // bytes
	itemMax int64 // bytes
	factor  float64
	itemMin int // bytes
	noEvict bool
	huge    bool   // pages
	file    string // empty: none

	clients      int64 // bytes that clients may make the server hold; 0: no limit
	clientsGiven bool
}

func newMemoryOptions() memoryOptions {
	return memoryOptions{limit: 64 << 20, itemMax: 1 << 20, factor: 1.25, itemMin: 48}
}

func (o *memoryOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "memory-limit", Aliases: []string{"m"}, Category: categoryMemory,
			Usage: "memory for items, in `MEGABYTES`",
			Value: megabytes{&o.limit, 1, 1 << 24},
		},
		&cli.GenericFlag{
			Name: "max-item-size", Aliases: []string{"I"}, Category: categoryMemory,
			Usage: "largest item with key and header, in `BYTES` (suffixes k, m), at most half of -m",
			Value: byteSize{&o.itemMax, 1 << 10, 1 << 30},
		},
		&cli.GenericFlag{
			Name: "slab-growth-factor", Aliases: []string{"f"}, Category: categoryMemory,
			Usage: "growth `FACTOR` from one slab class to the next",
			Value: decimal{&o.factor, 1},
		},
		&cli.GenericFlag{
			Name: "slab-min-size", Aliases: []string{"n"}, Category: categoryMemory,
			Usage: "room for key and value in the smallest chunk, in `BYTES`",
			Value: wholeNumber{&o.itemMin, 1, 1 << 19},
		},
		&cli.BoolFlag{
			Name: "disable-evictions", Aliases: []string{"M"}, Category: categoryMemory,
			Usage:              "when memory is full refuse new items instead of evicting old ones",
			DisableDefaultText: true,
			Destination:        &o.noEvict,
		},
		&cli.BoolFlag{
			Name: "enable-largepages", Aliases: []string{"L"}, Category: categoryMemory,
			Usage:              "ask the kernel for huge pages",
			DisableDefaultText: true,
			Destination:        &o.huge,
		},
		&cli.GenericFlag{
			Name: "client-memory", Category: categoryMemory,
			Usage:       "memory for what clients send and do not take, over all of them, in `BYTES` (suffixes k, m): above it those that hold the most are closed; 0: no limit",
			Value:       noted{byteSize{&o.clients, 0, 1 << 44}, &o.clientsGiven},
			DefaultText: "64k for each of -c, a quarter of -m at most, 32m at least",
		},
		&cli.GenericFlag{
			Name: "memory-file", Aliases: []string{"e"}, Category: categoryMemory,
			Usage: "keep the items in `FILE`, and a file beside it, over a stop and a start with the same settings",
			Value: text{&o.file},
		},
	}
}

// The limit can be raised to so much by the command cache_memlimit: address space is all that it costs.
const (
	growth     = 4       // times the limit,
	growthFrom = 8 << 30 // but to this in any case; bytes
)

// store is the configuration of the item store.
func (o *memoryOptions) store() store.Config {
	return store.Config{
		Limit:    o.limit,
		LimitMax: max(growth*o.limit, growthFrom),
		ItemMax:  int(o.itemMax),
		Factor:   o.factor,
		ChunkMin: o.itemMin,
		NoEvict:  o.noEvict,

		HugePages: o.huge,
		File:      o.file,
	}
}

// Limits in bytes of the memory for clients: the least one, and what is taken unless one is given.
const (
	leastClients   = 4 << 20
	defaultClients = 32 << 20
	eachClient     = 64 << 10
)

// clientsFor is the limit in bytes of what so many clients may make the server hold unless one is given.
func (o *memoryOptions) clientsFor(maxConns int) int64 {
	return max(defaultClients, min(o.limit/4, eachClient*int64(maxConns)))
}

func (o *memoryOptions) validate() (err error) {
	if o.clients != 0 && o.clients < leastClients {
		return fmt.Errorf("--client-memory must be 0 or at least %s", formatSize(leastClients))
	}
	if o.file != "" {
		// Daemons change their directory.
		if o.file, err = filepath.Abs(o.file); err != nil {
			return fmt.Errorf("-e, --memory-file: %w", err)
		}
	}
	if o.itemMax > o.limit/2 {
		return fmt.Errorf("-I, --max-item-size (%s) must be at most half of -m, --memory-limit (%s)",
			formatSize(o.itemMax), formatSize(o.limit))
	}
	return o.store().Validate()
}
