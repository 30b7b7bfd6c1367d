package attack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// CostOptions say what Cost measures.
type CostOptions struct {
	Addr        string
	PID         int           // of the server
	Items       int           // to store first
	Connections int           // idle ones beside
	Duration    time.Duration // of each request's trial
	Only        []string      // names of requests; none: all
}

// costRequest is a request that is small beside what it may make a server do.
type costRequest struct {
	name  string
	text  string
	end   string // of the reply
	check string // what is asked until the work is done that goes on behind the reply: `stats` shows it as 0
}

// costValue is the size of the items' values in bytes, and costKey that of their keys.
const costKey, costValue = 12, 4

// costRequests are the requests. FULL and EMPTY stand for a slab class with all the items and one with none.
func costRequests() []costRequest {
	const end, line = "END\r\n", "\r\n"
	large := strings.Repeat("x", 1000)
	return []costRequest{
		{name: "get", text: "get none\r\n", end: end},
		{name: "get of 1000 keys", text: "get" + strings.Repeat(" none", 1000) + "\r\n", end: end},
		{name: "gat of 1000 keys", text: "gat 0" + strings.Repeat(" none", 1000) + "\r\n", end: end},
		{name: "mn", text: "mn\r\n", end: line},
		{name: "mg with all flags", text: "mg none b c f h k l q s t v O1 T0 N0 R0\r\nmn\r\n", end: "MN\r\n"},
		{name: "touch", text: "touch none 0\r\n", end: line},
		{name: "set of 1000 bytes", text: "set cost 0 0 1000\r\n" + large + "\r\n", end: line},
		{name: "append to 1 MB", text: "append large 0 0 1\r\nx\r\n", end: line},
		{name: "incr of 1 MB", text: "incr large 1\r\n", end: line},
		{name: "verbosity", text: "verbosity 0\r\n", end: line},
		{name: "stats", text: "stats\r\n", end: end},
		{name: "stats settings", text: "stats settings\r\n", end: end},
		{name: "stats items", text: "stats items\r\n", end: end},
		{name: "stats slabs", text: "stats slabs\r\n", end: end},
		{name: "stats reset", text: "stats reset\r\n", end: line},
		{name: "stats conns", text: "stats conns\r\n", end: end},
		{name: "stats sizes", text: "stats sizes\r\n", end: end},
		{name: "stats detail dump", text: "stats detail dump\r\n", end: end},
		{name: "cachedump of none", text: "stats cachedump EMPTY 0\r\n", end: end},
		{name: "cachedump of 1", text: "stats cachedump FULL 1\r\n", end: end},
		{name: "cachedump of all", text: "stats cachedump FULL 0\r\n", end: end},
		{name: "metadump of none", text: "lru_crawler metadump EMPTY\r\n", end: end},
		{name: "mgdump of none", text: "lru_crawler mgdump EMPTY\r\n", end: "EN\r\n"},
		{name: "metadump of a class", text: "lru_crawler metadump FULL\r\n", end: end},
		{name: "metadump of all", text: "lru_crawler metadump all\r\n", end: end},
		{name: "crawl of none", text: "lru_crawler crawl EMPTY\r\n", end: line, check: "lru_crawler_running"},
		{name: "crawl of a class", text: "lru_crawler crawl FULL\r\n", end: line, check: "lru_crawler_running"},
		{name: "lru_crawler tocrawl", text: "lru_crawler tocrawl 0\r\n", end: line},
		{name: "cache_memlimit", text: "cache_memlimit 1024\r\n", end: line},
		{name: "slabs reassign", text: "slabs reassign EMPTY EMPTY\r\n", end: line},
		{name: "flush_all later", text: "flush_all 2000000\r\n", end: line},
	}
}

// costConn is a connection that asks and waits for the end of the reply.
type costConn struct {
	net.Conn
	in *bufio.Reader
}

