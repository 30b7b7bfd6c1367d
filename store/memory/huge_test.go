package memory

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// takesHuge skips the test where huge pages cannot be made of memory that is in use.
func takesHuge(t *testing.T) {
	t.Helper()
	size := CollapsibleSize()
	switch {
	case size == 0:
		t.Skip("no huge pages of 1 or 2 MiB: it takes a kernel with CONFIG_TRANSPARENT_HUGEPAGE, and /sys mounted")
	case !HugePagesAllowed(size):
		t.Skip("huge pages are switched off: set " + hugeFolder + "enabled to madvise")
	}
	m, err := Map("a test", size, 0, false, size)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Unmap()
	touch(m)
	switch err := m.Collapse(0, size); {
	case errors.Is(err, syscall.EINVAL):
		t.Skip("this kernel makes no huge pages of memory that is in use: it takes 6.1")
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EBUSY):
		t.Skip("there is no memory for huge pages: it takes some MiB in one piece")
	}
}

// touch writes to every page of a mapping.
func touch(m *Mapping) {
	for off := 0; off < int(m.Size()); off += os.Getpagesize() {
		m.mem[off] = 1
	}
}

// run lets huge pages be made for that long, by a clock that does not wait, and returns the time then.
func run(h *HugePages, now time.Time, d time.Duration) time.Time {
	for end := now.Add(d); now.Before(end); {
		now = now.Add(h.Slice(now))
	}
	return now
}

// four is memory of four huge pages, of which one is not all in use, and one was never used.
func four(t *testing.T) (*HugePages, *Mapping) {
	t.Helper()
	const size = 2 << 20
	m, err := Map("a test", 4*size, 0, false, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Unmap(); err != nil {
			t.Error(err)
		}
	})
	h := NewHugePages()
	h.size = size
	h.allowed = func() bool { return true }
	h.Add(m, func() int64 { return 3*size + size/2 }, func(off, n int64) bool { return off != size })
	return h, m
}

func TestHugePagesChosen(t *testing.T) {
	h, m := four(t)
	var made []int64
	h.collapse = func(_ *Mapping, off, n int64) error { made = append(made, off/n); return nil }
	now := run(h, time.Now(), time.Hour)
	if !slices.Equal(made, []int64{0, 2}) || h.Bytes() != 4<<20 || h.Failures() != 0 {
		t.Errorf("%v made, %d bytes, %d failures", made, h.Bytes(), h.Failures())
	}
	h.Forget(m, 5<<20, 1<<20) // the second half of the third
	if h.Bytes() != 2<<20 {
		t.Errorf("%d bytes after a part was given back", h.Bytes())
	}
	run(h, now, time.Hour)
	if !slices.Equal(made, []int64{0, 2, 2}) || h.Bytes() != 4<<20 {
		t.Errorf("%v made, %d bytes", made, h.Bytes())
	}
}

// TestHugePagesRefused: what fails is not tried again and again.
func TestHugePagesRefused(t *testing.T) {
	for _, test := range []struct {
		name          string
		err           error
		allowed       bool
		first, second int // tries in the first hour, and in the next
	}{
		{"a kernel that cannot", syscall.EINVAL, true, 1, 0},
		{"no memory", syscall.ENOMEM, true, 65, 60}, // at once, after 1, 2, 4, 8, 16, 32 seconds, and then each minute
		{"the limit of a cgroup", syscall.EBUSY, true, 65, 60},
		{"in use by the kernel", syscall.EAGAIN, true, 65, 60},
		{"never", nil, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := four(t)
			tries := 0
			h.allowed = func() bool { return test.allowed }
			h.collapse = func(*Mapping, int64, int64) error { tries++; return test.err }
			now := run(h, time.Now(), time.Hour)
			if tries > test.first || test.first > 0 && tries == 0 {
				t.Errorf("%d tries in the first hour, at most %d are allowed", tries, test.first)
			}
			tries = 0
			now = run(h, now, time.Hour)
			if tries > test.second {
				t.Errorf("%d tries in the second hour, at most %d are allowed", tries, test.second)
			}
			if h.Bytes() != 0 || (h.Failures() == 0) != (test.err == nil) {
				t.Errorf("%d bytes, %d failures", h.Bytes(), h.Failures())
			}
			// What is possible later happens then; but a kernel that cannot do it is not asked.
			h.allowed = func() bool { return true }
			h.collapse = func(*Mapping, int64, int64) error { return nil }
			run(h, now, 5*time.Minute)
			if want := !errors.Is(test.err, syscall.EINVAL); (h.Bytes() == 4<<20) != want {
				t.Errorf("%d bytes later", h.Bytes())
			}
		})
	}
}

