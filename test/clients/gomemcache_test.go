package clients

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"ringcached/internal/servertest"
)

// TestGomemcache: github.com/bradfitz/gomemcache, text protocol.
func TestGomemcache(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		c := memcache.New(servertest.Start(t, engine).Addr)
		c.Timeout = clientTime
		defer c.Close()
		gomemcacheSession(t, c)
	})
}

func gomemcacheSession(t *testing.T, c *memcache.Client) {
	t.Helper()
	expectError(t, "ping", c.Ping(), nil)
	for _, step := range []func(*testing.T, *memcache.Client){
		gomemcacheStore, gomemcacheCAS, gomemcacheNumbers, gomemcacheMulti, gomemcacheExpiry, gomemcacheSizes, gomemcacheFlush,
	} {
		step(t, c)
	}
}

// gomemcacheValue gets a key that must have this value.
func gomemcacheValue(t *testing.T, c *memcache.Client, key, value string) {
	t.Helper()
	item, err := c.Get(key)
	if err != nil || string(item.Value) != value {
		t.Errorf("get %.20s: %.100v, %v; want %.100q", key, item, err, value)
	}
}

func gomemcacheStore(t *testing.T, c *memcache.Client) {
	item := func(key, value string) *memcache.Item {
		return &memcache.Item{Key: key, Value: []byte(value), Flags: 1<<32 - 1}
	}
	_, err := c.Get("none")
	expectError(t, "get none", err, memcache.ErrCacheMiss)
	expectError(t, "set", c.Set(item("foo", "fooval")), nil)
	gomemcacheValue(t, c, "foo", "fooval")
	expectError(t, "set empty", c.Set(item("empty", "")), nil)
	gomemcacheValue(t, c, "empty", "")
	expectError(t, "add", c.Add(item("bar", "barval")), nil)
	expectError(t, "add again", c.Add(item("bar", "barval2")), memcache.ErrNotStored)
	expectError(t, "replace none", c.Replace(item("baz", "bazval")), memcache.ErrNotStored)
	expectError(t, "replace", c.Replace(item("bar", "b")), nil)
	expectError(t, "append", c.Append(item("bar", "c")), nil)
	expectError(t, "append to none", c.Append(item("baz", "c")), memcache.ErrNotStored)
	expectError(t, "prepend", c.Prepend(item("bar", "a")), nil)
	expectError(t, "prepend to none", c.Prepend(item("baz", "a")), memcache.ErrNotStored)
	gomemcacheValue(t, c, "bar", "abc")
	got, err := c.Get("bar")
	if err != nil || got.Flags != 1<<32-1 {
		t.Errorf("flags: %+v, %v", got, err)
	}
	expectError(t, "delete", c.Delete("foo"), nil)
	expectError(t, "delete again", c.Delete("foo"), memcache.ErrCacheMiss)
}

func gomemcacheCAS(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "cas", Value: []byte("1")}), nil)
	item, err := c.Get("cas")
	if err != nil {
		t.Fatal(err)
	}
	item.Value = []byte("2")
	stale := *item
	expectError(t, "cas", c.CompareAndSwap(item), nil)
	expectError(t, "stale cas", c.CompareAndSwap(&stale), memcache.ErrCASConflict)
	gomemcacheValue(t, c, "cas", "2")
	expectError(t, "delete", c.Delete("cas"), nil)
	expectError(t, "cas of none", c.CompareAndSwap(item), memcache.ErrCacheMiss)
}

func gomemcacheNumbers(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "num", Value: []byte("42")}), nil)
	for _, step := range []struct {
		change func(string, uint64) (uint64, error)
		by     uint64
		result uint64
	}{
		{c.Increment, 8, 50}, {c.Decrement, 49, 1}, {c.Decrement, 9, 0}, {c.Increment, 1<<64 - 1, 1<<64 - 1}, {c.Increment, 1, 0},
	} {
		n, err := step.change("num", step.by)
		expect(t, fmt.Sprintf("by %d", step.by), n, err, step.result)
	}
	_, err := c.Increment("none", 1)
	expectError(t, "incr of none", err, memcache.ErrCacheMiss)
	expectError(t, "set", c.Set(&memcache.Item{Key: "word", Value: []byte("word")}), nil)
	_, err = c.Increment("word", 1)
	expectErrorText(t, "incr of a word", err, "non-numeric")
}

func gomemcacheMulti(t *testing.T, c *memcache.Client) {
	var keys []string
	for i := range 500 {
		key := fmt.Sprintf("multi-%d", i)
		keys = append(keys, key)
		expectError(t, "set", c.Set(&memcache.Item{Key: key, Value: []byte(strings.Repeat("v", i))}), nil)
	}
	found, err := c.GetMulti(append(slices.Clone(keys), "none"))
	if err != nil || len(found) != len(keys) {
		t.Fatalf("%d of %d, %v", len(found), len(keys), err)
	}
	for i, key := range keys {
		if len(found[key].Value) != i {
			t.Errorf("%s: %d bytes", key, len(found[key].Value))
		}
	}
}

func gomemcacheExpiry(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "over", Value: []byte("v"), Expiration: -1}), nil)
	expectError(t, "set", c.Set(&memcache.Item{Key: "stays", Value: []byte("v"), Expiration: 1000}), nil)
	_, err := c.Get("over")
	expectError(t, "get of what is over", err, memcache.ErrCacheMiss)
	touched, err := c.GetAndTouch("stays", 2000)
	if err != nil || string(touched.Value) != "v" {
		t.Errorf("gat: %+v, %v", touched, err)
	}
	_, err = c.GetAndTouch("none", 2000)
	expectError(t, "gat of none", err, memcache.ErrCacheMiss)
	expectError(t, "touch", c.Touch("stays", -1), nil)
	expectError(t, "touch of what is over", c.Touch("stays", 5), memcache.ErrCacheMiss)
}

func gomemcacheSizes(t *testing.T, c *memcache.Client) {
	large := strings.Repeat("0123456789abcdef", 65520)
	expectError(t, "set of nearly 1 MiB", c.Set(&memcache.Item{Key: "large", Value: []byte(large)}), nil)
	gomemcacheValue(t, c, "large", large)
	err := c.Set(&memcache.Item{Key: "large", Value: make([]byte, 1<<20)})
	expectErrorText(t, "set of 1 MiB", err, "object too large for cache")
	_, err = c.Get("large")
	expectError(t, "get of what was too large", err, memcache.ErrCacheMiss)
	longest := strings.Repeat("k", 250)
	expectError(t, "set with the longest key", c.Set(&memcache.Item{Key: longest, Value: []byte("v")}), nil)
	gomemcacheValue(t, c, longest, "v")
}

func gomemcacheFlush(t *testing.T, c *memcache.Client) {
	expectError(t, "set", c.Set(&memcache.Item{Key: "flushed", Value: []byte("v")}), nil)
	expectError(t, "flush", c.FlushAll(), nil)
	_, err := c.Get("flushed")
	expectError(t, "get after flush", err, memcache.ErrCacheMiss)
	expectError(t, "delete all", c.DeleteAll(), nil)
}
