package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

const appName = "ringcached-bench"

// run is the whole program: args as the process got them, name first. The end of ctx stops what runs, with the results so far. It returns the exit
// code: 0, or after a line on stderr for each reason 1, or what the command's error says.
func run(ctx context.Context, args []string, standardOutput, stderr io.Writer) int {
	stdout := &output{to: standardOutput}
	app := &cli.App{
		Name:            appName,
		HelpName:        appName,
		Usage:           "load generator for memcached servers, and comparisons of them",
		HideHelpCommand: true,
		Commands: []*cli.Command{
			newRunCommand(stdout, stderr), newCompareCommand(stdout, stderr), newLimitsCommand(stdout, stderr),
			newStoreCommand(stdout, stderr), newReportCommand(stdout), newReplayCommand(stdout, stderr), newGenCommand(stderr),
			newRegressCommand(stdout, stderr), newAttackCommand(stdout, stderr), newNullCommand(stdout), newGonetCommand(stdout), newCostCommand(stdout),
		},
		Writer:         stdout,
		ErrWriter:      stderr,
		OnUsageError:   usageError,
		ExitErrHandler: func(*cli.Context, error) {}, // the exit code is decided here
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("unknown command %q (see %s --help)", c.Args().First(), appName)
			}
			return cli.ShowAppHelp(c)
		},
	}
	err := app.RunContext(ctx, args)
	if err == nil {
		err = stdout.err
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(stderr, "%s: %s\n", appName, line)
		}
		var coded cli.ExitCoder
		if errors.As(err, &coded) {
			return coded.ExitCode()
		}
		return 1
	}
	return 0
}

// output remembers that something could not be printed, since results that nobody sees are none.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(text []byte) (n int, err error) {
	if n, err = o.to.Write(text); err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// usageError takes the place of a page of help after a mistyped value.
func usageError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%s", strings.Replace(err.Error(), " for flag -", " for --", 1))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
