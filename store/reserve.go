package store

import "errors"

// spareAddresses is the address space in bytes that the reserve leaves to the rest of the process: to its heap, its connections, its rings.
const spareAddresses = 512 << 20

// reserve maps memory for Config.Limit, with address space up to LimitMax. Where there is less of that, as under a limit on it (ulimit -v),
// LimitMax is lowered.
func (s *Store) reserve() error {
	for {
		err := s.mapAll()
		least := s.config.pagesMax() == s.config.pages()
		if err == nil && !least {
			err = spare(spareAddresses)
		}
		if err == nil || least {
			return err
		}
		if err := s.unmapAll(); err != nil {
			return err
		}
		s.config.LimitMax /= 2
	}
}

// mapAll maps memory for the pages of the limit and for their items' index, and address space for the most pages.
func (s *Store) mapAll() (err error) {
	pages, most := s.config.pages(), s.config.pagesMax()
	if s.file != nil {
		s.itemMemory, err = mapFile("items", s.file.items, itemBytes(pages), s.config.HugePages)
	} else {
		s.itemMemory, err = mapMemory("items", itemBytes(pages), itemBytes(most), s.config.HugePages)
	}
	if err != nil {
		return err
	}
	now, then := s.indexRoom(pages), s.indexRoom(most)
	for _, m := range []struct {
		to        **mapping
		purpose   string
		now, most int64
	}{
		{&s.indexMemory, "the index", now.home(s), then.home(s)},
		{&s.spillMemory, "the index's overflow", now.overflow(), then.overflow()},
		{&s.ghostMemory, "evicted keys", now.ghosts(s), then.ghosts(s)},
		{&s.queueMemory, "probation", now.queues(), then.queues()},
	} {
		if *m.to, err = mapMemory(m.purpose, m.now, m.most, s.config.HugePages); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) unmapAll() error {
	return errors.Join(s.itemMemory.unmap(), s.indexMemory.unmap(), s.spillMemory.unmap(), s.ghostMemory.unmap(), s.queueMemory.unmap())
}
