package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// CheckName is the command whose flags are the server's.
const CheckName = "check"

// flagSpec is what Normalise must know about a flag.
type flagSpec struct {
	long       string // its first name
	takesValue bool
	memcached  bool // by its long name, too
	read       reading
	value      cli.Generic // nil: any text will do
}

// flagTable finds a flag by any of its names, without dashes.
type flagTable map[string]flagSpec

func newFlagTable(flags []cli.Flag) flagTable {
	table := flagTable{}
	for _, f := range flags {
		long := f.Names()[0]
		// What is ours has a long name only, but -D has its long name from us.
		spec := flagSpec{long: long, memcached: len(f.Names()) > 1 && long != "prefix-delimiter"}
		spec.read = readingOf(long, len(f.Names()) > 1)
		if documented, ok := f.(cli.DocGenerationFlag); ok {
			spec.takesValue = documented.TakesValue()
		}
		if generic, ok := f.(*cli.GenericFlag); ok {
			spec.value = generic.Value
		}
		for _, name := range f.Names() {
			table[name] = spec
		}
	}
	return table
}

// find looks up a long name or, as getopt_long does, the begin of just one. Where memcached has one of that begin and this server has more,
// it is memcached's.
func (t flagTable) find(typed string) (flagSpec, error) {
	if spec, ok := t[typed]; ok && len(typed) > 1 {
		return spec, nil
	}
	var theirs, all []string
	for name, spec := range t {
		if len(name) > 1 && strings.HasPrefix(name, typed) {
			all = append(all, name)
			if spec.memcached {
				theirs = append(theirs, name)
			}
		}
	}
	switch {
	case len(all) == 0 && strings.ContainsAny(typed, blanks):
		return flagSpec{}, oneArgument("--" + typed)
	case typed == "" || len(all) == 0:
		return flagSpec{}, fmt.Errorf("unknown flag --%s", typed)
	case len(theirs) == 1:
		return t.find(theirs[0])
	case len(all) == 1:
		return t[all[0]], nil
	}
	slices.Sort(all)
	return flagSpec{}, fmt.Errorf("--%s may be %s: write more of it", typed, "--"+strings.Join(all, ", --"))
}

// oneArgument is the error about flags that were meant to be several arguments, such as "-vv -m 64" of a list.
func oneArgument(arg string) error {
	return fmt.Errorf("%q is one argument with a blank in it: each flag is an argument of its own", arg)
}

// Normalise rewrites a command line that getopt_long would accept, as
// memcached's users type it, into the one form that urfave/cli reads the same
// way: every flag by its long name, its value attached with "=". So -m64,
// -m 64, -vvm64, --memory-l 64 and --memory-limit=64 all mean the same, and a
// value may begin with a dash (-p -1). Values are read as memcached reads them.
// Flags may stand behind words; the words are ignored, as memcached ignores them,
// but for the name of a command at first, and what other commands than check
// get. The flags of a file are put in front. Unknown flags, missing values and
// wrong ones are reported here. args[0] is the program's name.
func Normalise(app *cli.App, line *CommandLine, args []string) ([]string, error) {
	root := append([]cli.Flag{cli.HelpFlag}, app.Flags...)
	n := normaliser{table: newFlagTable(root), line: line}
	n.scratch()
	if err := n.all(args[1:], app); err != nil {
		return nil, err
	}
	if n.command == "" || n.command == CheckName {
		n.ignoreWords(app.Commands)
	}
	flags, err := n.withConfig()
	if err != nil {
		return nil, err
	}
	out := append([]string{args[0]}, n.before...)
	if n.command != "" {
		out = append(out, n.command)
	}
	out = append(out, flags...)
	if slices.ContainsFunc(n.words, func(word string) bool { return strings.HasPrefix(word, "-") && word != "-" }) {
		out = append(out, "--")
	}
	return append(out, n.words...), nil
}

type normaliser struct {
	table  flagTable
	in     []string
	where  string // of a line in a file, for messages; or empty
	line   *CommandLine
	config string // the file of --config; empty: none

	before  []string // flags before the command
	command string
	out     []string // flags
	words   []string
}

// scratch makes the values that are set those of options that nobody uses: they are there to refuse what can't be set.
func (n *normaliser) scratch() {
	for name, spec := range newFlagTable(New().Flags()) {
		if known, ok := n.table[name]; ok {
			known.value = spec.value
			n.table[name] = known
		}
	}
}

