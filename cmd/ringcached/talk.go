package main

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
	defer context.AfterFunc(ctx, func() { _ = t.conn.SetReadDeadline(time.Unix(1, 0)) })()
	var word [1]byte
	_, err := t.conn.Read(word[:])
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return word[0], err
}

func (t *talk) close() { _ = t.conn.Close() }
