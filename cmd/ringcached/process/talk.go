package process

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// What a new server says to the one that hands over. Each word is a question, which any byte answers. So does the end of the other side:
// then the sockets and files are nobody else's.
const (
	wordFiles byte = 'f' // may it have the files of -e? Then the old server stops first
	wordReady byte = 'r' // all is set up; may it accept connections?
)

const wordYes byte = 'y'

// wordKill is what the old server says to the launcher when it gives the new server up.
const wordKill byte = 'k'

// talk is one end of a pair of sockets between two servers.
type talk struct{ conn *os.File }

// newTalk owns the descriptor.
func newTalk(fd int) (*talk, error) {
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil { // so that a deadline ends a read
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &talk{os.NewFile(uintptr(fd), nameTalk)}, nil
}

// newTalkPair returns one end, and the descriptor of the other, which is for another process and the caller's to close.
func newTalkPair() (t *talk, other int, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socketpair", err)
	}
	if t, err = newTalk(pair[0]); err != nil {
		_ = syscall.Close(pair[1])
		return nil, 0, err
	}
	return t, pair[1], nil
}

// ask says a word and waits until it is answered, or ctx ends.
func (t *talk) ask(ctx context.Context, word byte) error {
	if err := t.say(word); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	_, err := t.read(ctx)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

func (t *talk) say(word byte) error {
	_, err := t.conn.Write([]byte{word})
	return err
}

// read returns the next byte that the other side says, or io.EOF at its end.
func (t *talk) read(ctx context.Context) (byte, error) {
	_ = t.conn.SetReadDeadline(time.Time{}) // an earlier ctx may have ended
	cut := make(chan struct{})
	spare := context.AfterFunc(ctx, func() {
		_ = t.conn.SetReadDeadline(time.Unix(1, 0))
		close(cut)
	})
	var word [1]byte
	_, err := t.conn.Read(word[:])
	if !spare() {
		<-cut
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return word[0], err
}

// shut tells the other side that nothing more will be said.
func (t *talk) shut() {
	raw, err := t.conn.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	}
}

func (t *talk) close() { _ = t.conn.Close() }
