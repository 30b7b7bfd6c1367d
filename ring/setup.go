package ring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Options says how large a ring is, and which features it may use.
type Options struct {
	Entries    uint32        // submission entries; rounded up to a power of two by the kernel
	CQEntries  uint32        // completion entries; 0: sixteen times Entries
	Features   Features      // what may be used, usually what Probe found; zero: try everything
	SQPoll     time.Duration // a thread of the kernel's takes the entries, and sleeps after so long without any; 0: none
	MemoryWait time.Duration // how long making the ring and its buffer rings waits for memory, see retryNoMemory; 0: DefaultMemoryWait, below 0: not at all
	Use        *Use          // what the ring is for: it may do nothing else, where Features has Restrictions; nil: everything
	Operations []uint8       // the only operations that it may do, whatever Use says; nil: those of Use. For tests
	PlainEnter bool          // do not register the ring's own descriptor
}

// Ring is one io_uring. It belongs to the thread that made it. Close frees it.
type Ring struct {
	fd         int
	enterFD    uintptr
	enterFlags uint32
	setupFlags uint32
	features   uint32
	sq         submissionQueue
	cq         completionQueue
	ringMem    []byte
	sqeMem     []byte
	wait       *waitArg
	waitMem    []byte
	direct     bool
	polled     bool      // a thread of the kernel's takes the entries
	calls      uint64    // of io_uring_enter
	waitUntil  time.Time // for memory
}

type submissionQueue struct {
	head, tail, flags *uint32
	entries           []SQE
	mask              uint32
	next              uint32 // tail as seen here: entries below it are prepared
}

type completionQueue struct {
	head, tail, overflow *uint32
	entries              []CQE
	mask                 uint32
	next                 uint32 // head as seen here: entries below it were read
}

// waitArg is what a timed io_uring_enter points to.
type waitArg struct {
	arg geteventsArg
	ts  timespec
}

// setupCandidate is a set of optional setup flags, and the features that it takes.
type setupCandidate struct {
	since string
	needs Feature
	flags uint32
}

// setupCandidates holds the optional setup flags from the newest kernel's to those of
// 5.19, the oldest that is served. A kernel that lacks one of them answers EINVAL.
var setupCandidates = []setupCandidate{
	{"6.6", NoSQArray | DeferTaskrun | SingleIssuer, IORING_SETUP_NO_SQARRAY | setupDeferred},
	{"6.1", DeferTaskrun | SingleIssuer, setupDeferred},
	{"6.0", SingleIssuer, IORING_SETUP_SINGLE_ISSUER | setupCooperative},
	{"5.19", 0, setupCooperative},
}

// How the kernel gets its work for the ring done on the thread that has it.
const (
	setupCooperative = sys.IORING_SETUP_COOP_TASKRUN | sys.IORING_SETUP_TASKRUN_FLAG
	setupDeferred    = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | sys.IORING_SETUP_TASKRUN_FLAG
)

// New makes a ring for the calling thread, with the best setup flags that the
// kernel and o.Features have. It fails with an error that wraps the errno: EPERM
// where the kernel.io_uring_disabled sysctl forbids rings, ENOSYS where the kernel
// or a container's seccomp filter has none, EINVAL before 5.19, EMFILE where a limit
// is reached, ENOMEM likewise; if it may be the limit on locked memory it wraps
// ErrMemory, too.
func New(o Options) (*Ring, error) {
	if o.CQEntries == 0 {
		o.CQEntries = 16 * o.Entries
	}
	candidates := setupCandidates
	if o.SQPoll > 0 {
		candidates = polledCandidates
	}
	var last error
	for _, candidate := range candidates {
		if o.Features.known && !o.Features.Has(candidate.needs) {
			continue
		}
		r, err := setup(o, candidate.flags)
		if err == nil {
			return r, nil
		}
		last = err
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return nil, fmt.Errorf("io_uring_setup: %w%s", last, setupHint(last))
}

func setupHint(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return " (forbidden by sysctl kernel.io_uring_disabled or a seccomp filter)"
	case errors.Is(err, unix.ENOSYS):
		return " (not in this kernel, or hidden by a container's seccomp filter)"
	case errors.Is(err, unix.EINVAL):
		return " (requires >= 5.19)"
	case errors.Is(err, ErrMemory):
		return " (RLIMIT_MEMLOCK or memory exhausted)"
	case errors.Is(err, unix.ENOMEM):
		return " (memory or address space exhausted, ulimit -v)"
	case errors.Is(err, unix.EMFILE):
		return " (RLIMIT_NOFILE)"
	}
	return ""
}

