package robustness

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// fillWith stores n small items, about what a server of 64 MB holds.
func fillWith(t *testing.T, c *client, n int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "set small%d 0 0 1000 noreply\r\n%s\r\n", i, strings.Repeat("s", 1000))
	}
	if err := errors.Join(c.say(b.String()), c.ping()); err != nil {
		t.Fatal(err)
	}
}

// unfinished opens connections that send the first line of a set and the beginning of its value, and leaves them.
func unfinished(t *testing.T, server *servertest.Server, n, size, sent int) {
	t.Helper()
	value := strings.Repeat("u", sent)
	for i := range n {
		c := mustDial(t, server)
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		// An error means that it was given up already.
		_, _ = io.WriteString(c, fmt.Sprintf("set unfinished%d 0 0 %d\r\n%s", i, size, value))
	}
}

// setAllSizes is a client whose sets must not fail.
func setAllSizes(t *testing.T, c *client, rounds int) {
	t.Helper()
	for round := range rounds {
		for _, n := range []int{10, 1000, 9000, 30_000, 100_000, 500_000, 900_000} {
			if err := c.set(fmt.Sprint("polite", n), strings.Repeat("p", n)); err != nil {
				t.Fatalf("round %d, set of %d bytes: %v", round, n, err)
			}
		}
	}
}

// TestUnfinishedUploads: clients that send the first line of a set and no more take nothing from others.
func TestUnfinishedUploads(t *testing.T) {
	needDescriptors(t, 2200)
	for _, load := range []struct{ connections, size int }{{64, 1000000}, {1000, 1000000}, {1000, 500000}, {2000, 10000}} {
		t.Run(fmt.Sprintf("%d of %d", load.connections, load.size), func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, engine string) {
				server := servertest.Start(t, engine, "-t", "2", "-m", "64", "-c", "4096")
				c := mustDial(t, server)
				fillWith(t, c, 40_000)
				unfinished(t, server, load.connections, load.size, 0)
				setAllSizes(t, c, 10)
				if n := server.Stat(t, "evictions"); n > 4000 {
					t.Errorf("%d of 40000 items were evicted", n)
				}
				if n := server.Stat(t, "store_no_memory"); n > 0 {
					t.Errorf("%d sets found no memory", n)
				}
			})
		})
	}
}

// TestUploadsThatStop: clients that send a part of their values hold no more of the store than they may, and lose it to others.
func TestUploadsThatStop(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2", "-m", "64", "-c", "4096")
		c := mustDial(t, server)
		fillWith(t, c, 40_000)
		done := make(chan struct{})
		go func() {
			defer close(done)
			unfinished(t, server, 300, 500_000, 100_000)
		}()
		setAllSizes(t, c, 5)
		<-done
		setAllSizes(t, c, 5)
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			held, most, kicks := server.Stat(t, "upload_bytes"), server.Stat(t, "upload_maxbytes"), server.Stat(t, "upload_kicks")
			if held > most/2 || kicks == 0 {
				return fmt.Errorf("they hold %d bytes of %d, and %d were closed", held, most, kicks)
			}
			return nil
		})
		setAllSizes(t, c, 5)
		if n := server.Stat(t, "store_no_memory"); n > 0 {
			t.Errorf("%d sets found no memory", n)
		}
	})
}

// TestManyLargeUploads: more clients than there is room for store large values at the same time, and all of them are served.
func TestManyLargeUploads(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2", "-m", "64")
		failed := make(chan error)
		const clients = 50
		for i := range clients {
			c := mustDial(t, server)
			go func() {
				var err error
				for round := 0; round < 5 && err == nil; round++ {
					err = c.set(fmt.Sprint("large", i), strings.Repeat("l", 1_000_000))
				}
				failed <- err
			}()
		}
		for range clients {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestManySteadyUploads: of more large values than there is room for, which all come slowly but steadily, nearly all are stored: who sends on is
// not closed for being slow. Clients that a busy machine kept from sending on are no example; where most are, it is tried a few times more.
func TestManySteadyUploads(t *testing.T) {
	const clients, tries = 120, 4
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2", "-m", "64")
		for range tries {
			if uploadTogether(t, server, clients) >= clients/2 {
				break
			}
		}
	})
}

