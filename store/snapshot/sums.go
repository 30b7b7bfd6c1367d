package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// ErrAltered is for items that are not those that were saved.
var ErrAltered = errors.New("its items are damaged, or were changed since they were kept")

// Fingerprint is a short text that differs for different contents.
func Fingerprint(contents []byte) string { return fmt.Sprintf("%x", xxh3.Hash(contents)) }

// sum is the checksum of a header and the tables behind it.
func (h *header) sum(tables []byte) (uint64, error) {
	head, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		return 0, err
	}
	hash := xxh3.New()
	_, _ = hash.Write(head[:len(head)-8])
	_, _ = hash.Write(tables)
	return hash.Sum64(), nil
}

// transferStep is how many bytes of the index are moved and summed up at a time: so much stays in the processor's cache.
const transferStep = 256 << 10

// transfer reads or writes memory at an offset of a file, by move, and sums it up.
func transfer(parts [][]byte, off int64, move func([]byte, int64) (int, error)) (sum uint64, err error) {
	hash := xxh3.New()
	for _, part := range parts {
		for len(part) > 0 {
			step := part[:min(len(part), transferStep)]
			if _, err := move(step, off); err != nil {
				return 0, err
			}
			_, _ = hash.Write(step)
			part, off = part[len(step):], off+int64(len(step))
		}
	}
	return hash.Sum64(), nil
}

// sumPages is the checksum of the first used bytes of each of the pages of pageSize bytes in items, 0 for a page of which none is used. It reads
// the file and not the mapping, so that a disk that fails is an error and no signal; all cores take part.
func sumPages(items io.ReaderAt, pageSize int, used []int) ([]uint64, error) {
	sums := make([]uint64, len(used))
	workers := min(runtime.NumCPU(), len(used))
	errs := make([]error, workers)
	var next atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			buf := make([]byte, pageSize)
			for {
				i := next.Add(1) - 1
				if i >= int64(len(used)) {
					return
				}
				page := buf[:used[i]]
				if len(page) == 0 {
					continue
				}
				if _, err := items.ReadAt(page, i*int64(pageSize)); err != nil {
					errs[w] = err
					return
				}
				sums[i] = xxh3.Hash(page)
			}
		})
	}
	all.Wait()
	return sums, errors.Join(errs...)
}

// CheckPages refuses pages that are not as they were saved. used is how many bytes of each page are summed up, from its beginning.
func (f *File) CheckPages(pages []Page, pageSize int, used []int) error {
	sums, err := sumPages(f.Items, pageSize, used)
	if err != nil {
		return err
	}
	for i := range pages {
		if pages[i].Sum != sums[i] {
			return ErrAltered
		}
	}
	return nil
}
