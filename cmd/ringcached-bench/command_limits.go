package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/report"
	"ringcached/bench/trial"
)

func (p *program) limitsCommand() command {
	o, quick := trial.DefaultOptions(false), trial.DefaultOptions(true)
	quick.Time, quick.Precision = 4*time.Minute, 0.05
	limits := trial.LimitsOptions{Idle: 15_000, Turns: 3}
	var json string
	var turns int
	cmd := command{
		name: "limits", quick: true, files: []*string{&json},
		usage: "check ringcached against its targets: CPU ratios to memcached, to epoll and to the null server, memory of idle connections",
		description: "Rows: " + strings.Join(trial.LimitNames(), ", ") + ".\n\n" +
			"Each row is a workload of compare, measured until the 95 % intervals of its ratios are narrow. A target is met or missed if the whole\n" +
			"interval lies on one side of it, otherwise the result is undecided. All take half an hour at most, or four minutes with --quick.",
		options: append([]option{
			{categoryMeasure, "only", "only the row `NAME`, may be repeated", (*list)(&limits.Only), nil},
			{categoryMeasure, "max-turns", "at most `N` turns of each row, 0: as many as precision needs", &turns, nil},
			{categoryMeasure, "idle-connections", "`N` connections in idle", &limits.Idle, nil},
			{categoryMeasure, "idle-rounds", "`N` trials of each server in idle", &limits.Turns, 1},
			{categoryMeasure, "profile", "write profiles of the rows that missed into `DIR` (needs perf)", &o.Profile, nil},
			{categoryMeasure, "json", "write everything measured to `FILE`", &json, nil},
			{categoryServers, "before", "`PATH` of an earlier build of ringcached, which targets of a change are over", &limits.Before, nil},
		}, trialOptions(&o, &quick)...),
	}
	cmd.run = func(c *cli.Context) error {
		plans, err := limits.Plans(&o.Servers)
		if err != nil {
			return err
		}
		r, err := p.carryOut(c, "limits", plans, o, turns, true)
		if r == nil {
			return err
		}
		report.PrintEnd(p.stdout, r)
		return p.finish(c.Context, json, r, r.Failures(), err)
	}
	return cmd
}
