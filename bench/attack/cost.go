package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// CostOptions say what Cost measures.
type CostOptions struct {
	load.Endpoint
	PID         int           // of the server
	Items       int           // to store first
	Connections int           // idle ones beside
	Duration    time.Duration // of each request's trial
	Only        []string      // names of requests; none: all
}

// costRequest is a request that is small beside what it may make a server do.
type costRequest struct {
	Name  string `json:"name"`
	Text  string `json:"text"`  // $full and $empty stand for a slab class with all the items and one with none
	End   string `json:"end"`   // of the reply; only a line end: its first line is all
	Check string `json:"check"` // of `stats`: it is 0 when the work that goes on behind the reply is done
}

// costKey and costValue are the sizes of the items in bytes. costPoliteRate is so low that the server's time for it
// does not count.
const costKey, costValue, costPoliteRate = 12, 4, 400

var refusal = regexp.MustCompile(`^(ERROR|CLIENT_ERROR|BUSY)`)

// ask sends the request and reads to the line that ends its reply, or to an error. It says how long the reply was.
func (r *costRequest) ask(c *load.Client) (size int, last string, err error) {
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	err = c.Exchange(r.Text, func(line []byte) bool {
		size += len(line)
		ended := r.End == "\r\n" || string(line) == r.End || refusal.Match(line)
		if ended {
			last = strings.TrimSpace(string(line))
		}
		return !ended
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", r.Name, err)
	}
	return size, last, err
}

// Cost stores items and prints what each request costs the server, and what a client who gets one item all the time
// notices.
func Cost(ctx context.Context, o CostOptions, out io.Writer) error {
	if _, err := sut.CPUTime(o.PID); err != nil {
		return err
	}
	c, err := o.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	full, empty, err := fillForCost(ctx, o, c)
	if err != nil {
		return err
	}
	for range o.Connections {
		idle, err := o.Connect(ctx)
		if err != nil {
			return err
		}
		defer idle.Close()
	}
	fmt.Fprintf(out, "%-20s %8s %12s %10s %12s %9s %9s %9s\n",
		"request", "count", "CPU us each", "reply", "ns per byte", "p50 us", "p99 us", "max us")
	for _, r := range table[costRequest](requestsJSON) {
		if len(o.Only) > 0 && !slices.Contains(o.Only, r.Name) {
			continue
		}
		r.Text = strings.NewReplacer("$full", full, "$empty", empty).Replace(expand(r.Text))
		if err := r.measure(ctx, o, c, out); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fillForCost stores the items, and says which class has most, and which has none.
func fillForCost(ctx context.Context, o CostOptions, c *load.Client) (full, empty string, err error) {
	f, err := o.OpenFeed(ctx, costKey, costValue)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if err := f.Store(0, o.Items); err != nil {
		return "", "", err
	}
	large := costRequest{Name: "set", Text: expand("set large 0 0 1000000\r\n{1000000:1}\r\n"), End: "\r\n"}
	if _, _, err := large.ask(c); err != nil {
		return "", "", err
	}
	stats, err := o.AskStats(ctx, "items")
	if err != nil {
		return "", "", err
	}
	most := int64(0)
	for id := 1; id < 64; id++ {
		n, err := sut.StatNumber(stats, fmt.Sprintf("items:%d:number", id))
		switch {
		case err != nil || n == 0:
			if empty = fmt.Sprint(id); full != "" {
				return full, empty, nil
			}
		case n > most:
			full, most = fmt.Sprint(id), n
		}
	}
	return "", "", errors.New("there is no class without items, or none with some")
}

// measure asks again and again and prints what it cost, beside a polite client.
func (r *costRequest) measure(ctx context.Context, o CostOptions, c *load.Client, out io.Writer) error {
	polite, err := startPolite(ctx, o.Addr, costPoliteRate, true)
	if err != nil {
		return err
	}
	defer polite.close()
	before, err := sut.CPUTime(o.PID)
	if err != nil {
		return err
	}
	count, bytes, last := 0, 0, ""
	for start := time.Now(); count == 0 || time.Since(start) < o.Duration && ctx.Err() == nil; count++ {
		if bytes, last, err = r.ask(c); err != nil {
			break
		}
		for running := r.Check != ""; running && err == nil; {
			time.Sleep(time.Millisecond)
			var stats map[string]string
			stats, err = o.AskStats(ctx, "")
			running = stats[r.Check] != "0"
		}
	}
	after, errCPU := sut.CPUTime(o.PID)
	q := polite.cut().Latency
	if err := errors.Join(err, errCPU); err != nil {
		return err
	}
	each := float64(after-before) / 1e3 / float64(count)
	fmt.Fprintf(out, "%-20s %8d %12.1f %10d %12.1f %9.0f %9.0f %9.0f  %.40s\n",
		r.Name, count, each, bytes, each*1e3/float64(len(r.Text)), q.P50, q.P99, q.Max, last)
	return nil
}
