package clients

import (
	"strings"
	"testing"

	"github.com/memcachier/mc/v3"

	"ringcached/internal/servertest"
)

// TestMemcachier: github.com/memcachier/mc, binary protocol, once with no
// authentication and once with SASL PLAIN.
func TestMemcachier(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		open := memcachier(t, servertest.Start(t, engine), "", "")
		memcachierSession(t, open)

		closed := servertest.Start(t, engine, withUsers(t)...)
		memcachierSession(t, memcachier(t, closed, userName, userPassword))
		for _, user := range [][2]string{
			{"", ""}, {userName, "wrong"}, {"bob", userPassword}, {userName, ""},
		} {
			c := memcachier(t, closed, user[0], user[1])
			_, err := c.Set("intruder", "v", 0, 0, 0)
			expectError(t, "set by "+user[0]+":"+user[1], err, mc.ErrAuthRequired)
		}
		c := memcachier(t, closed, userName, userPassword)
		_, _, _, err := c.Get("intruder")
		expectError(t, "get of what nobody may have set", err, mc.ErrNotFound)
	})
}

func memcachier(t *testing.T, server *servertest.Server, user, password string) *mc.Client {
	config := mc.DefaultConfig()
	config.ConnectionTimeout = clientTime
	config.Failover = false
	c := mc.NewMCwithConfig(server.Addr, user, password, config)
	t.Cleanup(c.Quit)
	return c
}

func memcachierSession(t *testing.T, c *mc.Client) {
	t.Helper()
	for _, step := range []func(*testing.T, *mc.Client){
		memcachierStore, memcachierCAS, memcachierNumbers, memcachierExpiry, memcachierSizes, memcachierStats, memcachierFlush,
	} {
		step(t, c)
	}
}

func memcachierStore(t *testing.T, c *mc.Client) {
	store := func(what string, cas uint64, err, want error) {
		t.Helper()
		expectError(t, what, err, want)
		if want == nil && cas == 0 {
			t.Errorf("%s: no cas", what)
		}
	}
	_, _, _, err := c.Get("none")
	expectError(t, "get none", err, mc.ErrNotFound)
	cas, err := c.Set("k", "v", 1<<32-1, 0, 0)
	store("set", cas, err, nil)
	value, flags, got, err := c.Get("k")
	expect(t, "get", value, err, "v")
	if flags != 1<<32-1 || got != cas {
		t.Errorf("flags %d, cas %d, want %d", flags, got, cas)
	}
	cas, err = c.Set("k", "", 0, 0, 0)
	store("set empty", cas, err, nil)
	value, _, _, err = c.Get("k")
	expect(t, "get empty", value, err, "")
	cas, err = c.Add("k", "v", 0, 0)
	store("add again", cas, err, mc.ErrKeyExists)
	cas, err = c.Replace("none", "v", 0, 0, 0)
	store("replace none", cas, err, mc.ErrNotFound)
	cas, err = c.Replace("k", "b", 7, 0, 0)
	store("replace", cas, err, nil)
	cas, err = c.Append("k", "c", 0)
	store("append", cas, err, nil)
	cas, err = c.Prepend("k", "a", 0)
	store("prepend", cas, err, nil)
	_, err = c.Append("none", "c", 0)
	expectError(t, "append to none", err, mc.ErrValueNotStored)
	value, flags, _, err = c.Get("k")
	expect(t, "get", value, err, "abc")
	expect(t, "flags after append and prepend", flags, nil, uint32(7))
	expectError(t, "delete", c.Del("k"), nil)
	expectError(t, "delete again", c.Del("k"), mc.ErrNotFound)
	cas, err = c.Add("k", "v", 0, 0)
	store("add", cas, err, nil)
}

func memcachierCAS(t *testing.T, c *mc.Client) {
	first, err := c.Set("cas", "1", 0, 0, 0)
	expectError(t, "set", err, nil)
	second, err := c.Set("cas", "2", 0, 0, first)
	expectError(t, "set with cas", err, nil)
	_, err = c.Set("cas", "3", 0, 0, first)
	expectError(t, "set with a stale cas", err, mc.ErrKeyExists)
	_, err = c.Replace("cas", "3", 0, 0, first)
	expectError(t, "replace with a stale cas", err, mc.ErrKeyExists)
	_, err = c.Append("cas", "3", first)
	expectError(t, "append with a stale cas", err, mc.ErrKeyExists)
	value, _, _, err := c.Get("cas")
	expect(t, "get", value, err, "2")
	expectError(t, "delete with a stale cas", c.DelCAS("cas", first), mc.ErrKeyExists)
	expectError(t, "delete with cas", c.DelCAS("cas", second), nil)
	_, err = c.Set("cas", "3", 0, 0, second)
	expectError(t, "set of none with cas", err, mc.ErrNotFound)
}

