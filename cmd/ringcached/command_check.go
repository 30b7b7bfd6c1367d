package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
)

func newCheckCommand(line *config.CommandLine, stdout, stderr io.Writer) *cli.Command {
	options := newConfig()
	options.Line = line
	return &cli.Command{
		Name:         config.CheckName,
		Usage:        "check flags as serving would, and print the settings that result, one flag a line",
		Flags:        options.Flags(),
		OnUsageError: usageError,

		CustomHelpTemplate: commandHelpTemplate,
		Action: func(c *cli.Context) error {
			if before := c.Lineage()[1]; before.NumFlags() > 0 {
				return errors.New("the flags to check come behind the word check")
			}
			return check(options, stdout, stderr)
		},
	}
}

// check goes through all that can be known before memory is taken and sockets are
// opened, so that it can be done beside a running server. Rings are made, as the user of -u, and freed.
func check(c *config.Config, stdout, stderr io.Writer) error {
	s := &service{config: c}
	if err := s.prepare(); err != nil {
		return err
	}
	sockets := s.batch()
	if err := sockets.Validate(); err != nil {
		return err
	}
	lines := process.NewLogger(stderr, new(atomic.Int32))
	defer lines.Flush(process.StartFlushTime)
	if err := raiseLimits(c, lines.Log); err != nil {
		return err
	}
	choice, err := batch.Try(sockets, s.identity.BecomeOnThread)
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, f := range c.Flags() {
		writeFlag(&out, f)
	}
	note := func(_ int, format string, args ...any) { fmt.Fprintf(&out, "# "+format+"\n", args...) }
	c.Line.Log(note)
	note(0, "listens on %s", addressList(c.Network.Addrs, c.Network.Labels, c.Network.UDPAddrs, c.Network.Unix))
	note(0, "engine %s: %s", choice.Engine, choice.Why)
	note(0, "%s: %s", plural(c.Engine.Batch.Threads, "thread"), c.Engine.ThreadsFrom())
	c.Engine.WarnOfUnused(choice.Engine, note)
	warnOfUnrestricted(choice, note)
	if s.users != nil {
		note(0, "clients authenticate as one of %s", plural(s.users.count(), "user"))
	}
	if s.tls != nil {
		note(0, "TLS: %s", s.tls)
	}
	note(0, "takes %v", memoryNeedOf(c))
	s.warnOfMemory(process.MemoryLimits("/"), note)
	checkFile(c.Memory.File, note)
	c.Extended.Explain(note)
	c.Network.Explain(note)
	c.ExplainTLS(note)
	warnOfKernelTLS(c, note)
	_, err = io.WriteString(stdout, out.String())
	return err
}

// writeFlag writes a flag as it would be typed to have the value that it has now, and
// nothing for one that is off or empty.
func writeFlag(out *strings.Builder, f cli.Flag) {
	name, value := f.Names()[0], ""
	switch f := f.(type) {
	case *cli.GenericFlag:
		value = f.Value.String()
	case *cli.StringSliceFlag:
		value = strings.Join(f.Destination.Value(), ",")
	case *cli.BoolFlag:
		times := 0
		switch {
		case f.Count != nil:
			times = *f.Count
		case *f.Destination:
			times = 1
		}
		out.WriteString(strings.Repeat("--"+name+"\n", times))
	}
	if value == "" {
		return
	}
	if strings.ContainsAny(value, " \t\"'\\#") {
		value = strconv.Quote(value)
	}
	fmt.Fprintf(out, "--%s=%s\n", name, value)
}
