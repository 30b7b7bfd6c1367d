package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ringcached/store"
)

// Extended is what -o says. Its options are extendedTable's.
type Extended struct {
	IdleTimeout   int // seconds; 0: none
	RefuseAtLimit bool
	SlabReassign  bool // pages, by command
	SlabAutomove  int  // a level of the store's
	TrackSizes    bool

	Crawler        bool
	CrawlerSleep   int // microseconds
	CrawlerToCrawl int // items of a class; 0: all

	WatcherBuffer, WorkerBuffer int // KiB; 0: the default

	TLS TLSOptions

	given   []string // with the values that were read, the last at the end, for `check`
	misread []string // of the last value of -o: what looks like something else than what was read
}

func newExtended() Extended {
	return Extended{RefuseAtLimit: true, SlabReassign: true, SlabAutomove: store.AutomoveCareful, Crawler: true, CrawlerSleep: 100, TLS: newTLSOptions()}
}

// extendedValue parses a value of -o.
type extendedValue struct{ to *Extended }

func (v extendedValue) String() string {
	if v.to == nil {
		return ""
	}
	return strings.Join(v.to.given, ",")
}

func (v extendedValue) Set(s string) error {
	v.to.misread = nil
	for typed := range strings.SplitSeq(s, ",") {
		if typed == "" {
			continue
		}
		if err := v.to.set(typed); err != nil {
			return err
		}
	}
	return nil
}

// set takes one option, name or name=value.
func (o *Extended) set(typed string) error {
	name, value, given := strings.Cut(typed, "=")
	row := findExtended(name)
	if row == nil {
		return fmt.Errorf("unknown option %q", name)
	}
	if read := row.takes.reading(); read != nil && given {
		var plain bool
		if value, plain = read(value); !plain {
			o.misread = append(o.misread, fmt.Sprintf("%s is read as %s", shown(typed), value))
		}
		typed = name + "=" + value
	}
	if err := row.takes.check(value, given); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	if row.set != nil {
		if err := row.set(o, value); err != nil {
			return err
		}
	}
	// The last of several counts. (urfave/cli sets a flag with a short name twice,
	// to what it was and to what String made of that.)
	o.given = append(slices.DeleteFunc(o.given, func(s string) bool { return s == typed }), typed)
	return nil
}

// Explain logs which options have no effect: at level 0 those that ask for something ringcached lacks, one line for each reason, and at level 1
// those that it does not need.
func (o *Extended) Explain(log logFunc) {
	var told []string // reasons, or names
	for _, typed := range o.given {
		row := findExtended(before(typed, "="))
		switch {
		case row.set != nil:
		case row.lacks && !slices.Contains(told, row.why):
			told = append(told, row.why)
			log(0, "warning: -o %s: %s%s", strings.Join(o.missing(row.why), ","), row.why, o.storageLost(row.why))
		case !row.lacks && !slices.Contains(told, row.name):
			told = append(told, row.name)
			log(1, "-o %s has no effect here: %s", row.name, row.why)
		}
	}
}

// missing returns the options that lack the same.
func (o *Extended) missing(why string) (typed []string) {
	for _, given := range o.given {
		if row := findExtended(before(given, "=")); row.lacks && row.why == why {
			typed = append(typed, given)
		}
	}
	return typed
}

// storageLost says, for the storage on disk, how much there is not.
func (o *Extended) storageLost(why string) string {
	megabytes := uint64(0)
	for _, given := range o.given {
		if path, is := strings.CutPrefix(given, "ext_path="); is && why == whyStorage {
			size, _ := storageSize(path)
			megabytes += size
		}
	}
	if megabytes == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of items that memcached would keep there will not be", bigSize(megabytes))
}

// bigSize is a number of megabytes in the largest unit in which it is whole.
func bigSize(n uint64) string {
	units := []string{"MB", "GB", "TB", "PB"}
	for len(units) > 1 && n%1024 == 0 {
		n, units = n/1024, units[1:]
	}
	return fmt.Sprint(n, " ", units[0])
}

// storageSize reads a value of ext_path, FILE:SIZE or FILE:SIZE:BUCKET, and returns the size in megabytes.
func storageSize(value string) (megabytes uint64, ok bool) {
	parts := strings.Split(value, ":")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return 0, false
	}
	digits, unit := parts[1][:len(parts[1])-1], strings.ToLower(parts[1][len(parts[1])-1:])
	n, err := strconv.ParseUint(digits, 10, 32)
	shift := strings.Index("mgtp", unit)
	return n << (10 * max(shift, 0)), err == nil && shift >= 0
}

// argument is what may stand behind an option's "=".
type argument uint8

const (
	nothing        argument = iota // whatever stands there is not looked at, as in memcached
	something                      // nor is it here, but it has to be there
	word                           // and must not be empty
	integer                        // a whole number, not negative, as atoi reads it
	level                          // likewise, or nothing, even without the "="
	strict                         // a whole number, at most with a blank behind it
	fraction                       // as atof reads it
	strictFraction                 // as strict
	storage                        // a file and its size
)

// reading is how memcached reads it; nil: as text.
func (a argument) reading() reading {
	switch a {
	case integer, level:
		return readInteger
	case strict:
		return readStrict
	case fraction:
		return readDecimal
	case strictFraction:
		return readStrictDecimal
	}
	return nil
}

func (a argument) check(value string, given bool) error {
	switch a {
	case something:
		if !given {
			return errors.New("needs a value")
		}
	case integer:
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("needs a whole number from 0 to %d", math.MaxInt32)
		}
	case strict:
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < 0 || n > math.MaxUint32 {
			return fmt.Errorf("needs a whole number from 0 to %d", uint32(math.MaxUint32))
		}
	case fraction:
		if f, err := strconv.ParseFloat(value, 64); err != nil || !(f >= 0) || math.IsInf(f, 0) {
			return errors.New("needs a number from 0")
		}
	case strictFraction: // memcached takes negative ones, too
		if f, err := strconv.ParseFloat(value, 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("needs a number")
		}
	case word:
		if value == "" {
			return errors.New("needs a value")
		}
	case storage:
		if _, ok := storageSize(value); !ok {
			return errors.New("needs a file and its size, such as /data/file:64m (units m, g, t and p)")
		}
	}
	return nil
}
