package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagSpec is what normalise must know of a flag.
type flagSpec struct {
	long       string // its first name
	takesValue bool
}

// flagTable finds a flag by any of its names, without dashes.
type flagTable map[string]flagSpec

// absent are memcached's flags that this server does not have, and why.
var absent = map[string]string{
	"-Z": whyTLS, "--enable-ssl": whyTLS,
	"-N": "threads are not bound to network queues", "--napi-ids": "threads are not bound to network queues",
	"-i": "it comes as the file LICENSE", "--license": "it comes as the file LICENSE",
}

// unknownFlag is the error about a flag, spelt with its dashes.
func unknownFlag(typed string) error {
	if why, ok := absent[typed]; ok {
		return fmt.Errorf("no flag %s here: %s", typed, why)
	}
	return fmt.Errorf("unknown flag %s", typed)
}

func newFlagTable(flags []cli.Flag) flagTable {
	table := flagTable{}
	for _, f := range flags {
		spec := flagSpec{long: f.Names()[0]}
		if documented, ok := f.(cli.DocGenerationFlag); ok {
			spec.takesValue = documented.TakesValue()
		}
		for _, name := range f.Names() {
			table[name] = spec
		}
	}
	return table
}

// normalise rewrites a command line that getopt_long would accept, as
// memcached's users type it, into the one form that urfave/cli reads the same
// way: every flag by its long name, its value attached with "=". So -m64,
// -m 64, -vvm64, --memory-limit 64 and --memory-limit=64 all mean the same, and a
// value may begin with a dash (-p -1). Unknown flags and missing values are
// reported here. args[0] is the program's name. After the name of a command
// the flags are that command's.
func normalise(app *cli.App, args []string) ([]string, error) {
	n := normaliser{table: newFlagTable(append([]cli.Flag{cli.HelpFlag}, app.Flags...))}
	n.out = append(n.out, args[0])
	n.in = args[1:]
	inCommand := false
	for len(n.in) > 0 {
		arg := n.shift()
		switch {
		case arg == "--":
			n.out = append(append(n.out, arg), n.in...)
			return n.out, nil
		case strings.HasPrefix(arg, "--"):
			if err := n.long(arg[2:]); err != nil {
				return nil, err
			}
		case len(arg) > 1 && arg[0] == '-':
			if err := n.short(arg[1:]); err != nil {
				return nil, err
			}
		default:
			if c := app.Command(arg); c != nil && !inCommand {
				n.table = newFlagTable(append([]cli.Flag{cli.HelpFlag}, c.Flags...))
				inCommand = true
			}
			n.out = append(n.out, arg)
		}
	}
	return n.out, nil
}

type normaliser struct {
	table   flagTable
	in, out []string
}

func (n *normaliser) shift() string {
	arg := n.in[0]
	n.in = n.in[1:]
	return arg
}

// long handles "name" or "name=value".
func (n *normaliser) long(arg string) error {
	name, value, attached := strings.Cut(arg, "=")
	spec, known := n.table[name]
	if !known || len(name) < 2 {
		return unknownFlag("--" + name)
	}
	if attached && !spec.takesValue {
		return fmt.Errorf("--%s takes no value", name)
	}
	if attached {
		n.out = append(n.out, "--"+spec.long+"="+value)
		return nil
	}
	return n.emit(spec, "--"+name)
}

// short handles a bundle: letters of flags without a value, then at most one
// that has a value, which is the rest of the bundle or the next argument.
func (n *normaliser) short(bundle string) error {
	for i := range len(bundle) {
		letter := bundle[i : i+1]
		spec, known := n.table[letter]
		if !known {
			return unknownFlag("-" + letter)
		}
		if rest := bundle[i+1:]; spec.takesValue && rest != "" {
			n.out = append(n.out, "--"+spec.long+"="+rest)
			return nil
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
	n.out = append(n.out, "--"+spec.long+"="+n.shift())
	return nil
}