// TestHugePagesPause: the longer others had to wait for a huge page, the longer they have none to wait for.
func TestHugePagesPause(t *testing.T) {
	h, _ := four(t)
	const took = 20 * time.Millisecond
	h.collapse = func(*Mapping, int64, int64) error { time.Sleep(took); return nil }
	now := time.Now()
	if pause := h.Slice(now); h.Bytes() != 2<<20 || pause < hugeShare*took {
		t.Errorf("a pause of %v after %v, %d bytes", pause, took, h.Bytes())
	}
	if h.Slice(now.Add(hugeShare*took - 1)); h.Bytes() != 2<<20 {
		t.Errorf("%d bytes before the pause is over", h.Bytes())
	}
}

// TestHugePagesRefusedOnce: EINVAL is one huge page's matter where others were made.
func TestHugePagesRefusedOnce(t *testing.T) {
	h, _ := four(t)
	refused := false
	h.collapse = func(_ *Mapping, off, _ int64) error {
		if off == 0 || refused {
			return nil
		}
		refused = true
		return syscall.EINVAL
	}
	run(h, time.Now(), time.Hour)
	if h.Bytes() != 4<<20 || h.Failures() != 1 {
		t.Errorf("%d bytes, %d failures", h.Bytes(), h.Failures())
	}
}

func TestHugePagesAllowed(t *testing.T) {
	for _, test := range []struct {
		general, size string // contents of the files, "" for none
		want          bool
	}{
		{"", "", false},
		{"[always] madvise never\n", "", true},
		{"always [madvise] never\n", "", true},
		{"always madvise [never]\n", "", false},
		{"always [madvise] never\n", "always [inherit] madvise never\n", true},
		{"always madvise [never]\n", "always [inherit] madvise never\n", false},
		{"[always] madvise never\n", "always inherit madvise [never]\n", false},
		{"always madvise [never]\n", "always inherit [madvise] never\n", true},
	} {
		folder := t.TempDir() + "/"
		for name, text := range map[string]string{"enabled": test.general, "hugepages-2048kB/enabled": test.size} {
			if text == "" {
				continue
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(folder+name), 0o755), os.WriteFile(folder+name, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if got := allowedIn(folder, 2<<20); got != test.want {
			t.Errorf("%q, %q: %v", test.general, test.size, got)
		}
	}
}

// TestPartOfHugePage: when a part of a huge page is given back the kernel has its memory, and does not wait until memory is short.
func TestPartOfHugePage(t *testing.T) {
	takesHuge(t)
	flags, err := os.Open("/proc/kpageflags")
	if err != nil {
		t.Skipf("%v: run the test as root, with the capability CAP_SYS_ADMIN", err)
	}
	defer flags.Close()
	size := CollapsibleSize()
	half := size / 2
	m, err := Map("a test", size, 0, false, size)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Unmap()
	// The kernel does not split what it happens to be at work on itself, so that it fails once does not count.
	made := false
	for range 10 {
		touch(m)
		if m.Collapse(0, size) != nil || !inCompound(t, flags, m, size-1) {
			continue
		}
		made = true
		if err := m.GiveBack(0, half); err != nil {
			t.Fatal(err)
		}
		if m.mem[0] != 0 || m.mem[half] != 1 {
			t.Fatalf("what was given back begins with %d, the rest with %d", m.mem[0], m.mem[half])
		}
		if !inCompound(t, flags, m, size-1) {
			return
		}
	}
	if !made {
		t.Skip("there is no memory for huge pages: it takes some MiB in one piece")
	}
	t.Error("what is left keeps the whole huge page")
}

// inCompound reports whether the kernel has the page at off bytes in a huge page, or another larger one.
func inCompound(t *testing.T, flags *os.File, m *Mapping, off int64) bool {
	t.Helper()
	const present, frame, compound = 1 << 63, 1<<55 - 1, 1<<15 | 1<<16 // KPF_COMPOUND_HEAD, KPF_COMPOUND_TAIL
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer pagemap.Close()
	word := func(f *os.File, number int64) uint64 {
		var b [8]byte
		if _, err := f.ReadAt(b[:], number*8); err != nil {
			t.Fatal(err)
		}
		return binary.NativeEndian.Uint64(b[:])
	}
	address := int64(uintptr(m.Base())) + off
	entry := word(pagemap, address/int64(os.Getpagesize()))
	if entry&present == 0 {
		t.Fatal("the page is not there")
	}
	if entry&frame == 0 {
		t.Skip("the kernel does not say where pages are: run the test with the capability CAP_SYS_ADMIN")
	}
	return word(flags, int64(entry&frame))&compound != 0
}
