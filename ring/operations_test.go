package ring

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	sys "github.com/iceber/iouring-go/syscall"
)

// allBut are the operations of the table but one.
func allBut(code uint8) (codes []uint8) {
	for _, op := range operations {
		if op.code != code {
			codes = append(codes, op.code)
		}
	}
	return codes
}

// TestProbeFindsDeniedOperation: an operation that the kernel refuses is found before anybody depends on it. Restrictions of a ring
// are what task-wide filters of 7.0 look like to it.
func TestProbeFindsDeniedOperation(t *testing.T) {
	all := probe(t)
	for _, o := range all.Operations() {
		if o.Err != nil && !errors.Is(o.Err, ErrNotSupported) {
			t.Errorf("%s: %v", o.Name, o.Err)
		}
	}
	for _, op := range operations {
		if cannot(all.Operations(), op.code) != nil {
			continue // not in this kernel
		}
		fs, err := Options{Operations: allBut(op.code)}.Probe()
		if op.without == noRing && (!errors.Is(err, ErrDenied) || !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "operation "+op.name+": denied")) {
			t.Errorf("without %s: %v", op.name, err)
		}
		if op.without != noRing && err != nil {
			t.Errorf("without %s, which can be done without: %v", op.name, err)
		}
		for _, o := range fs.Operations() {
			if denied := errors.Is(o.Err, ErrDenied); denied != (o.Code == op.code) {
				t.Errorf("without %s: %s: %v", op.name, o.Name, o.Err)
			}
		}
	}
}

// TestDeniedZeroCopy: the feature is off where its operation is denied, and nothing else is.
func TestDeniedZeroCopy(t *testing.T) {
	all := probe(t)
	if !all.Has(SendmsgZC) {
		t.Skip("the kernel has no SENDMSG_ZC (requires >= 6.1)")
	}
	fs, err := Options{Operations: allBut(sys.IORING_OP_SENDMSG_ZC)}.Probe()
	if err != nil || fs.Has(SendmsgZC) || !fs.Has(all.set&^(SendmsgZC|BusyPolling)) { // restricted rings may not register for busy polling
		t.Errorf("%v, %v; want %v without sendmsg-zc", fs, err, all)
	}
	i := slices.IndexFunc(fs.Results(), func(r Result) bool { return r.Feature == SendmsgZC })
	if err := fs.Results()[i].Err; !errors.Is(err, ErrDenied) {
		t.Errorf("the result says %v", err)
	}
}

// TestLockedMemory: what is computed is what the kernel maps.
func TestLockedMemory(t *testing.T) {
	for _, o := range []Options{{Entries: 8, CQEntries: 64}, {Entries: 512, CQEntries: 4096}, {Entries: 64}} {
		r := newRing(t, o)
		if got, want := o.LockedMemory(), wholePages(len(r.ringMem))+wholePages(len(r.sqeMem)); got != want {
			t.Errorf("%d entries: %d bytes, the kernel maps %d", o.Entries, got, want)
		}
		for _, count := range []int{1, 64, 1000, 1024, 1025} {
			b, err := NewBufRing(r, 1, 1, count, 64)
			if err != nil {
				t.Fatal(err)
			}
			if got := BufRingLockedMemory(count); got != len(b.mem) {
				t.Errorf("%d buffers: %d bytes, mapped are %d", count, got, len(b.mem))
			}
			_ = b.Close()
		}
	}
}
