package config

import (
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

// processFlags are about the process rather than the cache.
func (c *Config) processFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "user", Aliases: []string{"u"}, Category: GroupProcess,
			Usage: "`USER`, a name or a number, to become once listening (root must name one, for others it has no effect)",
			Value: textOrNone{text{&c.Process.User}},
		},
		&cli.GenericFlag{
			Name: configName, Category: GroupProcess,
			Usage: "read flags from this `FILE`, one like Debian's /etc/memcached.conf; those of the command line come after them",
			Value: text{new(string)}, // normalise takes it
		},
		&cli.BoolFlag{
			Name: "daemon", Aliases: []string{"d"}, Category: GroupProcess,
			Usage:              "go to the background once serving; with -v output is kept",
			DisableDefaultText: true,
			Destination:        &c.Process.Daemon,
		},
		&cli.GenericFlag{
			Name: "pidfile", Aliases: []string{"P"}, Category: GroupProcess,
			Usage: "`FILE` to write the process id to once listening",
			Value: textOrNone{text{&c.Process.PIDFile}},
		},
		&cli.BoolFlag{
			Name: "enable-coredumps", Aliases: []string{"r"}, Category: GroupProcess,
			Usage:              "dump core at a crash: raise the limit on core files",
			DisableDefaultText: true,
			Destination:        &c.Process.CoreDumps,
		},
		&cli.GenericFlag{
			Name: "extended", Aliases: []string{"o"}, Category: GroupProcess,
			Usage: "memcached's extended `OPTIONS`, with commas: idle_timeout=SECONDS closes idle connections, " +
				"no_maxconns_fast lets connections above the limit wait; the log says which are without effect",
			Value: extendedValue{&c.Extended},
		},
		&cli.BoolFlag{
			Name: "verbose", Aliases: []string{"v"}, Category: GroupProcess,
			Usage:              "log warnings; -vv: requests too",
			DisableDefaultText: true,
			Count:              &c.Process.Verbosity,
		},
	}
}
