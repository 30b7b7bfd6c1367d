package snapshot

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	// MetaSuffix is what the name of the snapshot has behind that of the file with the items.
	MetaSuffix = ".meta"

	trailerMagic = "ringitem"
	TrailerRoom  = 4 << 10  // bytes behind the items' mapping, with the trailer at their end
	reserveStep  = 64 << 20 // bytes that are reserved by one call: what a signal interrupts may be done in vain
)

// fileID is drawn at every start and stands in both files, so that two that do not belong together are noticed.
type fileID [16]byte

// trailer is the end of the file with the items: magic and id.
type trailer [len(trailerMagic) + len(fileID{})]byte

// TrailerSize is the size of the trailer in bytes.
const TrailerSize = len(trailer{})

// Pair is the items' file and the meta file beside it, opened and locked.
type Pair struct{ Items, Meta *os.File }

// File is the two files of a store. Both are locked until Close, so that no two servers use one.
type File struct {
	Pair
	size int64  // of the items' file, as it is to be
	id   fileID // of this start, once Begin has been called
}

// Duplicate returns new descriptors of the two files, which are the caller's to close: what is locked stays locked until they are closed, too.
func (f *File) Duplicate() (items, meta int, err error) {
	if items, err = duplicate(f.Items); err != nil {
		return -1, -1, err
	}
	if meta, err = duplicate(f.Meta); err != nil {
		_ = syscall.Close(items)
		return -1, -1, err
	}
	return items, meta, nil
}

func duplicate(f *os.File) (int, error) {
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("fcntl", errno)
	}
	return int(fd), nil
}

// Open opens and locks both files, which are made if there are none, unless they are open. size is that of the items' memory in bytes, in whole
// pages of the system. Open changes nothing in the files, and refuses those with something in them that no store has written.
func Open(path string, opened Pair, size int64) (*File, error) {
	if opened.Items == nil || opened.Meta == nil {
		var err error
		if opened.Items, err = openLocked(path); err != nil {
			return nil, err
		}
		if opened.Meta, err = openLocked(path + MetaSuffix); err != nil {
			opened.Items.Close()
			return nil, err
		}
	}
	f := &File{Pair: opened, size: size + TrailerRoom}
	if err := f.checkOurs(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openLocked opens a file for one server alone. A symbolic link is not followed, since the name may lie in a directory that others can
// write to; for the same reason the file must be the user's own, or root's.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: memory file: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("store: memory file %s: %w", path, err)
	}
	return f, nil
}

func lockFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return errors.New("belongs to another user")
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return errors.New("in use by another server")
	case err != nil:
		return os.NewSyscallError("flock", err)
	}
	return nil
}

// checkOurs refuses files with something in them that no store has written, since a name may have been mistyped. Items whose end, by which
// they are known, was cut off are refused with them.
func (f *File) checkOurs() error {
	_, found, err := f.trailer()
	if err != nil {
		return err
	}
	if size, err := f.Items.Seek(0, io.SeekEnd); err != nil || size > 0 && !found {
		return errors.Join(err, fmt.Errorf("store: memory file %s: has something else in it, or was cut off; remove it, or name another", f.Items.Name()))
	}
	var begin [len(metaMagic)]byte
	n, err := f.Meta.ReadAt(begin[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n > 0 && string(begin[:]) != metaMagic && begin != [len(metaMagic)]byte{} {
		return fmt.Errorf("store: memory file %s: has something else in it; remove it, or name another", f.Meta.Name())
	}
	return nil
}

// trailer reads the id of the items, if there is one.
func (f *File) trailer() (id fileID, found bool, err error) {
	size, err := f.Items.Seek(0, io.SeekEnd)
	var t trailer
	if err != nil || size < int64(len(t)) {
		return id, false, err
	}
	if _, err := f.Items.ReadAt(t[:], size-int64(len(t))); err != nil {
		return id, false, err
	}
	copy(id[:], t[len(trailerMagic):])
	return id, bytes.HasPrefix(t[:], []byte(trailerMagic)), nil
}

// Begin makes the files those of a server that runs: the snapshot is gone, also after a crash of the machine, and the items have an id
// and their full size, all of it reserved, so that a full file system is an error here and not a signal later. kept says that the items
// there were restored. Whatever it is interrupted by, the file of the items ends with a trailer.
func (f *File) Begin(kept bool) error {
	if err := f.checkSpace(); err != nil {
		return err
	}
	if kept { // a failure here leaves everything as it was
		if err := f.reserveAll(); err != nil {
			return err
		}
	}
	err := f.Meta.Truncate(0)
	if err == nil {
		err = f.Meta.Sync()
	}
	if err != nil {
		return fmt.Errorf("store: memory file: %w", err)
	}
	if _, err := rand.Read(f.id[:]); err != nil {
		return err
	}
	t := append([]byte(trailerMagic), f.id[:]...)
	if _, err := f.Items.WriteAt(t, f.size-int64(len(t))); err != nil {
		return fmt.Errorf("store: memory file: %w", err)
	}
	if err := f.Items.Truncate(f.size); err != nil {
		return fmt.Errorf("store: memory file: %w", err)
	}
	return f.reserveAll()
}

// checkSpace looks whether the file system has room, before it is filled up in vain.
func (f *File) checkSpace() error {
	var file syscall.Stat_t
	var system syscall.Statfs_t
	if err := errors.Join(syscall.Fstat(int(f.Items.Fd()), &file), syscall.Fstatfs(int(f.Items.Fd()), &system)); err != nil {
		return fmt.Errorf("store: memory file %s: %w", f.Items.Name(), err)
	}
	const block = 512 // of st_blocks, whatever the file system's are
	free := int64(system.Bavail) * system.Bsize
	if need := f.size - file.Blocks*block; need > free {
		return fmt.Errorf("store: memory file %s: needs %d bytes more, and its file system has %d: %w", f.Items.Name(), need, free, syscall.ENOSPC)
	}
	return nil
}

// Unit is how many bytes side by side the store gives back and reserves at a time, least at the least. A file system on a disk may cache what lies
// side by side in one folio (ext4 since Linux 6.16, XFS), as large as a huge page at the most, and needs room for all of it at a write to any part:
// with a hole beside it, a write to a page whose memory was reserved is a SIGBUS if there is no room left. A huge page has huge bytes, 0 if that
// is not known.
func (f *File) Unit(least, huge int64) int64 {
	if f.inMemory() {
		return least
	}
	return max(cmp.Or(huge, 2<<20), least)
}

// inMemory reports whether the items' file is on a tmpfs.
func (f *File) inMemory() bool {
	const tmpfsMagic = 0x01021994
	var system syscall.Statfs_t
	return syscall.Fstatfs(int(f.Items.Fd()), &system) == nil && system.Type == tmpfsMagic
}

// reserveAll reserves all of the file.
func (f *File) reserveAll() error {
	for off := int64(0); off < f.size; off += reserveStep {
		if err := f.Reserve(off, min(reserveStep, f.size-off)); err != nil {
			return err
		}
	}
	return nil
}

// Reserve makes the file system set apart what n bytes at off of the items do not have yet.
func (f *File) Reserve(off, n int64) error {
	for {
		switch err := syscall.Fallocate(int(f.Items.Fd()), 0, off, n); {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("store: memory file %s: reserve %d bytes of %d: %w", f.Items.Name(), n, f.size, err)
		}
	}
}

// Close gives the files, and with them the locks, up. A nil File has none.
func (f *File) Close() {
	if f != nil {
		f.Items.Close()
		f.Meta.Close()
	}
}