func dialCost(ctx context.Context, addr string) (*costConn, error) {
	c, err := load.Dial(ctx, addr, load.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	return &costConn{c, bufio.NewReaderSize(c, 1<<16)}, nil
}

// ask sends a request and reads to the line that ends its reply, or to an error. It says how long the reply was.
func (c *costConn) ask(r *costRequest) (size int, last string, err error) {
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	if _, err := io.WriteString(c, r.text); err != nil {
		return 0, "", err
	}
	for {
		line, err := c.in.ReadSlice('\n')
		size += len(line)
		if err != nil {
			return size, "", fmt.Errorf("%s: %w", r.name, err)
		}
		if r.end == "\r\n" || string(line) == r.end || bytes.HasPrefix(line, []byte("ERROR")) ||
			bytes.HasPrefix(line, []byte("CLIENT_ERROR")) || bytes.HasPrefix(line, []byte("BUSY")) {
			return size, strings.TrimSpace(string(line)), nil
		}
	}
}

// stat asks for a line of statistics.
func (c *costConn) stat(group, name string) (value string, err error) {
	if _, err := fmt.Fprintf(c, "stats%s\r\n", group); err != nil {
		return "", err
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil || line == "END\r\n" {
			return value, err
		}
		if f := strings.Fields(line); len(f) == 3 && f[1] == name {
			value = f[2]
		}
	}
}

// Cost stores items and prints what each request costs the server, and what a client who gets one item all the time notices.
func Cost(ctx context.Context, o CostOptions, out io.Writer) error {
	cpu, err := sut.NewCPUReader(o.PID)
	if err != nil {
		return err
	}
	c, err := dialCost(ctx, o.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	full, empty, err := fillForCost(ctx, o, c)
	if err != nil {
		return err
	}
	for range o.Connections {
		idle, err := load.Dial(ctx, o.Addr, load.ConnectTimeout)
		if err != nil {
			return err
		}
		defer idle.Close()
	}
	fmt.Fprintf(out, "%-20s %8s %12s %10s %12s %9s %9s %9s\n", "request", "count", "CPU us each", "reply", "ns per byte", "p50 us", "p99 us", "max us")
	for _, r := range costRequests() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, r.name) {
			continue
		}
		r.text = strings.NewReplacer("FULL", full, "EMPTY", empty).Replace(r.text)
		if err := r.measure(ctx, o, c, cpu, out); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fillForCost stores the items, and says which class has them, and which has none.
func fillForCost(ctx context.Context, o CostOptions, c *costConn) (full, empty string, err error) {
	f, err := load.OpenFeed(ctx, o.Addr, costKey, costValue)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if err := f.Store(0, o.Items); err != nil {
		return "", "", err
	}
	large := costRequest{name: "set", text: "set large 0 0 1000000\r\n" + strings.Repeat("1", 1_000_000) + "\r\n", end: "\r\n"}
	if _, _, err := c.ask(&large); err != nil {
		return "", "", err
	}
	most := ""
	for id := 1; id < 64; id++ {
		n, err := c.stat(" items", fmt.Sprintf("items:%d:number", id))
		if err != nil {
			return "", "", err
		}
		switch {
		case n == "" || n == "0":
			empty = fmt.Sprint(id)
			if full != "" {
				return full, empty, nil
			}
		case len(n) > len(most) || len(n) == len(most) && n > most:
			full, most = fmt.Sprint(id), n
		}
	}
	return "", "", errors.New("there is no class without items, or none with some")
}

// costPoliteRate is so low that the server's time for it does not count.
const costPoliteRate = 400

// measure asks again and again and prints what it cost, beside a polite client.
func (r *costRequest) measure(ctx context.Context, o CostOptions, c *costConn, cpu *sut.CPUReader, out io.Writer) error {
	polite, err := startPolite(ctx, o.Addr, costPoliteRate, true)
	if err != nil {
		return err
	}
	defer polite.close()
	before, err := cpu.Read()
	if err != nil {
		return err
	}
	count, bytes, last := 0, 0, ""
	for start := time.Now(); count == 0 || time.Since(start) < o.Duration && ctx.Err() == nil; count++ {
		if bytes, last, err = c.ask(r); err != nil {
			break
		}
		for running := "1"; r.check != "" && running != "0" && err == nil; {
			time.Sleep(time.Millisecond)
			running, err = c.stat("", r.check)
		}
	}
	after, errCPU := cpu.Read()
	beside := polite.cut()
	if err := errors.Join(err, errCPU); err != nil {
		return err
	}
	each := float64(after-before) / 1e3 / float64(count)
	fmt.Fprintf(out, "%-20s %8d %12.1f %10d %12.1f %9.0f %9.0f %9.0f  %.40s\n", r.name, count, each, bytes, each*1e3/float64(len(r.text)),
		beside.Latency.P50, beside.Latency.P99, beside.Latency.Max, last)
	return nil
}