func memcachierNumbers(t *testing.T, c *mc.Client) {
	const keep = 1<<32 - 1 // no expiry: do not create
	_ = c.Del("n")
	_, _, err := c.Incr("n", 1, 5, keep, 0)
	expectError(t, "incr of none", err, mc.ErrNotFound)
	for _, step := range []struct {
		change func(string, uint64, uint64, uint32, uint64) (uint64, uint64, error)
		by     uint64
		result uint64
	}{
		{c.Incr, 10, 5}, {c.Incr, 10, 15}, {c.Decr, 1, 14}, {c.Decr, 100, 0}, {c.Incr, 1<<64 - 1, 1<<64 - 1}, {c.Incr, 2, 1},
	} {
		n, _, err := step.change("n", step.by, 5, 0, 0)
		expect(t, "incr or decr", n, err, step.result)
	}
	_, err = c.Set("word", "word", 0, 0, 0)
	expectError(t, "set", err, nil)
	_, _, err = c.Incr("word", 1, 0, 0, 0)
	expectError(t, "incr of a word", err, mc.ErrNonNumeric)
}

func memcachierExpiry(t *testing.T, c *mc.Client) {
	const over = 60*60*24*30 + 1 // a second of 1970: more than 30 days is a Unix time
	_, err := c.Set("stays", "v", 9, 1000, 0)
	expectError(t, "set", err, nil)
	_, err = c.Touch("stays", 2000)
	expectError(t, "touch", err, nil)
	value, flags, _, err := c.GAT("stays", 3000)
	expect(t, "gat", value, err, "v")
	expect(t, "flags of gat", flags, nil, uint32(9))
	_, err = c.Touch("none", 2000)
	expectError(t, "touch of none", err, mc.ErrNotFound)
	_, _, _, err = c.GAT("none", 2000)
	expectError(t, "gat of none", err, mc.ErrNotFound)
	_, err = c.Touch("stays", over)
	expectError(t, "touch", err, nil)
	_, _, _, err = c.Get("stays")
	expectError(t, "get of what is over", err, mc.ErrNotFound)
}

func memcachierSizes(t *testing.T, c *mc.Client) {
	large := strings.Repeat("0123456789abcdef", 65520)
	_, err := c.Set("large", large, 0, 0, 0)
	expectError(t, "set of nearly 1 MiB", err, nil)
	value, _, _, err := c.Get("large")
	expect(t, "get", value, err, large)
	_, err = c.Set("large", strings.Repeat("x", 1<<20), 0, 0, 0)
	expectError(t, "set of 1 MiB", err, mc.ErrValueTooLarge)
	longest := strings.Repeat("k", 250)
	_, err = c.Set(longest, "v", 0, 0, 0)
	expectError(t, "set with the longest key", err, nil)
	value, _, _, err = c.Get(longest)
	expect(t, "get with the longest key", value, err, "v")
}

func memcachierStats(t *testing.T, c *mc.Client) {
	expectError(t, "noop", c.NoOp(), nil)
	versions, err := c.Version()
	if err != nil || len(versions) != 1 {
		t.Errorf("version: %v, %v", versions, err)
	}
	for addr, version := range versions {
		stats, err := c.Stats()
		if err != nil || stats[addr]["version"] != version || version == "" || stats[addr]["cmd_get"] == "0" {
			t.Errorf("version %q, stats: %v, %v", version, stats, err)
		}
		settings, err := c.StatsWithKey("settings")
		if err != nil || settings[addr]["item_size_max"] != "1048576" {
			t.Errorf("settings: %v, %v", settings, err)
		}
	}
	expectError(t, "stats reset", c.StatsReset(), nil)
}

func memcachierFlush(t *testing.T, c *mc.Client) {
	_, err := c.Set("flushed", "v", 0, 0, 0)
	expectError(t, "set", err, nil)
	expectError(t, "flush", c.Flush(0), nil)
	_, _, _, err = c.Get("flushed")
	expectError(t, "get after flush", err, mc.ErrNotFound)
}
