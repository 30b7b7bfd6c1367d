package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/store"
)

// extendedOptions is what -o says. Its options are extendedTable's.
type extendedOptions struct {
	idleTimeout int // seconds; 0: none
	refuse      bool
	reassign    bool // pages, by command
	automove    int  // a level of the store's
	trackSizes  bool

	crawler        bool
	crawlerSleep   int // microseconds
	crawlerToCrawl int // items of a class; 0: all

	watcherBuffer, workerBuffer int // KiB; 0: the default

	given       []string // as typed, the last at the end, for `check`
	meaningless []string // rows of the table that were given and do nothing, once each
}

func newExtendedOptions() extendedOptions {
	return extendedOptions{refuse: true, reassign: true, automove: store.AutomoveCareful, crawler: true, crawlerSleep: 100}
}

func (o *extendedOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "extended", Aliases: []string{"o"}, Category: categoryProcess,
			Usage: "memcached's extended `OPTIONS`, with commas: idle_timeout=SECONDS closes idle connections, " +
				"no_maxconns_fast lets connections above the limit wait; the others are accepted",
			Value: extendedValue{o},
		},
	}
}

func (o *extendedOptions) validate() error { return nil }

// extendedValue parses a value of -o.
type extendedValue struct{ to *extendedOptions }

func (v extendedValue) String() string {
	if v.to == nil {
		return ""
	}
	return strings.Join(v.to.given, ",")
}

func (v extendedValue) Set(s string) error {
	for typed := range strings.SplitSeq(s, ",") {
		if typed == "" {
			continue
		}
		if err := v.to.set(typed); err != nil {
			return err
		}
		// The last of several counts. (urfave/cli sets a flag with a short name twice,
		// to what it was and to what String made of that.)
		v.to.given = append(slices.DeleteFunc(v.to.given, func(s string) bool { return s == typed }), typed)
	}
	return nil
}

// set takes one option, name or name=value.
func (o *extendedOptions) set(typed string) error {
	name, value, _ := strings.Cut(typed, "=")
	row := findExtended(name)
	if row == nil {
		return fmt.Errorf("unknown option %q", name)
	}
	if err := row.takes.check(value); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	switch {
	case row.set != nil:
		return row.set(o, value)
	case !slices.Contains(o.meaningless, row.name):
		o.meaningless = append(o.meaningless, row.name)
	}
	return nil
}

// explain logs, once for each option without a meaning, why it has none.
func (o *extendedOptions) explain(log logFunc) {
	for _, name := range o.meaningless {
		log(1, "-o %s has no effect here: %s", name, findExtended(name).why)
	}
}

// argument is what may stand behind an option's "=".
type argument uint8

const (
	nothing argument = iota // whatever stands there is not looked at, as in memcached
	number                  // a whole number, not negative
	fraction
	word // anything but nothing
)

func (a argument) check(value string) error {
	switch a {
	case number:
		if n, err := strconv.ParseUint(value, 10, 32); err != nil || n > math.MaxInt32 {
			return fmt.Errorf("needs a whole number from 0 to %d", math.MaxInt32)
		}
	case fraction:
		if f, err := strconv.ParseFloat(value, 64); err != nil || !(f >= 0) || math.IsInf(f, 0) {
			return fmt.Errorf("needs a number from 0")
		}
	case word:
		if value == "" {
			return fmt.Errorf("needs a value")
		}
	}
	return nil
}
