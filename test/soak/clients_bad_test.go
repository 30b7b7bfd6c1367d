package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// sleep waits for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// die leaves in the middle of a request or of a reply, mostly by a reset.
func die(c *client) error {
	key := largeKey(c.r)
	many := strings.Repeat("get "+key+" "+smallKey(c.r)+"\r\n", 1+c.r.IntN(30))
	said := []string{
		"", "get ke", "set key-1 0 0 100\r\nhalf", fmt.Sprintf("set %s 0 0 800000\r\n%s", key, noise[:c.r.IntN(400_000)]),
		"get " + key + "\r\n", many, strings.Repeat("get key-1\r\n", 5000), "mg key-1 v\r\nms key-1 500\r\nabc", "\x80\x01\x00\x05\x08",
		"lru_crawler metadump all\r\n", many + fmt.Sprintf("set %s 0 0 100000\r\n", key),
	}
	_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)) // a server that does not read this must not hold up the test
	_, _ = c.Write([]byte(said[c.r.IntN(len(said))]))
	if c.r.IntN(2) == 0 {
		_ = c.SetReadDeadline(time.Now().Add(time.Duration(c.r.IntN(50)) * time.Millisecond))
		_, _ = c.Read(make([]byte, 1+c.r.IntN(10_000)))
	}
	if c.r.IntN(4) > 0 {
		c.reset()
	}
	return errCut
}

// short is a connection for a request or none.
func short(c *client) error {
	switch c.r.IntN(5) {
	case 0: // says nothing
	case 1:
		_ = c.say([]byte("quit\r\n"))
	case 2:
		if err := c.say([]byte("get key-1\r\n")); err != nil {
			return err
		}
		_ = c.closeWrite()
		return c.values([]string{"key-1"}, false)
	default:
		key := smallKey(c.r)
		if err := c.say([]byte("get " + key + "\r\n")); err != nil {
			return err
		}
		return c.values([]string{key}, false)
	}
	return nil
}

// slow asks for much, and takes it little by little, or not at all.
func slow(ctx context.Context, c *client) error {
	c.mayBeCut = true // if the server finds it too slow
	_ = c.tcp.SetReadBuffer(4096)
	keys := make([]string, 5)
	for i := range keys {
		keys[i] = largeKey(c.r)
	}
	p := &pipeline{}
	for range 20 {
		p.add(func() error {
			if sleep(ctx, time.Duration(c.r.IntN(100))*time.Millisecond); ctx.Err() != nil {
				return errCut
			}
			return c.values(keys, false)
		}, "get %s\r\n", strings.Join(keys, " "))
	}
	if c.r.IntN(3) == 0 { // reads nothing, and goes away in the end
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(p.requests.Bytes())
		sleep(ctx, time.Duration(c.r.IntN(15_000))*time.Millisecond)
		return errCut
	}
	return c.exchange(p)
}

// idle is some connections that do nothing for a while and are served afterwards.
func idle(ctx context.Context, s *server, r *rand.Rand) error {
	var all []*client
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for range 30 {
		c, err := s.dial(r)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	sleep(ctx, time.Duration(r.IntN(2000))*time.Millisecond)
	for _, c := range all {
		if err := short(c); err != nil {
			return err
		}
	}
	return nil
}

// storm is more connections at a time than the server may have open files.
func storm(ctx context.Context, s *server, r *rand.Rand) error {
	var wg sync.WaitGroup
	failed := make(chan error, 2*files)
	hold, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	for range 2 * files {
		seed := r.Uint64()
		wg.Go(func() {
			c, err := s.dial(rand.New(rand.NewPCG(seed, 0)))
			if err != nil {
				failed <- err
				return
			}
			defer c.Close()
			_ = c.say([]byte("get key-1\r\n")) // answered or not
			<-hold.Done()
		})
	}
	wg.Wait()
	sleep(ctx, time.Duration(r.IntN(3000))*time.Millisecond)
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// watch reads what others do, or does not.
func watch(ctx context.Context, c *client) error {
	c.mayBeCut = true // if it reads nothing for too long
	if err := c.say([]byte("watch fetchers mutations evictions connevents deletions\r\n")); err != nil {
		return err
	}
	if err := c.anyOf("OK"); err != nil {
		return err
	}
	over, cancel := context.WithTimeout(ctx, time.Duration(c.r.IntN(3000))*time.Millisecond)
	defer cancel()
	if c.r.IntN(3) == 0 {
		<-over.Done()
		return nil
	}
	for over.Err() == nil {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // with nothing going on there is nothing to read
		line, err := c.in.ReadString('\n')
		if err != nil {
			return nil
		}
		if !strings.HasPrefix(line, "ts=") && !strings.HasPrefix(line, "skipped=") {
			return fmt.Errorf("WRONG REPLY: %.100q to a watcher", line)
		}
	}
	return nil
}

// administer changes what can be changed, and asks for what can be asked for.
func administer(ctx context.Context, c *client) error {
	commands := []struct{ command, ends string }{
		{"flush_all", "OK"},
		{fmt.Sprintf("slabs reassign %d %d", c.r.IntN(42)-1, 1+c.r.IntN(40)), "OK|BUSY|BADCLASS|NOSPARE|SAME"},
		{fmt.Sprintf("slabs reassign %d 0", 1+c.r.IntN(40)), "OK|BUSY|BADCLASS|NOSPARE|SAME"},
		{fmt.Sprintf("slabs automove %d", c.r.IntN(3)), "OK"},
		{fmt.Sprintf("cache_memlimit %d", memoryMin+c.r.IntN(2*memory)), "OK"},
		{fmt.Sprintf("cache_memlimit %d", memory), "OK"},
		{"lru_crawler crawl all", "OK|BUSY"},
		{"lru_crawler metadump all", "END|BUSY"},
		{"lru_crawler mgdump all", "EN|BUSY"},
		{"stats", "END"}, {"stats items", "END"}, {"stats slabs", "END"}, {"stats conns", "END"}, {"stats batch", "END"}, {"stats settings", "END"},
		{"stats sizes", "END"}, {"stats cachedump 5 100", "END"}, {"stats detail dump", "END"},
		{[]string{"stats detail on", "stats detail off"}[c.r.IntN(2)], "OK"},
	}
	for range 10 {
		pick := commands[c.r.IntN(len(commands))]
		if err := c.say([]byte(pick.command + "\r\n")); err != nil {
			return err
		}
		for ended := false; !ended; {
			line, err := c.line()
			if err != nil {
				return err
			}
			if strings.HasSuffix(line, "ERROR") || strings.HasPrefix(line, "CLIENT_ERROR") {
				return fmt.Errorf("WRONG REPLY: %.100q to %s", line, pick.command)
			}
			for end := range strings.SplitSeq(pick.ends, "|") {
				ended = ended || line == end || strings.HasPrefix(line, end+" ")
			}
		}
		sleep(ctx, time.Duration(c.r.IntN(200))*time.Millisecond)
	}
	return nil
}
