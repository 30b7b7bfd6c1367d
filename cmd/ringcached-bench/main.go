package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

const appName = "ringcached-bench"

// program is where commands write.
type program struct {
	stdout *output
	stderr io.Writer
}

// run is the whole program: args as the process got them, name first. The end of ctx stops what runs, with the results so far. It returns the exit
// code: 0, or after a line on stderr for each reason 1, or what the command's error says.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{&output{to: stdout}, stderr}
	app := &cli.App{
		Name:            appName,
		HelpName:        appName,
		Usage:           "load generator for memcached servers, and comparisons of them",
		HideHelpCommand: true,
		Writer:          p.stdout,
		ErrWriter:       stderr,
		OnUsageError:    usageError,
		ExitErrHandler:  func(*cli.Context, error) {}, // the exit code is decided here
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("unknown command %q (see %s --help)", c.Args().First(), appName)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, prepare := range []func() command{
		p.runCommand, p.compareCommand, p.limitsCommand, p.storeCommand, p.reportCommand, p.replayCommand, p.genCommand, p.regressCommand, p.attackCommand,
		p.nullCommand, p.gonetCommand, p.costCommand,
	} {
		one := prepare()
		app.Commands = append(app.Commands, one.cli(p))
	}
	err := app.RunContext(ctx, flagsFirst(app.Commands, args))
	if err == nil {
		err = p.stdout.err
	}
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(stderr, "%s: %s\n", appName, line)
	}
	var coded exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return 1
}

// exitError is an error with an exit code. It is a type of its own, since what package cli has for that is also what another program's failure is.
type exitError struct {
	error
	code int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is one of the program's, as far as it is not like the others.
type command struct {
	name, usage, description string
	args                     string // what it takes
	least, most              int    // of them
	options                  []option
	quick                    bool      // there is a flag --quick
	files                    []*string // that it writes in the end, named by flags
	failure                  int       // exit code of an error that has none of its own, 0: 1
	run                      func(*cli.Context) error
}

// cli is the command as package cli wants it.
func (cmd *command) cli(p *program) *cli.Command {
	quick := false
	if cmd.quick {
		cmd.options = append(cmd.options, option{categoryMeasure, "quick", "rough results in a short time; other flags still count", &quick, nil})
	}
	fail := func(err error) error {
		var coded exitError
		if err == nil || cmd.failure == 0 || errors.As(err, &coded) {
			return err
		}
		return exitError{err, cmd.failure}
	}
	made := &cli.Command{Name: cmd.name, Usage: cmd.usage, ArgsUsage: cmp.Or(cmd.args, " "), Description: cmd.description}
	made.OnUsageError = func(c *cli.Context, err error, sub bool) error { return fail(usageError(c, err, sub)) }
	for i := range cmd.options {
		made.Flags = append(made.Flags, cmd.options[i].flag())
	}
	made.Action = func(c *cli.Context) error {
		if n := c.NArg(); n < cmd.least {
			return fail(fmt.Errorf("%s takes %s", cmd.name, cmd.args))
		} else if n > cmd.most {
			return fail(fmt.Errorf("%s takes %s, got %q too", cmd.name, cmp.Or(cmd.args, "no arguments"), c.Args().Get(cmd.most)))
		}
		for i := range cmd.options {
			if o := &cmd.options[i]; quick && !c.IsSet(o.name) {
				o.setQuick()
			}
		}
		for _, path := range cmd.files {
			if err := canWrite(*path); err != nil {
				return fail(err)
			}
		}
		return fail(errors.Join(cmd.run(c), p.stdout.err))
	}
	return made
}

// flagsFirst puts the flags of a command before its arguments, as package cli wants them.
func flagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) < 2 {
		return args
	}
	at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == args[1] })
	if at < 0 {
		return args
	}
	takesValue := func(name string) bool {
		return slices.ContainsFunc(commands[at].Flags, func(f cli.Flag) bool {
			return slices.Contains(f.Names(), name) && f.(cli.DocGenerationFlag).TakesValue()
		})
	}
	flags, rest := slices.Clone(args[:2]), []string{"--"}
	for i := 2; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return slices.Concat(flags, rest, args[i+1:])
		case len(a) < 2 || a[0] != '-':
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		if !takesValue(strings.TrimLeft(a, "-")) {
			continue
		}
		if i++; i == len(args) {
			return flags // which package cli refuses
		}
		flags = append(flags, args[i])
	}
	return append(flags, rest...)
}

// usageError takes the place of a page of help after a mistyped value.
func usageError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%s", strings.Replace(err.Error(), " for flag -", " for --", 1))
}
