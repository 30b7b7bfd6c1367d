package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ringcached/batch"
	"ringcached/store"
)

// Descriptors are passed as systemd does it, see sd_listen_fds(3): from 3 on, with their number, the process that they are for, and their names in the environment.
const (
	ListenPID       = "LISTEN_PID"
	ListenFDs       = "LISTEN_FDS"
	listenNames     = "LISTEN_FDNAMES"
	listenPIDFD     = "LISTEN_PIDFDID" // the process id over again, in newer versions
	firstListenFD   = 3
	listenNamesGlue = ":"
)

// Names of what a server hands over to the next. What has another name is a socket that systemd, or somebody else, has made.
const (
	nameSocket    = "ringcached-socket" // and behind it -NAME, if its protocol has one
	nameOthers    = "socket"            // likewise, of one that others have made
	nameItems     = "ringcached-items"  // the file of -e
	nameItemsMeta = "ringcached-items-meta"
	nameMetrics   = "ringcached-metrics" // the listener of --metrics; others, who make one, name it so too
	nameOwn       = "-own"               // behind it, if a server has made it
	nameTalk      = "ringcached-talk"    // with the server that hands over
)

// Inheritance is what the process that started this one has passed to it.
type Inheritance struct {
	Sockets     *batch.Inherited // nil: none
	OwnSockets  bool             // a server has made the sockets, and removes the unix socket at the end
	items, meta int              // descriptors of the files of -e, 0: none
	metrics     int              // descriptor of the listener of --metrics, 0: none
	ownMetrics  bool             // a server has made it
	predecessor *talk            // the server that hands over; nil: none
}

var ErrActivatedDaemon = errors.New("-d, --daemon can't be used with sockets that were passed (LISTEN_FDS): a unit with Type=notify needs no daemon")

// TakeInheritance takes the descriptors that were passed to this process, and removes what names them from the environment, for processes that
// this one may start. labelOf knows the label of a socket whose protocol has this name, "" for one that has none; handedOver is whether a server hands it over.
func TakeInheritance(labelOf func(protocol string, handedOver bool) uint8) (in Inheritance, err error) {
	pid, count, names := os.Getenv(ListenPID), os.Getenv(ListenFDs), os.Getenv(listenNames)
	for _, name := range []string{ListenPID, ListenFDs, listenNames, listenPIDFD} {
		_ = os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return in, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1<<16 {
		return in, fmt.Errorf("%s=%s in the environment is not a number of descriptors", ListenFDs, count)
	}
	named := strings.Split(names, listenNamesGlue)
	handedOver := slices.Contains(named, nameTalk)
	var sockets []batch.ListeningSocket
	for i := range n {
		fd, name := firstListenFD+i, ""
		if i < len(named) {
			name = named[i]
		}
		switch name {
		case nameItems:
			in.items = fd
		case nameItemsMeta:
			in.meta = fd
		case nameMetrics, nameMetrics + nameOwn:
			in.metrics, in.ownMetrics = fd, name != nameMetrics
		case nameTalk:
			if in.predecessor, err = newTalk(fd); err != nil {
				return in, err
			}
		default:
			protocol, own := protocolOf(name, handedOver)
			in.OwnSockets = in.OwnSockets || own
			sockets = append(sockets, batch.ListeningSocket{FD: fd, Label: labelOf(protocol, handedOver)})
		}
	}
	if len(sockets) > 0 {
		if in.Sockets, err = batch.Inherit(sockets); err != nil {
			return in, fmt.Errorf("%s=%d: %w", ListenFDs, n, err)
		}
	}
	return in, nil
}

// socketName is the name of a socket that is handed over: behind it stands its protocol, if it has one.
func socketName(own bool, protocol string) string {
	name := nameOthers
	if own {
		name = nameSocket
	}
	if protocol != "" {
		name += "-" + protocol
	}
	return name
}

// protocolOf is the protocol in the name of a socket, and whether a server has made the socket. Names that systemd gives mean nothing.
func protocolOf(name string, handedOver bool) (protocol string, own bool) {
	if rest, own := strings.CutPrefix(name, nameSocket); own {
		return strings.TrimPrefix(rest, "-"), true
	}
	if rest, others := strings.CutPrefix(name, nameOthers+"-"); others && handedOver {
		return rest, false
	}
	return "", false
}

// HasPredecessor reports whether a server hands over to this one.
func (in *Inheritance) HasPredecessor() bool { return in.predecessor != nil }

// AskToServe tells the server that hands over that this one is ready, and waits until it may accept connections, or ctx ends.
func (in *Inheritance) AskToServe(ctx context.Context) error {
	return in.predecessor.ask(ctx, wordReady)
}

// ReportServing tells the server that hands over that this one serves.
func (in *Inheritance) ReportServing() { in.predecessor.close() }

// MemoryFiles returns the files of -e that a server hands over, once it has saved its items. It returns none where there are none.
func (in *Inheritance) MemoryFiles(ctx context.Context, path string) (opened store.FilePair, err error) {
	if in.items == 0 || in.meta == 0 {
		return opened, nil
	}
	opened = store.FilePair{Items: inheritedFile(in.items, path), Meta: inheritedFile(in.meta, path+store.MetaSuffix)}
	if in.predecessor != nil {
		if err := in.predecessor.ask(ctx, wordFiles); err != nil {
			return opened, fmt.Errorf("waiting for the files of -e: %w", err)
		}
	}
	if path == "" {
		return store.FilePair{}, errors.Join(opened.Items.Close(), opened.Meta.Close())
	}
	return opened, nil
}

// MetricsListener returns the listener of --metrics that was passed, which becomes the caller's; nil: none. own reports whether a server has made it, which
// removes the file of a unix socket at the end. It may be called once.
func (in *Inheritance) MetricsListener() (l net.Listener, own bool, err error) {
	if in.metrics == 0 {
		return nil, false, nil
	}
	listens, err := syscall.GetsockoptInt(in.metrics, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err == nil && listens == 0 {
		err = errors.New("nobody listens on it")
	}
	if err == nil {
		file := inheritedFile(in.metrics, nameMetrics)
		l, err = net.FileListener(file)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return nil, false, fmt.Errorf("descriptor %d, the socket %s that was passed: %w", in.metrics, nameMetrics, err)
	}
	in.metrics = 0
	return l, in.ownMetrics, nil
}

// inheritedFile owns the descriptor.
func inheritedFile(fd int, path string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), path)
}

// passed is descriptors for another process, and what they are.
type passed struct {
	fds   []int // the owner's
	names []string
}

func (p *passed) add(name string, fds ...int) {
	p.fds = append(p.fds, fds...)
	p.names = append(p.names, slices.Repeat([]string{name}, len(fds))...)
}

// environment is the variables that tell of the descriptors, but for the process id, which only the process itself knows.
func (p *passed) environment() []string {
	return []string{fmt.Sprint(ListenFDs, "=", len(p.fds)), listenNames + "=" + strings.Join(p.names, listenNamesGlue)}
}