// uploadTogether lets clients upload at the same time, expects those who send steadily not to fail, and returns how many did.
func uploadTogether(t *testing.T, server *servertest.Server, clients int) (steady int) {
	t.Helper()
	const (
		stalled   = 50 * time.Millisecond  // who sends nothing for so long may be closed
		lossEvery = 125 * time.Millisecond // and one of the others, so that those who wait are served
	)
	begin := time.Now()
	results := make(chan steadyUpload)
	for i := range clients {
		c := mustDial(t, server)
		go func() { results <- c.uploadSteadily(fmt.Sprint("steady", i)) }()
	}
	failed, stored, storedSteady := 0, 0, 0
	for range clients {
		r := <-results
		isSteady := r.silent < stalled*4/5
		switch {
		case r.err == nil && isSteady:
			stored++
			storedSteady++
		case r.err == nil:
			stored++
		case isSteady:
			failed++
		}
	}
	steady = storedSteady + failed
	took := time.Since(begin)
	t.Logf("%d of %d clients sent steadily, for %v; %d of them failed", steady, clients, took, failed)
	if storedSteady < stored/2 { // who was closed soon had less time in which the machine could keep it from sending, and is no example either
		return 0
	}
	if failed > max(clients/4, int(took/lossEvery)) {
		t.Errorf("%d of %d failed, %d were closed in all", failed, steady, server.Stat(t, "upload_kicks"))
	}
	return steady
}

// steadyUpload is how an upload went.
type steadyUpload struct {
	err    error
	silent time.Duration // the longest time in which the client had nothing to be sent
}

// uploadSteadily sets a value of a million bytes, ten thousand every 20 milliseconds.
func (c *client) uploadSteadily(key string) (r steadyUpload) {
	const parts = 100
	part := strings.Repeat("s", 10_000)
	r.err = c.say(fmt.Sprintf("set %s 0 0 %d\r\n", key, parts*len(part)))
	for n, last := 0, time.Now(); n < parts && r.err == nil; n++ {
		r.silent = max(r.silent, time.Since(last))
		r.err = c.say(part)
		last = time.Now()
		time.Sleep(20 * time.Millisecond)
	}
	if r.err == nil {
		r.err = errors.Join(c.say("\r\n"), c.expect("STORED\r\n"))
	}
	return r
}

// TestUploadsFillASmallStore: values that stop make room also where they hold all that they may, to a few bytes, and of which thread's clients they
// are.
func TestUploadsFillASmallStore(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for range 6 { // which threads the connections are on is chance
			server := servertest.Start(t, engine, "-t", "2", "-m", "2")
			c := mustDial(t, server)
			unfinished(t, server, 6, 900_000, 50_000)
			begin := time.Now()
			setAllSizes(t, c, 1)
			if d := time.Since(begin); d > 5*time.Second*servertest.Slow {
				t.Errorf("sets took %v", d)
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestDrippingClients: a client that sends now and then a byte of a request is idle, and one that sends slowly, but sends, is not.
func TestDrippingClients(t *testing.T) {
	for name, begin := range map[string]string{
		"value":       "set k 0 0 100000\r\n",
		"small value": "set k 0 0 900\r\n",
		"refused":     "set " + strings.Repeat("k", 251) + " 0 0 100000\r\n",
		"line":        "set k 0 0",
		"long line":   strings.Repeat("x", 70_000),
	} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, engine string) {
				server := servertest.Start(t, engine, "-t", "1", "-o", "idle_timeout=2")
				c := mustDial(t, server)
				if err := errors.Join(c.ping(), c.say(begin)); err != nil {
					t.Fatal(err)
				}
				servertest.Eventually(t, 2*patience/servertest.Slow, func() error {
					_ = c.say("0")
					if server.Stat(t, "idle_kicks") == 0 && !(name == "long line" && server.Stat(t, "curr_connections") < 2) {
						return errors.New("not closed")
					}
					return nil
				})
			})
		})
	}
	t.Run("slow", func(t *testing.T) {
		servertest.EachEngine(t, func(t *testing.T, engine string) {
			server := servertest.Start(t, engine, "-t", "1", "-o", "idle_timeout=10")
			c := mustDial(t, server)
			err := c.say("set k 0 0 20000\r\n")
			for range 10 {
				err = errors.Join(err, c.say(strings.Repeat("v", 2000)))
				time.Sleep(200 * time.Millisecond)
			}
			if err = errors.Join(err, c.say("\r\n"), c.expect("STORED\r\n")); err != nil {
				t.Error(err)
			}
		})
	})
}