// bare takes the name of the call off an error of the ABI package, which spells it in its own way.
func bare(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func setup(o Options, optional uint32) (*Ring, error) {
	p := sys.IOURingParams{
		CQEntries: o.CQEntries,
		Flags:     optional | sys.IORING_SETUP_SUBMIT_ALL | sys.IORING_SETUP_CQSIZE | sys.IORING_SETUP_CLAMP,

		SQThreadIdle: uint32(o.SQPoll.Milliseconds()),
	}
	restrictions := o.restrictions()
	if restrictions != nil {
		p.Flags |= sys.IORING_SETUP_R_DISABLED
	}
	var fd int
	if o.MemoryWait == 0 {
		o.MemoryWait = DefaultMemoryWait
	}
	waitUntil := time.Now().Add(o.MemoryWait)
	if err := retryNoMemory(waitUntil, func() (err error) {
		fd, err = sys.IOURingSetup(uint(o.Entries), &p)
		return bare(err)
	}); err != nil {
		return nil, err
	}
	r := &Ring{fd: fd, enterFD: uintptr(fd), setupFlags: p.Flags, features: p.Features, polled: p.Flags&sys.IORING_SETUP_SQPOLL != 0, waitUntil: waitUntil}
	if p.Features&sys.IORING_FEAT_SINGLE_MMAP == 0 || p.Features&sys.IORING_FEAT_NODROP == 0 || p.Features&IORING_FEAT_EXT_ARG == 0 {
		_ = r.Close()
		return nil, fmt.Errorf("features %#x: %w", p.Features, unix.EINVAL)
	}
	err := r.mapQueues(&p)
	if err == nil && restrictions != nil {
		err = r.restrict(restrictions)
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	if !o.PlainEnter {
		r.registerSelf()
	}
	if p.Features&IORING_FEAT_NO_IOWAIT != 0 && (!o.Features.known || o.Features.Has(NoIOWait)) {
		r.enterFlags |= IORING_ENTER_NO_IOWAIT
	}
	return r, nil
}

func (r *Ring) mapQueues(p *sys.IOURingParams) error {
	size := max(
		int(p.SQOffset.Array+p.SQEntries*4),
		int(p.CQOffset.Cqes)+int(p.CQEntries)*int(unsafe.Sizeof(CQE{})))
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	var err error
	if r.ringMem, err = unix.Mmap(r.fd, int64(sys.IORING_OFF_SQ_RING), size, prot, flags); err != nil {
		return fmt.Errorf("mapping the rings: %w", err)
	}
	if r.sqeMem, err = unix.Mmap(r.fd, int64(sys.IORING_OFF_SQES), int(p.SQEntries)*int(unsafe.Sizeof(SQE{})), prot, flags); err != nil {
		return fmt.Errorf("mapping the submission entries: %w", err)
	}
	if r.waitMem, err = Map(int(unsafe.Sizeof(waitArg{}))); err != nil {
		return err
	}
	r.wait = (*waitArg)(unsafe.Pointer(&r.waitMem[0]))
	r.wait.arg.ts = uint64(uintptr(unsafe.Pointer(&r.wait.ts)))

	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.ringMem[off])) }
	r.sq = submissionQueue{
		head:    word(p.SQOffset.Head),
		tail:    word(p.SQOffset.Tail),
		flags:   word(p.SQOffset.Flags),
		entries: unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqeMem[0])), p.SQEntries),
		mask:    *word(p.SQOffset.RingMask),
		next:    *word(p.SQOffset.Tail),
	}
	r.cq = completionQueue{
		head:     word(p.CQOffset.Head),
		tail:     word(p.CQOffset.Tail),
		overflow: word(p.CQOffset.Overflow),
		entries:  unsafe.Slice((*CQE)(unsafe.Pointer(&r.ringMem[p.CQOffset.Cqes])), p.CQEntries),
		mask:     *word(p.CQOffset.RingMask),
		next:     *word(p.CQOffset.Head),
	}
	if r.setupFlags&IORING_SETUP_NO_SQARRAY == 0 {
		// Entry i is always submitted through slot i.
		array := unsafe.Slice(word(p.SQOffset.Array), p.SQEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
	return nil
}

// registerSelf registers the ring's descriptor with itself, which spares the
// kernel the look-up of the file on every enter (6.0; without it nothing changes).
// The registration is the thread's own.
func (r *Ring) registerSelf() {
	up := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	n, _, errno := unix.Syscall6(sys.SYS_IO_URING_REGISTER, uintptr(r.fd), uintptr(IORING_REGISTER_RING_FDS), uintptr(unsafe.Pointer(&up)), 1, 0, 0)
	if errno == 0 && n == 1 {
		r.enterFD = uintptr(up.offset)
		r.enterFlags |= IORING_ENTER_REGISTERED_RING
	}
}

// LockedMemory returns how many bytes of locked memory a ring with these options counts
// as, on kernels from 6.14 to 7.2.10: the queues, in whole pages.
func (o Options) LockedMemory() int {
	const header = 320 // struct io_rings; a few bytes more or less make no page of difference
	entries, completions := o.Entries, o.CQEntries
	if completions == 0 {
		completions = 16 * entries
	}
	rings := header + int(completions)*int(unsafe.Sizeof(CQE{})) + int(entries)*4
	return wholePages(rings) + wholePages(int(entries)*int(unsafe.Sizeof(SQE{})))
}

// FD returns the ring's descriptor.
func (r *Ring) FD() int { return r.fd }

// SetupFlags returns the IORING_SETUP_ flags that the ring was made with.
func (r *Ring) SetupFlags() uint32 { return r.setupFlags }

// deferred reports that completions are only posted while the ring is entered.
func (r *Ring) deferred() bool { return r.setupFlags&IORING_SETUP_DEFER_TASKRUN != 0 }

// Close frees the ring. Operations still under way are cancelled by the kernel
// soon after, not at once: memory that they name must stay mapped until their
// completions were seen.
func (r *Ring) Close() error {
	if r.enterFlags&IORING_ENTER_REGISTERED_RING != 0 {
		up := rsrcUpdate{offset: uint32(r.enterFD)}
		_, _, _ = unix.Syscall6(sys.SYS_IO_URING_REGISTER, uintptr(r.fd), uintptr(IORING_UNREGISTER_RING_FDS), uintptr(unsafe.Pointer(&up)), 1, 0, 0)
	}
	for _, mem := range [][]byte{r.ringMem, r.sqeMem, r.waitMem} {
		if mem != nil {
			_ = unix.Munmap(mem)
		}
	}
	r.ringMem, r.sqeMem, r.waitMem = nil, nil, nil
	return unix.Close(r.fd)
}

// Pending returns how many entries are prepared and not submitted yet.
func (r *Ring) Pending() uint32 { return r.sq.next - atomic.LoadUint32(r.sq.head) }

// Taken returns how many entries the kernel has taken since the ring was made. It wraps around.
func (r *Ring) Taken() uint32 { return atomic.LoadUint32(r.sq.head) }

// Calls returns how often io_uring_enter was called.
func (r *Ring) Calls() uint64 { return r.calls }

// RegisterDirect gives the ring an empty table of n direct descriptors. A table may
// hold at most RLIMIT_NOFILE entries.
func (r *Ring) RegisterDirect(n int) error {
	reg := rsrcRegister{nr: uint32(n), flags: IORING_RSRC_REGISTER_SPARSE}
	if err := sys.IOURingRegister(r.fd, IORING_REGISTER_FILES2, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg))); err != nil {
		return fmt.Errorf("registering %d direct descriptors (requires >= 5.19, and no more than RLIMIT_NOFILE): %w", n, err)
	}
	r.direct = true
	return nil
}

// setDirect puts the descriptor fd into a slot of the table.
func (r *Ring) setDirect(slot uint32, fd int) error {
	fds := (*int32)(unsafe.Pointer(&r.waitMem[len(r.waitMem)-4])) // mapped memory, unused so far in its page
	*fds = int32(fd)
	up := rsrcUpdate{offset: slot, data: uint64(uintptr(unsafe.Pointer(fds)))}
	return sys.IOURingRegister(r.fd, sys.IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&up), 1)
}
