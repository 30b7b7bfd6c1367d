package clients

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/grafana/gomemcache/memcache"

	"ringcached/internal/servertest"
)

// TestGrafanaGomemcache: github.com/grafana/gomemcache, a fork with pooled
// connections, memory that the caller provides and requests that can be
// cancelled. Text protocol.
func TestGrafanaGomemcache(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		c := memcache.New(servertest.Start(t, engine).Addr)
		c.Timeout, c.ConnectTimeout = clientTime, clientTime
		c.MaxIdleConns = 4
		defer c.Close()
		grafanaSession(t, c)
	})
}

func grafanaSession(t *testing.T, c *memcache.Client) {
	t.Helper()
	expectError(t, "ping", c.Ping(), nil)
	for _, step := range []func(*testing.T, *memcache.Client){
		grafanaStore, grafanaCAS, grafanaNumbers, grafanaMulti, grafanaCancelled, grafanaExpiry, grafanaSizes, grafanaFlush,
	} {
		step(t, c)
	}
}

func grafanaValue(t *testing.T, c *memcache.Client, key, value string) {
	t.Helper()
	item, err := c.Get(key)
	if err != nil || string(item.Value) != value {
		t.Errorf("get %.20s: %.100v, %v; want %.100q", key, item, err, value)
	}
}

func grafanaStore(t *testing.T, c *memcache.Client) {
	item := func(key, value string) *memcache.Item {
		return &memcache.Item{Key: key, Value: []byte(value), Flags: 1<<32 - 1}
	}
	_, err := c.Get("none")
	expectError(t, "get none", err, memcache.ErrCacheMiss)
	expectError(t, "set", c.Set(item("foo", "fooval")), nil)
	grafanaValue(t, c, "foo", "fooval")
	expectError(t, "set empty", c.Set(item("empty", "")), nil)
	grafanaValue(t, c, "empty", "")
	expectError(t, "add", c.Add(item("bar", "barval")), nil)
	expectError(t, "add again", c.Add(item("bar", "barval2")), memcache.ErrNotStored)
	expectError(t, "replace none", c.Replace(item("baz", "bazval")), memcache.ErrNotStored)
	expectError(t, "replace", c.Replace(item("bar", "replaced")), nil)
	got, err := c.Get("bar")
	if err != nil || string(got.Value) != "replaced" || got.Flags != 1<<32-1 {
		t.Errorf("flags: %+v, %v", got, err)
	}
	expectError(t, "delete", c.Delete("foo"), nil)
	expectError(t, "delete again", c.Delete("foo"), memcache.ErrCacheMiss)
}

func grafanaCAS(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "cas", Value: []byte("1")}), nil)
	item, err := c.Get("cas")
	if err != nil {
		t.Fatal(err)
	}
	item.Value = []byte("2")
	stale := *item
	expectError(t, "cas", c.CompareAndSwap(item), nil)
	expectError(t, "stale cas", c.CompareAndSwap(&stale), memcache.ErrCASConflict)
	grafanaValue(t, c, "cas", "2")
	expectError(t, "delete", c.Delete("cas"), nil)
	expectError(t, "cas of none", c.CompareAndSwap(item), memcache.ErrCacheMiss)
}

func grafanaNumbers(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "num", Value: []byte("42")}), nil)
	n, err := c.Increment("num", 8)
	expect(t, "incr", n, err, uint64(50))
	n, err = c.Decrement("num", 51)
	expect(t, "decr", n, err, uint64(0))
	_, err = c.Decrement("none", 1)
	expectError(t, "decr of none", err, memcache.ErrCacheMiss)
}

// countingAllocator is memory for values that belongs to the caller.
type countingAllocator struct{ gets atomic.Int32 }

func (a *countingAllocator) Get(size int) *[]byte {
	a.gets.Add(1)
	b := make([]byte, size)
	return &b
}

func (a *countingAllocator) Put(*[]byte) {}

func grafanaMulti(t *testing.T, c *memcache.Client) {
	const items = 500
	keys := []string{"none"}
	for i := range items {
		key := fmt.Sprintf("multi-%d", i)
		keys = append(keys, key)
		expectError(t, "set", c.Set(&memcache.Item{Key: key, Value: []byte(strings.Repeat("v", i))}), nil)
	}
	memory := new(countingAllocator)
	found, err := c.GetMulti(t.Context(), keys, memcache.WithAllocator(memory))
	if err != nil || len(found) != items || memory.gets.Load() != items {
		t.Fatalf("%d of %d in %d allocations, %v", len(found), items, memory.gets.Load(), err)
	}
	for i := range items {
		if n := len(found[fmt.Sprintf("multi-%d", i)].Value); n != i {
			t.Errorf("multi-%d: %d bytes", i, n)
		}
	}
}

// grafanaCancelled gives up a request; the client goes on to work.
func grafanaCancelled(t *testing.T, c *memcache.Client) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.GetMulti(ctx, []string{"multi-1", "multi-2"})
	expectError(t, "cancelled", err, context.Canceled)
	grafanaValue(t, c, "multi-1", "v")
}

func grafanaExpiry(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "over", Value: []byte("v"), Expiration: -1}), nil)
	_, err := c.Get("over")
	expectError(t, "get of what is over", err, memcache.ErrCacheMiss)
	expectError(t, "set", c.Set(&memcache.Item{Key: "stays", Value: []byte("v"), Expiration: 1000}), nil)
	expectError(t, "touch", c.Touch("stays", 2000), nil)
	grafanaValue(t, c, "stays", "v")
	expectError(t, "touch", c.Touch("stays", -1), nil)
	expectError(t, "touch of what is over", c.Touch("stays", 5), memcache.ErrCacheMiss)
}

func grafanaSizes(t *testing.T, c *memcache.Client) {
	large := strings.Repeat("0123456789abcdef", 65520)
	expectError(t, "set of nearly 1 MiB", c.Set(&memcache.Item{Key: "large", Value: []byte(large)}), nil)
	grafanaValue(t, c, "large", large)
	err := c.Set(&memcache.Item{Key: "large", Value: make([]byte, 1<<20)})
	expectErrorText(t, "set of 1 MiB", err, "object too large for cache")
}

func grafanaFlush(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "flushed", Value: []byte("v")}), nil)
	expectError(t, "flush", c.FlushAll(), nil)
	_, err := c.Get("flushed")
	expectError(t, "get after flush", err, memcache.ErrCacheMiss)
}
