package config

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
)

// Process is about the process rather than the cache.
type Process struct {
	User       string // empty: not given
	Daemon     bool
	PIDFile    string // empty: none
	CoreDumps  bool
	LockMemory bool
	Verbosity  int // number of -v

	HandoverTimeout time.Duration
}

func newProcess() Process { return Process{HandoverTimeout: time.Minute} }

func (o *Process) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "user", Aliases: []string{"u"}, Category: CategoryProcess,
			Usage: "`USER`, a name or a number, to become once listening (root must name one, for others it has no effect)",
			Value: textOrNone{text{&o.User}},
		},
		&cli.GenericFlag{
			Name: configName, Category: CategoryProcess,
			Usage: "read flags from `FILE`, one like Debian's /etc/memcached.conf; those of the command line come after them",
			Value: text{new(string)}, // normalise takes it
		},
		&cli.BoolFlag{
			Name: "daemon", Aliases: []string{"d"}, Category: CategoryProcess,
			Usage:              "go to the background once serving; with -v output is kept",
			DisableDefaultText: true,
			Destination:        &o.Daemon,
		},
		&cli.GenericFlag{
			Name: "pidfile", Aliases: []string{"P"}, Category: CategoryProcess,
			Usage: "`FILE` to write the process id to once listening",
			Value: textOrNone{text{&o.PIDFile}},
		},
		&cli.BoolFlag{
			Name: "enable-coredumps", Aliases: []string{"r"}, Category: CategoryProcess,
			Usage:              "dump core at a crash: raise the limit on core files",
			DisableDefaultText: true,
			Destination:        &o.CoreDumps,
		},
		&cli.BoolFlag{
			Name: "lock-memory", Aliases: []string{"k"}, Category: CategoryProcess,
			Usage:              "never swap: lock pages into memory as they are used",
			DisableDefaultText: true,
			Destination:        &o.LockMemory,
		},
		&cli.BoolFlag{
			Name: "verbose", Aliases: []string{"v"}, Category: CategoryProcess,
			Usage:              "log warnings; -vv: requests too",
			DisableDefaultText: true,
			Count:              &o.Verbosity,
		},
		&cli.GenericFlag{
			Name: "handover-timeout", Category: CategoryProcess,
			Usage: "after SIGUSR2 wait this `TIME` for the new server to be ready, then serve on",
			Value: span{&o.HandoverTimeout, 100 * time.Millisecond, time.Hour},
		},
	}
}

// validate makes the path of the pid file absolute.
func (o *Process) validate() (err error) {
	// Without any -v the flag's count is below zero by its number of aliases.
	o.Verbosity = max(o.Verbosity, 0)
	if o.PIDFile != "" {
		// Daemons change their directory, and the file is removed at the end.
		if o.PIDFile, err = filepath.Abs(o.PIDFile); err != nil {
			return fmt.Errorf("-P, --pidfile: %w", err)
		}
	}
	return nil
}
