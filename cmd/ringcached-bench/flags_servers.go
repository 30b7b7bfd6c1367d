package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"ringcached/bench/sut"
)

// serverFlags are what flags say of the servers that a command starts, and of the cores for them and for the load.
type serverFlags struct {
	extra      cli.StringSlice
	serverCore string
	loadCores  string
	threads    int // of a server where no flag says otherwise; 0: 1
}

// flags are all but --load-cores; s takes what needs no reading.
func (f *serverFlags) flags(s *sut.ServerOptions) []cli.Flag {
	const category = categoryServers
	return []cli.Flag{
		&cli.StringFlag{
			Name: "server", Category: category, Usage: "`PATH` of ringcached (default: beside this program, or in PATH)", Destination: &s.Path,
		},
		&cli.StringSliceFlag{
			Name: "server-arg", Category: category, Usage: "one more `ARGUMENT` for ringcached, may be repeated", Destination: &f.extra,
		},
		&cli.StringFlag{
			Name: "memcached", Category: category, Usage: "`PATH` of memcached (default: what scripts/install-peer memcached-1.6.45 unpacked)", Destination: &s.Memcached,
		},
		&cli.IntFlag{
			Name: "server-threads", Category: category, Usage: "`N` threads for each server (-t)", Value: max(f.threads, 1), Destination: &s.Threads,
		},
		&cli.StringFlag{
			Name: "user", Category: category, Usage: "`NAME` that servers run as, when started by root", Value: "nobody", Destination: &s.User,
		},
		&cli.StringFlag{
			Name: "server-core", Category: category, Usage: "`LIST` of cores for the servers (default: the last one)", Destination: &f.serverCore,
		},
	}
}

// loadCoresFlag is --load-cores, which commands list in different places.
func (f *serverFlags) loadCoresFlag(category string) cli.Flag {
	return &cli.StringFlag{
		Name: "load-cores", Category: category, Usage: "`LIST` of cores for the load, such as 0,2-3 (default: chosen)", Destination: &f.loadCores,
	}
}

// resolve reads what the flags say into s and cores.
func (f *serverFlags) resolve(s *sut.ServerOptions, cores *sut.Cores) (err error) {
	s.Extra = f.extra.Value()
	for _, l := range []struct {
		flag, text string
		to         *[]int
	}{{"server-core", f.serverCore, &cores.Server}, {"load-cores", f.loadCores, &cores.Load}} {
		if l.text == "" {
			continue
		}
		if *l.to, err = sut.ParseCores(l.text); err != nil {
			return fmt.Errorf("%s: %w", l.flag, err)
		}
	}
	return nil
}
