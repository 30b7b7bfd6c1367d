package store

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// errAltered is for items that are not those that Save left there.
var errAltered = errors.New("its items are damaged, or were changed since they were kept")

// sumPages is the checksum of each of the pages, of what is carved of it, 0 for none. It reads the file and not the mapping, so that a disk
// that fails is an error and no signal; all cores take part.
func (s *Store) sumPages(pages []pageBook) ([]uint64, error) {
	sums := make([]uint64, len(pages))
	workers := min(runtime.NumCPU(), len(pages))
	errs := make([]error, workers)
	var next atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			buf := make([]byte, PageSize)
			for {
				i := next.Add(1) - 1
				if i >= int64(len(pages)) {
					return
				}
				used := buf[:pages[i].Carved*s.classes[pages[i].Class].size]
				if len(used) == 0 {
					continue
				}
				if _, err := s.file.items.ReadAt(used, i*PageSize); err != nil {
					errs[w] = err
					return
				}
				sums[i] = xxh3.Hash(used)
			}
		})
	}
	all.Wait()
	return sums, errors.Join(errs...)
}

// checkSums refuses pages that are not as they were.
func (s *Store) checkSums(pages []pageBook) error {
	sums, err := s.sumPages(pages)
	if err != nil {
		return err
	}
	for i := range pages {
		if pages[i].Sum != sums[i] {
			return errAltered
		}
	}
	return nil
}
