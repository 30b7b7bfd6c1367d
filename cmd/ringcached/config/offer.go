package config

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/ring"
)

// offering is a flag's value of which shells can complete what it may be.
type offering interface {
	// offers are the words. One that ends in = needs a value of its own.
	offers() []string
	// list reports whether several may be given, with commas.
	list() bool
}

// featureNames are names of kernel features, as ring.ParseFeatures reads them.
type featureNames struct{ text }

func (featureNames) offers() []string { return append([]string{"all", "none"}, ring.FeatureNames()...) }

func (featureNames) list() bool { return true }

func (v choice) offers() []string { return v.words }

func (v choice) list() bool { return false }

func (v extendedValue) offers() (words []string) {
	for _, row := range extendedTable {
		if row.takes != nothing {
			words = append(words, row.name+"=")
			continue
		}
		words = append(words, row.name)
	}
	return words
}

func (v extendedValue) list() bool { return true }

// Offer returns what a shell may offer for the value of the last flag in args, which a completion script typed: --flag= as the last word, or a flag and then
// an empty word. For a whole flag it offers the flags that begin with it. known is false where no flag waits for a value: then the scripts offer flags and commands. Without words they offer files.
func Offer(flags []cli.Flag, args []string) (words []string, known bool) {
	if len(args) == 0 {
		return nil, false
	}
	table := newFlagTable(flags)
	last, attached := args[len(args)-1], false
	if last == "" && len(args) > 1 {
		last = args[len(args)-2]
	} else if last, _, attached = strings.Cut(last, "="); !attached {
		words = table.longer(last)
		return words, words != nil
	}
	spec, found := flagSpec{}, false
	switch {
	case strings.HasPrefix(last, "--"):
		spec, found = table[last[2:]]
	case len(last) > 1 && last[0] == '-' && !attached:
		spec, found = table.lastOf(last[1:])
	}
	if !found || !spec.takesValue {
		return nil, false
	}
	if value, ok := spec.value.(offering); ok {
		return value.offers(), true
	}
	return nil, true
}

// longer are the flags that begin with a whole long one, --listen and --listen-backlog: urfave/cli takes it for one that is given already, and leaves it out.
func (t flagTable) longer(typed string) (words []string) {
	name, long := strings.CutPrefix(typed, "--")
	if spec, known := t[name]; !long || !known || spec.long != name {
		return nil
	}
	for other := range t {
		if strings.HasPrefix(other, name) {
			words = append(words, "--"+other)
		}
	}
	slices.Sort(words)
	return words
}

// lastOf is the flag of a bundle whose value is the next word, if there is one.
func (t flagTable) lastOf(bundle string) (spec flagSpec, found bool) {
	for i := range len(bundle) {
		if spec, found = t[bundle[i:i+1]]; !found || spec.takesValue {
			return spec, found && i == len(bundle)-1
		}
	}
	return spec, found
}

// Offers are the words for a flag of this name, and whether several may be given, with commas. There are none for most flags.
func Offers(flags []cli.Flag, name string) (words []string, list bool) {
	if value, ok := newFlagTable(flags)[name].value.(offering); ok {
		return value.offers(), value.list()
	}
	return nil, false
}

// TakesFile reports whether the flag's value is the path of a file: its usage then names it so.
func TakesFile(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if documented, ok := f.(cli.DocGenerationFlag); ok && f.Names()[0] == name {
			usage := documented.GetUsage()
			return strings.Contains(usage, "`FILE`") || strings.Contains(usage, "`PATH`")
		}
	}
	return false
}

// Option is one of memcached's -o options, as the manual page has it.
type Option struct {
	Name, Text string
	Effect     bool // Text says what it does; otherwise why it does nothing
}

// Options are all of -o: those that do something first.
func Options() (all []Option) {
	for _, effect := range []bool{true, false} {
		for _, row := range extendedTable {
			if (row.set != nil) == effect {
				all = append(all, Option{row.name, row.does + row.why, effect})
			}
		}
	}
	return all
}
