package top

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
)

// group is one of the server's sets of statistics.
type group int

const (
	general group = iota // which every server has
	slabs
	items
	batch    // ringcached's
	hotKeys  // ringcached's
	groupEnd // how many there are
)

var groupNames = [groupEnd]string{"", "slabs", "items", "batch", "hotkeys"}

// Bounds of what a server may make us keep: for a group some 10 MB, of which memcached with all its slab classes has a hundredth.
const (
	linesMost = 8192
	nameMost  = 64
	valueMost = 1024 // a key of 250 bytes, all of them escaped, is shorter
)

// session is a connection to a server, opened anew after errors. It is used by one goroutine at a time.
type session struct {
	addr    string
	conn    *load.Client // nil: none is open
	version string
	refused [groupEnd]bool // by the server that the connection leads to
}

// read asks the server for all that it offers. The end of ctx closes the connection.
func (s *session) read(ctx context.Context) (*Reading, error) {
	kept := s.conn != nil
	r, err := s.attempt(ctx)
	if kept && ctx.Err() == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		r, err = s.attempt(ctx) // servers close connections that were idle for long, and when they are restarted
	}
	return r, err
}

func (s *session) attempt(ctx context.Context) (r *Reading, err error) {
	if s.conn == nil {
		err = s.open(ctx)
	}
	if err == nil {
		if r, err = s.ask(); err != nil {
			err = fmt.Errorf("%s: %w", s.addr, err)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return r, nil
}

// open connects, and makes sure that a memcached server answers.
func (s *session) open(ctx context.Context) error {
	answer := ""
	conn, err := load.Endpoint{Addr: s.addr}.Connect(ctx)
	if err == nil {
		s.conn, s.refused = conn, [groupEnd]bool{}
		_ = conn.SetDeadline(time.Now().Add(load.QueryTimeout))
		err = conn.Exchange("version\r\n", func(line []byte) bool {
			answer = string(bytes.TrimRight(line, "\r\n"))
			return false
		})
	}
	s.version, err = load.VersionIn(s.addr, answer, err)
	return err
}

func (s *session) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// ask is a reading on the open connection.
func (s *session) ask() (*Reading, error) {
	begin := time.Now()
	_ = s.conn.SetDeadline(begin.Add(load.QueryTimeout))
	r := &Reading{Version: s.version}
	for g := range groupEnd {
		if s.refused[g] {
			continue
		}
		sent := time.Now()
		lines, last, err := s.lines(g)
		switch {
		case err != nil:
			return nil, err
		case last == "END":
			r.groups[g] = lines
		case last == load.RefusalLine:
			return nil, load.ErrConnectionRefused
		case g == general || !strings.Contains(last, "ERROR"):
			return nil, fmt.Errorf("the answer to stats %s ends with %.60q", groupNames[g], last)
		default:
			s.refused[g] = true
		}
		if g == general {
			r.At = sent.Add(time.Since(sent) / 2)
		}
	}
	r.Took = time.Since(begin)
	return r, nil
}

// lines asks for a group. last is the line that ended the reply.
func (s *session) lines(g group) (lines map[string]string, last string, err error) {
	lines = map[string]string{}
	count := 0
	err = s.conn.Exchange(strings.TrimSpace("stats "+groupNames[g])+"\r\n", func(line []byte) bool {
		line = bytes.TrimRight(line, "\r\n")
		stat, more := bytes.CutPrefix(line, []byte("STAT "))
		if !more {
			last = string(line)
			return false
		}
		if name, value, ok := bytes.Cut(stat, []byte(" ")); ok && len(name) <= nameMost {
			lines[string(name)] = string(value[:min(len(value), valueMost)])
		}
		count++
		return count <= linesMost
	})
	if err == nil && last == "" {
		err = fmt.Errorf("the answer to stats %s has more than %d lines", groupNames[g], linesMost)
	}
	return lines, last, err
}
