package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"ringcached/cmd/ringcached/process"
	"ringcached/store"
)

// reportRestored says what became of the items of an earlier server.
func reportRestored(file string, items *store.Store, took time.Duration, log process.LogFunc) {
	if file == "" {
		return
	}
	r := items.Restored()
	if r.Why != nil {
		log(0, "-e %s: starting empty: %v", file, r.Why)
		return
	}
	log(0, "took up %s from %s in %v", plural(int(r.Items), "item"), file, took.Round(time.Millisecond))
}

// keepItems saves the items of -e for the next server. That they can't be saved is no failure of
// this one: the next starts empty.
func keepItems(file string, items *store.Store, c *clock, handsOver bool, log process.LogFunc) {
	begin := time.Now()
	c.tick(begin)
	n, err := items.Save(begin, begin.Sub(c.start))
	if err == nil && !handsOver { // to a server that has the files, whatever has become of their names
		err = stillThere(items)
	}
	if err != nil {
		log(0, "warning: -e %s: the items are lost: %v", file, err)
		return
	}
	log(0, "kept %s in %s in %v", plural(int(n), "item"), file, time.Since(begin).Round(time.Millisecond))
}

// stillThere is an error if a file of -e has been removed while the server ran: nobody will find what was saved.
func stillThere(items *store.Store) error {
	a, b, err := items.Files()
	if err != nil {
		return err
	}
	defer syscall.Close(a)
	defer syscall.Close(b)
	for _, fd := range []int{a, b} {
		var stat syscall.Stat_t
		if err := syscall.Fstat(fd, &stat); err != nil {
			return os.NewSyscallError("fstat", err)
		}
		if stat.Nlink == 0 {
			return errors.New("a file was removed while the server ran")
		}
	}
	return nil
}

// accessWrite is W_OK of unistd.h, which package syscall leaves out.
const accessWrite = 2

// checkFile says whether the files could be made.
func checkFile(file string, note process.LogFunc) {
	if file == "" {
		return
	}
	note(0, "keeps the items in %s and %s", file, file+store.MetaSuffix)
	if dir := filepath.Dir(file); syscall.Access(dir, accessWrite) != nil {
		note(0, "warning: -e: %s is no directory that can be written to", dir)
	}
	process.WarnOfTransientPlace(file, note)
}
