package ring

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// uses are what servers use rings for, with what the kernel must have for it.
var uses = []struct {
	name  string
	needs Feature
	use   Use
}{
	{"stream sockets", 0, Use{}},
	{"datagrams", 0, Use{Datagrams: true}},
	{"zero copy", SendmsgZC, Use{ZeroCopy: true}},
	{"direct descriptors", DirectRelease, Use{Direct: true}},
	{"direct descriptors, installed", DirectRelease | FixedInstall, Use{Direct: true, FixedInstall: true}},
	{"busy polling", BusyPolling, Use{BusyPoll: true}},
	{"all", SendmsgZC | DirectRelease | FixedInstall | BusyPolling, Use{Datagrams: true, ZeroCopy: true, Direct: true, FixedInstall: true, BusyPoll: true}},
}

// everyRestricted runs f with rings for each use, in each set of features that has what it needs.
func everyRestricted(t *testing.T, f func(t *testing.T, o Options)) {
	everySet(t, func(t *testing.T, o Options) {
		if !o.Features.Has(Restrictions) {
			t.Skip("rings cannot be restricted here")
		}
		for _, u := range uses {
			if o.Features.Has(u.needs) {
				o.Use = &u.use
				t.Run(u.name, func(t *testing.T) { f(t, o) })
			}
		}
	})
}

// kernelOperations is how many operations the kernel knows.
func kernelOperations(t *testing.T) int {
	t.Helper()
	p := new(opProbe)
	if err := sys.IOURingRegister(newRing(t, Options{Entries: 1}).fd, sys.IORING_REGISTER_PROBE, unsafe.Pointer(p), uint32(len(p.ops))); err != nil {
		t.Fatal(err)
	}
	return int(p.lastOp) + 1
}

// prepOpen opens the root directory.
func prepOpen(t *testing.T, e *SQE) {
	t.Helper()
	path, err := Map(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = Unmap(path) })
	path[0] = '/'
	e.prep(sys.IORING_OP_OPENAT, unix.AT_FDCWD, uint64(uintptr(unsafe.Pointer(&path[0]))), 0, 0)
	e.SetOpFlags(unix.O_RDONLY | unix.O_CLOEXEC)
}

// TestRestrictedRing: a ring opens no file, and does nothing else that it is not for; what it is for is not refused.
func TestRestrictedRing(t *testing.T) {
	operations := kernelOperations(t)
	everyRestricted(t, func(t *testing.T, o Options) {
		r := newRing(t, o)
		prepOpen(t, r.SQE())
		if c := wait(t, r); c.Res != -int32(unix.EACCES) {
			t.Errorf("openat: %d, want %d", c.Res, -int32(unix.EACCES))
		}
		permitted := o.Use.permissions()
		for op := range operations {
			r.SQE().prep(uint8(op), -1, 0, 0, 0)
			c := wait(t, r)
			refused := c.Res == -int32(unix.EACCES) || c.Res == -int32(unix.EINVAL) && slices.Contains(wideOperations, op)
			if refused == slices.Contains(permitted.operations, uint8(op)) {
				t.Errorf("operation %d: %d", op, c.Res)
			}
			for c.More() { // a notification follows
				c = wait(t, r)
			}
		}
		for _, flag := range []uint8{IOSQE_FIXED_FILE, ioDrain, ioLink, ioHardlink, async} {
			e := r.SQE()
			e.PrepPoll(-1, unix.POLLIN, false)
			e.SetFlags(flag)
			if c := wait(t, r); (c.Res == -int32(unix.EACCES)) == (permitted.flags&flag != 0) {
				t.Errorf("an entry with the flag %#x: %d", flag, c.Res)
			}
		}
	})
}

// Flags of entries that servers have no use for, IOSQE_.
const (
	ioDrain = 1 << (iota + 1)
	ioLink
	ioHardlink
	async
)

// wideOperations are IORING_OP_NOP128 and IORING_OP_URING_CMD128 (6.19). Their entries have 128 bytes, which rings of 64 find invalid before they look at what is
// permitted.
var wideOperations = []int{63, 64}

// TestRestrictedRegistrations: what a ring is not for cannot be registered with it either, and restrictions cannot be taken back.
func TestRestrictedRegistrations(t *testing.T) {
	known := probe(t)
	everyRestricted(t, func(t *testing.T, o Options) {
		r := newRing(t, o)
		b, err := NewBufRing(r, 0, 1, 4, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := r.RegisterDirect(4); errors.Is(err, syscall.EACCES) == o.Use.Direct {
			t.Errorf("direct descriptors: %v", err)
		}
		// Before 6.9 the kernel does not know of it, and says so before it looks at what is permitted.
		if err := r.BusyPoll(time.Microsecond); errors.Is(err, syscall.EACCES) == o.Use.BusyPoll && (known.Has(BusyPolling) || !errors.Is(err, ErrNotSupported)) {
			t.Errorf("busy polling: %v", err)
		}
		if _, err := r.hasOp(sys.IORING_OP_NOP); !errors.Is(err, syscall.EACCES) {
			t.Errorf("the list of operations: %v", err)
		}
		if err := r.restrict(&permissions{operations: []uint8{sys.IORING_OP_OPENAT}}); !errors.Is(err, syscall.EACCES) {
			t.Errorf("other restrictions: %v", err)
		}
	})
}

// TestUnrestrictedRing: without the feature, and without a use, a ring does everything, so the test above can fail.
func TestUnrestrictedRing(t *testing.T) {
	fs := probe(t)
	for name, o := range map[string]Options{
		"without the feature": {Entries: 8, Features: fs.Only(^Restrictions), Use: &Use{}},
		"without a use":       {Entries: 8, Features: fs},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, o)
			prepOpen(t, r.SQE())
			c := wait(t, r)
			if c.Res < 0 {
				t.Fatalf("openat: %v", syscall.Errno(-c.Res))
			}
			_ = unix.Close(int(c.Res))
		})
	}
}
