package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
)

// processOptions is about the process rather than the cache.
type processOptions struct {
	user       string // empty: not given
	daemon     bool
	pidFile    string // empty: none
	coreDumps  bool
	lockMemory bool
	verbosity  int // number of -v

	handoverTimeout time.Duration
}

func newProcessOptions() processOptions { return processOptions{handoverTimeout: time.Minute} }

func (o *processOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "user", Aliases: []string{"u"}, Category: categoryProcess,
			Usage: "`USER`, a name or a number, to become once listening (root must name one, for others it has no effect)",
			Value: textOrNone{text{&o.user}},
		},
		&cli.GenericFlag{
			Name: configName, Category: categoryProcess,
			Usage: "read flags from `FILE`, one like Debian's /etc/memcached.conf; those of the command line come after them",
			Value: text{new(string)}, // normalise takes it
		},
		&cli.BoolFlag{
			Name: "daemon", Aliases: []string{"d"}, Category: categoryProcess,
			Usage:              "go to the background once serving; with -v output is kept",
			DisableDefaultText: true,
			Destination:        &o.daemon,
		},
		&cli.GenericFlag{
			Name: "pidfile", Aliases: []string{"P"}, Category: categoryProcess,
			Usage: "`FILE` to write the process id to once listening",
			Value: textOrNone{text{&o.pidFile}},
		},
		&cli.BoolFlag{
			Name: "enable-coredumps", Aliases: []string{"r"}, Category: categoryProcess,
			Usage:              "dump core at a crash: raise the limit on core files",
			DisableDefaultText: true,
			Destination:        &o.coreDumps,
		},
		&cli.BoolFlag{
			Name: "lock-memory", Aliases: []string{"k"}, Category: categoryProcess,
			Usage:              "never swap: lock pages into memory as they are used",
			DisableDefaultText: true,
			Destination:        &o.lockMemory,
		},
		&cli.BoolFlag{
			Name: "verbose", Aliases: []string{"v"}, Category: categoryProcess,
			Usage:              "log warnings; -vv: requests too",
			DisableDefaultText: true,
			Count:              &o.verbosity,
		},
		&cli.GenericFlag{
			Name: "handover-timeout", Category: categoryProcess,
			Usage: "after SIGUSR2 wait this `TIME` for the new server to be ready, then serve on",
			Value: span{&o.handoverTimeout, 100 * time.Millisecond, time.Hour},
		},
	}
}

// validate makes the path of the pid file absolute.
func (o *processOptions) validate() (err error) {
	// Without any -v the flag's count is below zero by its number of aliases.
	o.verbosity = max(o.verbosity, 0)
	if o.pidFile != "" {
		// Daemons change their directory, and the file is removed at the end.
		if o.pidFile, err = filepath.Abs(o.pidFile); err != nil {
			return fmt.Errorf("-P, --pidfile: %w", err)
		}
	}
	return nil
}
