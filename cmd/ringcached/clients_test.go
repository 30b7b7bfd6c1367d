package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"ringcached/internal/servertest"
)

// clientTime is the longest that a client may take for its whole session.
const clientTime = 60 * time.Second * servertest.Slow

// runClient runs a program that talks to the server and returns what it printed.
// A program that is not installed is an error: `make test` installs them.
func runClient(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clientTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is not installed: run scripts/install-test-deps, or make test", name)
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPymemcache(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		host, port, _ := net.SplitHostPort(server.Addr)
		// Debian's own Python, for which python3-pymemcache is installed.
		runClient(t, "/usr/bin/python3", "testdata/clients/pymemcache_session.py", host, port)
	})
}

func TestGomemcache(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		c := memcache.New(server.Addr)
		c.Timeout = clientTime
		defer c.Close()
		for _, step := range []struct {
			name string
			run  func(*memcache.Client) error
		}{
			{"ping", (*memcache.Client).Ping},
			{"basic", gomemcacheBasic},
			{"cas", gomemcacheCAS},
			{"numbers", gomemcacheNumbers},
			{"multi", gomemcacheMulti},
			{"expiry", gomemcacheExpiry},
			{"large", gomemcacheLarge},
			{"flush", gomemcacheFlush},
		} {
			if err := step.run(c); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		}
	})
}

// want compares a client's error, which is its word for the server's reply.
func want(what string, got, expected error) error {
	if !errors.Is(got, expected) {
		return fmt.Errorf("%s: %v, want %v", what, got, expected)
	}
	return nil
}

func wantValue(c *memcache.Client, key, value string) error {
	item, err := c.Get(key)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if string(item.Value) != value {
		return fmt.Errorf("get %s: %q, want %q", key, item.Value, value)
	}
	return nil
}

func gomemcacheBasic(c *memcache.Client) error {
	item := func(key, value string) *memcache.Item {
		return &memcache.Item{Key: key, Value: []byte(value), Flags: 123}
	}
	_, missing := c.Get("none")
	err := errors.Join(
		want("get none", missing, memcache.ErrCacheMiss),
		want("set", c.Set(item("foo", "fooval")), nil),
		wantValue(c, "foo", "fooval"),
		want("set empty", c.Set(item("empty", "")), nil),
		wantValue(c, "empty", ""),
		want("add", c.Add(item("bar", "barval")), nil),
		want("add again", c.Add(item("bar", "barval2")), memcache.ErrNotStored),
		want("replace none", c.Replace(item("baz", "bazval")), memcache.ErrNotStored),
		want("replace", c.Replace(item("bar", "b")), nil),
		want("append", c.Append(item("bar", "c")), nil),
		want("prepend", c.Prepend(item("bar", "a")), nil),
		wantValue(c, "bar", "abc"),
		want("delete", c.Delete("foo"), nil),
		want("delete again", c.Delete("foo"), memcache.ErrCacheMiss),
	)
	if got, e := c.Get("bar"); e != nil || got.Flags != 123 {
		err = errors.Join(err, fmt.Errorf("flags: %+v, %w", got, e))
	}
	return err
}

func gomemcacheCAS(c *memcache.Client) error {
	if err := c.Set(&memcache.Item{Key: "cas", Value: []byte("1")}); err != nil {
		return err
	}
	item, err := c.Get("cas")
	if err != nil {
		return err
	}
	item.Value = []byte("2")
	stale := *item
	err = errors.Join(
		want("cas", c.CompareAndSwap(item), nil),
		want("stale cas", c.CompareAndSwap(&stale), memcache.ErrCASConflict),
		wantValue(c, "cas", "2"),
		want("delete", c.Delete("cas"), nil),
		want("cas of none", c.CompareAndSwap(item), memcache.ErrCacheMiss),
	)
	return err
}

func gomemcacheNumbers(c *memcache.Client) error {
	if err := c.Set(&memcache.Item{Key: "num", Value: []byte("42")}); err != nil {
		return err
	}
	for _, step := range []struct {
		change func(string, uint64) (uint64, error)
		by     uint64
		result uint64
	}{
		{c.Increment, 8, 50}, {c.Decrement, 49, 1}, {c.Decrement, 9, 0}, {c.Increment, 1<<64 - 1, 1<<64 - 1}, {c.Increment, 1, 0},
	} {
		if n, err := step.change("num", step.by); n != step.result || err != nil {
			return fmt.Errorf("by %d: %d, %w; want %d", step.by, n, err, step.result)
		}
	}
	_, missing := c.Increment("none", 1)
	if err := c.Set(&memcache.Item{Key: "word", Value: []byte("word")}); err != nil {
		return err
	}
	if _, err := c.Increment("word", 1); err == nil || !strings.Contains(err.Error(), "non-numeric") {
		return fmt.Errorf("incr of a word: %w", err)
	}
	return want("incr of none", missing, memcache.ErrCacheMiss)
}

