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
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

const appName = "ringcached-bench"

// program is where commands write.
type program struct {
	stdout *output
	stderr io.Writer
	quick  bool // --quick was given, with which commands have other defaults
}

// run is the whole program: args as the process got them, name first. The end of ctx stops what runs, with the results
// so far. It returns the exit code: 0, or after a line on stderr for each reason 1, or what the command's error says.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{&output{to: stdout}, stderr, asksQuick(args)}
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
	failures := map[string]int{} // exit codes of commands
	for _, one := range p.commands() {
		app.Commands, failures[one.name] = append(app.Commands, one.cli(p)), one.failure
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
	return cmp.Or(failures[args[min(1, len(args)-1)]], 1)
}

// commands are in the order in which help lists them.
func (p *program) commands() []command {
	return []command{
		p.runCommand(), p.topCommand(), p.compareCommand(), p.limitsCommand(), p.storeCommand(), p.reportCommand(), p.replayCommand(),
		p.genCommand(), p.regressCommand(), p.attackCommand(), p.nullCommand(), p.gonetCommand(), p.costCommand(),
	}
}

// exitError is an error with an exit code. Package cli's is no such type, since another program's failure is one too.
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

// asksQuick looks for --quick, before there are flags.
func asksQuick(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		value, found := strings.CutPrefix(strings.TrimLeft(arg, "-"), "quick")
		on, _ := strconv.ParseBool(cmp.Or(strings.TrimPrefix(value, "="), "true"))
		return found && on && strings.HasPrefix(arg, "-")
	})
}

// flagsFirst puts the flags of a command before its arguments, as package cli wants them.
func flagsFirst(commands []*cli.Command, args []string) []string {
	at := slices.IndexFunc(commands, func(c *cli.Command) bool { return len(args) > 1 && c.Name == args[1] })
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
		switch a := args[i]; {
		case a == "--":
			return slices.Concat(flags, rest, args[i+1:])
		case len(a) < 2 || a[0] != '-':
			rest = append(rest, a)
		case takesValue(strings.TrimLeft(a, "-")):
			if i++; i == len(args) {
				return append(flags, a) // which package cli refuses
			}
			flags = append(flags, a, args[i])
		default:
			flags = append(flags, a)
		}
	}
	return append(flags, rest...)
}

// usageError takes the place of a page of help after a mistyped value.
func usageError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%s", strings.Replace(err.Error(), " for flag -", " for --", 1))
}
