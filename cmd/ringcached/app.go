package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
)

const appName = process.Name

// version is the release of ringcached, in digits and dots.
const version = "0.1.0"

// commit is the commit that the program was built from. Builds that know it set it (-ldflags "-X main.commit=..."); others take what Go has noted.
var commit string

// versionLine says what this program is: release, commit and Go release.
func versionLine() string {
	of, changed := commit, ""
	info, ok := debug.ReadBuildInfo()
	if of == "" && ok {
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				of = setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				changed = ", changed"
			}
		}
	}
	if of == "" {
		of = "unknown"
	}
	return fmt.Sprintf("%s %s (commit %s%s, %s)", appName, version, of, changed, runtime.Version())
}

// memcachedVersion is what the commands `version` and `stats` answer: the release
// of memcached whose commands and replies these are. Clients decide by it what
// they may send, and libmemcached takes a major version of 0 for an error.
const memcachedVersion = "1.6.45"

// run is the whole program: args as the process got them, name first. It
// returns the exit code: 0, or 1 after one line on stderr that says why.
func run(args []string, stdout, stderr io.Writer) int {
	line := new(config.CommandLine)
	app := newApp(line, stdout, stderr)
	asked, nothing := completing(args)
	if nothing {
		return 0
	}
	if asked {
		var offered bool
		if args, offered = offer(app, args); offered {
			return 0
		}
	}
	var err error
	if !asked {
		args, err = config.Normalise(app, line, args)
	}
	if err == nil {
		err = app.Run(args)
	}
	if err != nil && !errors.Is(err, process.ErrReported) {
		lines := process.NewLogger(stderr, new(atomic.Int32))
		lines.Log(0, "%v", err)
		lines.Flush(process.StartFlushTime)
	}
	if err != nil {
		return 1
	}
	return 0
}

const usageText = "  " + appName + ` [flags]            serve until stopped
  ` + appName + ` check [flags]      print the settings that these flags make, or what is wrong with them
  ` + appName + ` probe              print what this kernel offers and which engine auto takes
  ` + appName + ` man                print the manual page
  ` + appName + ` statistics         print what each line of stats means, and which metric it is
  ` + appName + ` completion SHELL   print the completion script for bash, zsh or fish`

// description stands in the manual.
const description = `ringcached keeps items in memory and serves them to memcached's clients. Its command line is memcached's, so that unit
files, containers and scripts need no change; flags of its own have long names only. Short flags may be bundled and their
values attached, as with getopt: -vvm64.`

// newApp describes the command line. Serving is what happens without a
// command, as memcached's users expect. line takes what is to be said of the command line.
func newApp(line *config.CommandLine, stdout, stderr io.Writer) *cli.App {
	options := newConfig()
	options.Line = line
	var showVersion, showLicense bool
	installHelp()
	flags := append(options.Flags(), &cli.BoolFlag{
		Name: "version", Aliases: []string{"V"}, Category: config.GroupProcess,
		Usage:              "print the version, commit and Go release, and exit",
		DisableDefaultText: true,
		Destination:        &showVersion,
	}, &cli.BoolFlag{
		Name: "license", Aliases: []string{"i"}, Category: config.GroupProcess,
		Usage:              "print the license and exit",
		DisableDefaultText: true,
		Destination:        &showLicense,
	})
	commands := []*cli.Command{newCheckCommand(line, stdout, stderr), newProbeCommand(stdout), newManCommand(stdout), newStatisticsCommand(stdout), newCompletionCommand(stdout)}
	for _, c := range commands {
		c.HideHelpCommand = true // --help is enough
	}
	return &cli.App{
		Name:        appName,
		HelpName:    appName,
		Usage:       "a cache server that speaks memcached's protocol over io_uring",
		UsageText:   usageText,
		Description: description,

		CustomAppHelpTemplate: helpTemplate,
		Metadata:              map[string]any{"groups": groupFlags(flags)},

		HideVersion:          true, // its -v is our --verbose
		HideHelpCommand:      true,
		Flags:                flags,
		Commands:             commands,
		EnableBashCompletion: true,

		Writer:         stdout,
		ErrWriter:      stderr,
		OnUsageError:   usageError,
		ExitErrHandler: func(*cli.Context, error) {}, // run decides
		Action: func(*cli.Context) error {
			if showVersion {
				_, err := fmt.Fprintln(stdout, versionLine())
				return err
			}
			if showLicense {
				_, err := fmt.Fprint(stdout, appName, " ", version, "\n\n", license)
				return err
			}
			return serve(options, stderr)
		},
	}
}

// newConfig returns what holds without any flag on this machine, in this cgroup.
func newConfig() *config.Config {
	c := config.New()
	c.Engine.SetDefaultThreads(process.DefaultThreads(os.Getenv("GOMAXPROCS"), runtime.NumCPU(), process.CPULimits("/")))
	return c
}

// usageError takes the place of a page of help after a mistyped value: the
// flag package's sentence, with the flag spelt as the user knows it.
func usageError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%s", strings.Replace(err.Error(), " for flag -", " for --", 1))
}
