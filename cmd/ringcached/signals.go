package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// ignoreSignals makes sure that a closed stderr does not end a cache, and that a
// SIGHUP that comes before anybody listens for it does not either.
func ignoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP) }

// untilTold returns a context that ends at the first SIGINT, SIGTERM or SIGUSR1. The
// server then finishes what is in flight; for whoever does not want to wait, a second
// signal ends the process at once with exit code 1.
func untilTold(log logFunc) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	stops := make(chan os.Signal, 2)
	signal.Notify(stops, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	go func() {
		log(1, "%v: stopping", <-stops)
		cancel()
		notify("STOPPING=1", log)
		log(0, "%v again: exiting at once", <-stops)
		os.Exit(1)
	}()
	return ctx
}

// rereadAtHangup reads the users again at every SIGHUP. If they cannot be read the old
// ones stay. Without users there is nothing to read again.
func rereadAtHangup(users *userFile, log logFunc) {
	if users == nil {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			if err := users.reload(); err != nil {
				log(0, "hangup: the users stay as they are: %v", err)
				continue
			}
			log(1, "hangup: read %s again", users.path)
		}
	}()
}
