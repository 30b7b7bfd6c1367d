package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"
)

// preloadChunk is how many bytes of sets are sent before their replies are read.
const preloadChunk = 256 << 10

// Preload stores every key of the workload once, so that gets find them: over TCP where the workload is for UDP.
func Preload(ctx context.Context, addr string, w *Workload) error {
	keys := NewKeySpace(w.Keys, w.KeySize, w.ValueSize)
	text := *w
	text.Protocol = ProtocolText
	g, err := newGenerator(&text, keys, 0, 0)
	if err != nil {
		return err
	}
	c, err := Dial(ctx, addr, ConnectTimeout)
	if err != nil {
		return fmt.Errorf("preloading: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	replies := bufio.NewReaderSize(c, 16<<10)
	var chunk []byte
	for first := 0; first < w.Keys; {
		next := first
		for chunk = chunk[:0]; next < w.Keys && (next == first || len(chunk) < preloadChunk); next++ {
			chunk = g.appendSet(chunk, uint32(next))
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := storeChunk(c, chunk, func() error { return readStored(replies, keys, first, next) }); err != nil {
			return fmt.Errorf("preloading: %w", err)
		}
		first = next
	}
	return nil
}

// storeChunk sends sets and reads their replies meanwhile: a server that cannot get rid of its replies does not read either, and a unix socket
// holds but a few hundred of them.
func storeChunk(c net.Conn, chunk []byte, read func() error) error {
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(chunk)
		written <- err
	}()
	err := read()
	if err != nil {
		_ = c.Close() // ends the write
	}
	if werr := <-written; err == nil {
		err = werr
	}
	return err
}

// readStored reads the replies to the sets of the keys first to next, exclusive.
func readStored(replies *bufio.Reader, keys *KeySpace, first, next int) error {
	for ; first < next; first++ {
		line, err := replies.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("key %s: %w", keys.key(uint32(first)), err)
		}
		if string(line) == RefusalLine+"\r\n" {
			return ErrConnectionRefused
		}
		if string(line) != "STORED\r\n" {
			return fmt.Errorf("key %s: the server answered %q", keys.key(uint32(first)), line)
		}
	}
	return nil
}
