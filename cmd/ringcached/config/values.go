package config

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
)

// The types below parse one kind of flag value each and refuse what is out of
// range, in words that complete "invalid value X for --flag: ". They write
// through to an options struct, whose value at the time is the default.

// wholeNumber is an integer between min and max, both included.
type wholeNumber struct {
	to       *int
	min, max int
}

func (v wholeNumber) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.min || n > v.max {
		if v.max == math.MaxInt {
			return fmt.Errorf("want a whole number, at least %d", v.min)
		}
		return fmt.Errorf("want a whole number from %d to %d", v.min, v.max)
	}
	*v.to = n
	return nil
}

func (v wholeNumber) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.Itoa(*v.to)
}

// optionalNumber is a number of which 0 means that none was given.
type optionalNumber struct{ wholeNumber }

func (v optionalNumber) String() string {
	if v.to == nil || *v.to == 0 {
		return ""
	}
	return v.wholeNumber.String()
}

// batchWait is a number of completions, or auto.
type batchWait struct{ wholeNumber }

func (v batchWait) Set(s string) error {
	if s == "auto" {
		*v.to = batch.WaitAuto
		return nil
	}
	if err := v.wholeNumber.Set(s); err != nil {
		return fmt.Errorf("%w, or auto", err)
	}
	return nil
}

func (v batchWait) String() string {
	if v.to != nil && *v.to == batch.WaitAuto {
		return "auto"
	}
	return v.wholeNumber.String()
}

// byteSize is a number of bytes with an optional suffix k or m (powers of 1024).
type byteSize struct {
	to       *int64
	min, max int64
}

func (v byteSize) Set(s string) error {
	n, err := parseSize(s)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("want a size from %s to %s (suffixes k and m)", formatSize(v.min), formatSize(v.max))
	}
	*v.to = n
	return nil
}

func (v byteSize) String() string {
	if v.to == nil {
		return ""
	}
	return formatSize(*v.to)
}

func parseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			digits, unit = s[:len(s)-1], 1<<10
		case 'm', 'M':
			digits, unit = s[:len(s)-1], 1<<20
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > math.MaxInt64/unit {
		return 0, strconv.ErrRange
	}
	return n * unit, nil
}

// formatSize is the shortest text that parseSize reads back as n.
func formatSize(n int64) string {
	switch {
	case n != 0 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "m"
	case n != 0 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "k"
	}
	return strconv.FormatInt(n, 10)
}

// megabytes is a number of MiB without a suffix, kept in bytes.
type megabytes struct {
	to       *int64
	min, max int64 // MiB
}

func (v megabytes) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("want a whole number of megabytes from %d to %d", v.min, v.max)
	}
	*v.to = n << 20
	return nil
}

func (v megabytes) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatInt(*v.to>>20, 10)
}

// decimal is a number greater than min.
type decimal struct {
	to  *float64
	min float64
}

func (v decimal) Set(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > v.min) || math.IsInf(f, 0) { // written so that NaN is refused
		return fmt.Errorf("want a number greater than %g", v.min)
	}
	*v.to = f
	return nil
}

func (v decimal) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatFloat(*v.to, 'g', -1, 64)
}

// span is a duration with a unit (20us, 1ms, 30s) between min and max.
type span struct {
	to       *time.Duration
	min, max time.Duration
}

func (v span) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < v.min || d > v.max {
		return fmt.Errorf("want a time from %v to %v with its unit (us, ms, s, m)", v.min, v.max)
	}
	*v.to = d
	return nil
}

func (v span) String() string {
	if v.to == nil {
		return ""
	}
	return strings.Replace(v.to.String(), "µ", "u", 1)
}

// choice is one of a few words.
type choice struct {
	to    *string
	words []string
}

func (v choice) Set(s string) error {
	for _, word := range v.words {
		if s == word {
			*v.to = s
			return nil
		}
	}
	return fmt.Errorf("want one of %s", strings.Join(v.words, ", "))
}

func (v choice) String() string {
	if v.to == nil {
		return ""
	}
	return *v.to
}

// text is any word that is not empty.
type text struct{ to *string }

func (v text) Set(s string) error {
	if s == "" {
		return fmt.Errorf("want a name")
	}
	*v.to = s
	return nil
}

func (v text) String() string {
	if v.to == nil {
		return ""
	}
	return *v.to
}

// textOrNone is any word, or nothing, which is as if the flag were not there: what a unit makes of a variable that is empty.
type textOrNone struct{ text }

func (v textOrNone) Set(s string) error {
	*v.to = s
	return nil
}

// character is a single byte that can end a key's prefix.
type character struct{ to *string }

func (v character) Set(s string) error {
	if len(s) != 1 || s[0] <= ' ' || s[0] > '~' {
		return fmt.Errorf("want one printable ASCII character")
	}
	*v.to = s
	return nil
}

func (v character) String() string {
	if v.to == nil {
		return ""
	}
	return *v.to
}

// fileMode is the access mode of a file, in octal.
type fileMode struct{ to *os.FileMode }

func (v fileMode) Set(s string) error {
	mode, err := strconv.ParseUint(s, 8, 32)
	if err != nil || mode > 0o777 {
		return fmt.Errorf("want an octal mode from 0 to 777")
	}
	*v.to = os.FileMode(mode)
	return nil
}

func (v fileMode) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatUint(uint64(*v.to), 8)
}

// noted is a value of which it matters whether it was given.
type noted struct {
	cli.Generic
	given *bool
}

func (v noted) Set(s string) error {
	*v.given = true
	return v.Generic.Set(s)
}

func (v noted) String() string {
	if v.Generic == nil {
		return ""
	}
	return v.Generic.String()
}
