package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/top"
)

func (p *program) topCommand() command {
	o := top.Options{Addr: defaultAddr, Interval: time.Second}
	return command{
		name: "top", args: "[ADDR]", most: 1,
		options: []option{{"interval", &o.Interval}, {"once", &o.Once}},
		run: func(c *cli.Context) error {
			if c.NArg() == 1 {
				o.Addr = c.Args().First()
			}
			return top.Run(c.Context, o, p.stdout.to)
		},
	}
}