// all goes through arguments. Those of the app, which is not nil then, may have a command.
func (n *normaliser) all(args []string, app *cli.App) error {
	n.in = args
	for len(n.in) > 0 {
		arg := n.shift()
		var err error
		switch {
		case arg == "--":
			n.words = append(n.words, n.in...)
			n.in = nil
		case strings.HasPrefix(arg, "--"):
			err = n.long(arg[2:])
		case len(arg) > 1 && arg[0] == '-':
			err = n.short(arg[1:])
		case app != nil && n.command == "" && len(n.words) == 0 && app.Command(arg) != nil:
			n.enter(app.Command(arg))
		default:
			n.words = append(n.words, arg)
		}
		if err != nil {
			return fmt.Errorf("%s%w", n.where, err)
		}
	}
	return nil
}

// enter begins with a command's flags.
func (n *normaliser) enter(c *cli.Command) {
	n.command, n.before, n.out = c.Name, n.out, nil
	if n.config != "" { // it is no less a flag than those that it has
		n.before, n.config = append(n.before, "--"+configName+"="+n.config), ""
	}
	n.table = newFlagTable(append([]cli.Flag{cli.HelpFlag}, c.Flags...))
	n.scratch()
}

func (n *normaliser) shift() string {
	arg := n.in[0]
	n.in = n.in[1:]
	return arg
}

// long handles "name" or "name=value".
func (n *normaliser) long(arg string) error {
	name, value, attached := strings.Cut(arg, "=")
	spec, err := n.table.find(name)
	switch {
	case err != nil:
		return err
	case attached && spec.long == "verbose": // the one flag of memcached's whose value is optional, and not looked at
		n.line.remark("%s--%s counts as one -v, as memcached counts it", n.where, arg)
	case attached && !spec.takesValue:
		return fmt.Errorf("--%s takes no value", name)
	case attached:
		return n.set(spec, "--"+name, value)
	}
	return n.emit(spec, "--"+name)
}

// short handles a bundle: letters of flags without a value, then at most one
// that has a value, which is the rest of the bundle or the next argument.
func (n *normaliser) short(bundle string) error {
	for i := range len(bundle) {
		letter := bundle[i : i+1]
		spec, known := n.table[letter]
		switch {
		case !known && isBlank(letter):
			return oneArgument("-" + bundle)
		case !known:
			return fmt.Errorf("unknown flag -%s", letter)
		}
		if rest := bundle[i+1:]; spec.takesValue && rest != "" {
			return n.set(spec, "-"+letter, rest)
		}
		if err := n.emit(spec, "-"+letter); err != nil {
			return err
		}
	}
	return nil
}

// emit writes a flag whose value, if it has one, is the next argument. typed
// is how the user spelt it.
func (n *normaliser) emit(spec flagSpec, typed string) error {
	if !spec.takesValue {
		n.out = append(n.out, "--"+spec.long)
		return nil
	}
	if len(n.in) == 0 {
		return fmt.Errorf("%s needs a value", typed)
	}
	return n.set(spec, typed, n.shift())
}

// set reads a flag's value, and writes the flag with what was read.
func (n *normaliser) set(spec flagSpec, flag, typed string) error {
	if spec.long == configName {
		return n.setConfig(typed)
	}
	value, plain := spec.read(typed)
	typed = strings.TrimLeft(typed, blanks)
	if spec.value != nil {
		if err := spec.value.Set(value); err != nil && !plain {
			return fmt.Errorf("invalid value %q, which memcached reads as %s, for --%s: %w", typed, value, spec.long, err)
		} else if err != nil {
			return fmt.Errorf("invalid value %q for --%s: %w", typed, spec.long, err)
		}
	}
	if !plain {
		n.line.remark("%s%s %s is read as %s, as memcached reads it", n.where, flag, shown(strings.TrimRight(typed, blanks)), value)
	}
	if ext, ok := spec.value.(extendedValue); ok {
		for _, item := range ext.to.misread {
			n.line.remark("%s%s %s, as memcached reads it", n.where, flag, item)
		}
	}
	n.out = append(n.out, "--"+spec.long+"="+value)
	return nil
}

// shown quotes what would be hard to see.
func shown(s string) string {
	if s == "" || strings.ContainsAny(s, blanks+`"'`) {
		return strconv.Quote(s)
	}
	return s
}

// ignoreWords says which words have no effect. Empty ones are what a unit makes of "$OPTIONS" without options, and mean nothing.
// commands are named in the message, for users who mistyped one.
func (n *normaliser) ignoreWords(commands []*cli.Command) {
	var ignored, names []string
	for _, word := range n.words {
		if word != "" {
			ignored = append(ignored, strconv.Quote(word))
		}
	}
	n.words = nil
	for _, c := range commands {
		names = append(names, c.Name)
	}
	switch {
	case len(ignored) == 0:
	case len(names) == 0:
		n.line.warn("%s%s: words that are no flags are ignored, as memcached ignores them", n.where, strings.Join(ignored, " "))
	default:
		n.line.warn("%s: words that are no flags are ignored, as memcached ignores them (the commands are %s)",
			strings.Join(ignored, " "), strings.Join(names, ", "))
	}
}
