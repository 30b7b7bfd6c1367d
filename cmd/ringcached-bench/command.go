package main

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/report"
)

//go:embed help.txt
var helpText string

// about is what help.txt says of a command, and of its flags by their names.
type about struct {
	usage, description string
	flags              map[string]flagText
}

type flagText struct{ category, usage string }

// aboutCommand reads the section of a name, "*" for common flags: a line, a text, and flags below their categories.
func aboutCommand(name string, facts *strings.Replacer) *about {
	_, text, _ := strings.Cut(helpText, "# "+name+"\n")
	text, _, _ = strings.Cut(text, "\n# ")
	a, category := &about{flags: map[string]flagText{}}, ""
	a.usage, text, _ = strings.Cut(facts.Replace(text), "\n\n")
	for line := range strings.Lines(text) {
		flag, usage, _ := strings.Cut(line, " ")
		switch flag, isFlag := strings.CutPrefix(flag, "--"); {
		case isFlag:
			a.flags[flag] = flagText{category, strings.TrimSpace(usage)}
		case slices.Contains([]string{"Load:\n", "Measurement:\n", "Servers:\n"}, line):
			category = strings.TrimSuffix(line, ":\n")
		default:
			a.description += line
		}
	}
	a.description = strings.TrimSpace(a.description)
	return a
}

// command is one of the program's, as far as it is not like the others. What help says of it is in help.txt.
type command struct {
	name        string
	facts       []string // names in braces that help.txt has, each followed by what it stands for
	args        string   // what it takes
	least, most int      // of them
	options     []option
	quick       bool      // there is a flag --quick, which program.quick has read for defaults
	files       []*string // that it writes in the end, named by flags
	failure     int       // exit code of an error that has none of its own, 0: 1
	// One of the two does it. A command that measures has a flag --json; what it shows is progress, or nothing with "".
	run     func(*cli.Context) error
	measure func(c *cli.Context, show func(string)) (*outcome, error)
}

// outcome is what a command measured.
type outcome struct {
	result   any // for --json
	print    func(io.Writer)
	failures []string          // that make the result untrustworthy, a line each; "": none
	last     func(error) error // what is to be done in the end, and said of the exit code; nil: nothing
}

// cli is the command as package cli wants it.
func (cmd *command) cli(p *program) *cli.Command {
	var json string
	if cmd.measure != nil {
		cmd.options = append(cmd.options, option{"json", &json})
		cmd.files = append(cmd.files, &json)
		cmd.run = func(c *cli.Context) error { return cmd.outcome(p, c, json) }
	}
	if cmd.quick {
		cmd.options = append(cmd.options, option{"quick", new(bool)})
	}
	said, common := aboutCommand(cmd.name, strings.NewReplacer(cmd.facts...)), aboutCommand("*", strings.NewReplacer())
	made := &cli.Command{Name: cmd.name, Usage: said.usage, Description: said.description, OnUsageError: usageError}
	made.ArgsUsage = cmp.Or(cmd.args, " ")
	for i := range cmd.options {
		of := cmp.Or(said.flags[cmd.options[i].name], common.flags[cmd.options[i].name])
		if of.usage == "" {
			panic("help.txt says nothing of " + cmd.name + " --" + cmd.options[i].name)
		}
		made.Flags = append(made.Flags, cmd.options[i].flag(of.category, of.usage))
	}
	made.Action = func(c *cli.Context) error {
		if n := c.NArg(); n < cmd.least {
			return fmt.Errorf("%s takes %s", cmd.name, cmd.args)
		} else if n > cmd.most {
			takes := cmp.Or(cmd.args, "no arguments")
			return fmt.Errorf("%s takes %s, got %q too", cmd.name, takes, c.Args().Get(cmd.most))
		}
		if err := cmd.checkFiles(p); err != nil {
			return err
		}
		return errors.Join(cmd.run(c), p.stdout.err)
	}
	return made
}

// checkFiles says before anything is measured which of the files cannot be written. If one is the standard output,
// texts go to the standard error.
func (cmd *command) checkFiles(p *program) error {
	standard := 0
	for _, path := range cmd.files {
		if *path == report.Standard {
			standard++
		} else if err := report.Writable(*path); err != nil {
			return err
		}
	}
	if standard > 1 {
		return errors.New("only one file can be -, the standard output")
	}
	if standard == 1 {
		p.stdout.to = p.stderr
	}
	return nil
}

// outcome measures, prints the result and writes it to the file json, if one is named. To be interrupted is no error.
func (cmd *command) outcome(p *program, c *cli.Context, json string) error {
	status := p.status()
	o, err := cmd.measure(c, status.show)
	status.show("")
	if o == nil {
		return err
	}
	o.print(p.stdout)
	if c.Context.Err() != nil {
		fmt.Fprintln(p.stdout, "interrupted: these are the results so far")
		err = nil // as asked for
	}
	if json != "" {
		err = errors.Join(err, report.WriteJSON(json, o.result))
	}
	for _, line := range o.failures {
		if line != "" {
			err = errors.Join(err, errors.New(line))
		}
	}
	if o.last != nil {
		err = o.last(err)
	}
	return err
}

// listing has a line for each of what help names: its name and what it is.
func listing[T any](all []T, width int, row func(T) (name, title string)) string {
	var lines strings.Builder
	for _, one := range all {
		name, title := row(one)
		fmt.Fprintf(&lines, "  %-*s %s\n", width, name, title)
	}
	return strings.TrimSuffix(lines.String(), "\n")
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

// status shows what happens: one line that changes on a terminal, a line each elsewhere.
type status struct {
	w        io.Writer
	terminal bool
	shown    bool
}

func (p *program) status() *status {
	s := &status{w: p.stderr}
	if f, ok := p.stderr.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

const clearLine = "\r\x1b[K"

// show shows a line in place of the last one, or nothing, so that results can be written there.
func (s *status) show(line string) {
	switch {
	case s.terminal && (s.shown || line != ""):
		fmt.Fprint(s.w, clearLine+line)
	case line != "":
		fmt.Fprintln(s.w, line)
	}
	s.shown = line != ""
}