func gomemcacheMulti(c *memcache.Client) error {
	var keys []string
	for i := range 500 {
		key := fmt.Sprintf("multi-%d", i)
		keys = append(keys, key)
		if err := c.Set(&memcache.Item{Key: key, Value: []byte(strings.Repeat("v", i))}); err != nil {
			return err
		}
	}
	found, err := c.GetMulti(append(slices.Clone(keys), "none"))
	if err != nil || len(found) != len(keys) {
		return fmt.Errorf("%d of %d, %w", len(found), len(keys), err)
	}
	for i, key := range keys {
		if len(found[key].Value) != i {
			return fmt.Errorf("%s: %d bytes", key, len(found[key].Value))
		}
	}
	return nil
}

func gomemcacheExpiry(c *memcache.Client) error {
	over := &memcache.Item{Key: "over", Value: []byte("v"), Expiration: -1}
	stays := &memcache.Item{Key: "stays", Value: []byte("v"), Expiration: 1000}
	if err := errors.Join(c.Set(over), c.Set(stays)); err != nil {
		return err
	}
	_, gone := c.Get("over")
	touched, err := c.GetAndTouch("stays", 2000)
	if err != nil || string(touched.Value) != "v" {
		return fmt.Errorf("gat: %+v, %w", touched, err)
	}
	err = errors.Join(
		want("get of what is over", gone, memcache.ErrCacheMiss),
		want("touch", c.Touch("stays", -1), nil),
		want("touch of what is over", c.Touch("stays", 5), memcache.ErrCacheMiss),
	)
	return err
}

func gomemcacheLarge(c *memcache.Client) error {
	value := bytes.Repeat([]byte("0123456789abcdef"), 65520)
	err := errors.Join(
		want("set", c.Set(&memcache.Item{Key: "large", Value: value}), nil),
		wantValue(c, "large", string(value)),
	)
	too := c.Set(&memcache.Item{Key: "large", Value: make([]byte, 1<<20)})
	if too == nil || !strings.Contains(too.Error(), "object too large for cache") {
		err = errors.Join(err, fmt.Errorf("set of 1 MiB: %w", too))
	}
	return err
}

func gomemcacheFlush(c *memcache.Client) error {
	if err := c.Set(&memcache.Item{Key: "flushed", Value: []byte("v")}); err != nil {
		return err
	}
	if err := c.FlushAll(); err != nil {
		return err
	}
	_, err := c.Get("flushed")
	return want("get after flush", err, memcache.ErrCacheMiss)
}

// TestMemccapable is the text half of libmemcached's own conformance test.
func TestMemccapable(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		host, port, _ := net.SplitHostPort(server.Addr)
		out := runClient(t, "memccapable", "-h", host, "-p", port, "-a")
		if !strings.Contains(out, "All tests passed") || strings.Contains(out, "FAIL") {
			t.Error(out)
		}
	})
}

// TestMemcslap runs libmemcached's load generator, shortly.
func TestMemcslap(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		for _, args := range [][]string{
			{"-t", "get"}, {"-t", "set"}, {"-t", "mget"}, {"-t", "set", "-b"}, {"-t", "set", "-n"}, {"-t", "set", "-R"},
		} {
			out := runClient(t, "memcslap", append(args, "-s", server.Addr, "-c", "4", "-e", "1000")...)
			if strings.Contains(strings.ToLower(out), "fail") {
				t.Errorf("%v: %s", args, out)
			}
		}
		if sets := server.Stat(t, "cmd_set"); sets < 5000 {
			t.Errorf("%d sets arrived", sets)
		}
	})
}

// TestLibmemcachedTools stores a file, reads it back and asks for statistics.
func TestLibmemcachedTools(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		at := "--servers=" + server.Addr
		file := filepath.Join(t.TempDir(), "document")
		text := strings.Repeat("a line of text\n", 5000)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		runClient(t, "memcping", at)
		runClient(t, "memccp", at, file)
		if out := runClient(t, "memccat", at, "document"); strings.TrimSpace(out) != strings.TrimSpace(text) {
			t.Errorf("memccat: %d bytes, want %d", len(out), len(text))
		}
		runClient(t, "memcexist", at, "document")
		runClient(t, "memctouch", at, "--expire=100", "document")
		out := runClient(t, "memcstat", at)
		for _, line := range []string{"\tcurr_items: 1\n", "\tthreads: ", "\tversion: " + memcachedVersion} {
			if !strings.Contains(out, line) {
				t.Errorf("memcstat: no %q in\n%s", line, out)
			}
		}
		runClient(t, "memcrm", at, "document")
		if items := server.Stat(t, "curr_items"); items != 0 {
			t.Errorf("%d items after memcrm", items)
		}
		runClient(t, "memcflush", at)
	})
}
