package config

import (
	"regexp"
	"strings"
)

// reading takes from a value what memcached takes of it, as its C functions do: they skip leading blanks, and stop where a number ends.
// The result is what the flag's type parses. A value in which they find nothing is returned as it is, for the type to refuse. plain is
// false if the value does not look like what was read.
type reading func(typed string) (value string, plain bool)

// readings says how memcached reads its flags that are not text, by their long names.
var readings = map[string]reading{
	"port":               readInteger,
	"udp-port":           readInteger,
	"memory-limit":       readInteger,
	"conn-limit":         readInteger,
	"listen-backlog":     readInteger,
	"threads":            readInteger,
	"max-reqs-per-event": readInteger,
	"slab-min-size":      readInteger,
	"napi-ids":           readInteger,
	"slab-growth-factor": readDecimal,
	"max-item-size":      readSize,
	"unix-mask":          readOctal,
	"prefix-delimiter":   readCharacter,
}

// readingOf returns how the flag's values are read. memcached skips the blanks before a text and keeps those behind it, which may be part
// of a name.
func readingOf(long string, memcached bool) reading {
	if read := readings[long]; read != nil {
		return read
	}
	if memcached {
		return readText
	}
	return readTrimmed
}

// blanks are the characters that isspace knows.
const blanks = " \t\n\v\f\r"

func isBlank(s string) bool { return strings.Trim(s, blanks) == "" }

func readText(typed string) (string, bool) { return strings.TrimLeft(typed, blanks), true }

func readTrimmed(typed string) (string, bool) { return strings.Trim(typed, blanks), true }

// readInteger is atoi. Nothing at all is 0, as in `-U ""`.
func readInteger(typed string) (string, bool) {
	if isBlank(typed) {
		return "0", false
	}
	number, rest := cut(typed, wholeForm)
	if number == "" {
		return typed, true
	}
	return number, isBlank(rest)
}

// readOctal is strtol with the base 8, of which memcached uses the last three digits. A mode that ends at an 8 or 9, or that is only the 0
// of another notation (0x1c0, 0o700), is refused: memcached takes it for one that lets nobody in.
func readOctal(typed string) (string, bool) {
	if isBlank(typed) {
		return "0", false
	}
	number, rest := cut(typed, octalForm)
	digits := strings.TrimLeft(number, "0")
	switch {
	case number == "" || rest != "" && (rest[0] == '8' || rest[0] == '9') || digits == "" && !isBlank(rest):
		return typed, true
	case len(digits) > 3:
		return digits[len(digits)-3:], false
	}
	return number, isBlank(rest)
}

// readSize is how memcached reads -I: a last k or m is a unit, what is before it atoi's.
func readSize(typed string) (string, bool) {
	digits, unit := typed, ""
	if n := len(typed) - 1; n >= 0 && strings.IndexByte("kKmM", typed[n]) >= 0 {
		digits, unit = typed[:n], typed[n:]
	}
	number, rest := cut(digits, wholeForm)
	if number == "" {
		return typed, true
	}
	return number + unit, isBlank(rest)
}

// readDecimal is atof, without hexadecimal digits and names of infinity.
func readDecimal(typed string) (string, bool) {
	number, rest := cut(typed, decimalForm)
	if number == "" {
		return typed, true
	}
	return number, isBlank(rest)
}

// readStrict is how memcached reads numbers when it looks at what follows them: only a blank may, and then anything.
func readStrict(typed string) (string, bool) { return cutAtBlank(typed, wholeForm) }

// readStrictDecimal is the same for a number with a fraction.
func readStrictDecimal(typed string) (string, bool) { return cutAtBlank(typed, decimalForm) }

func cutAtBlank(typed string, form *regexp.Regexp) (string, bool) {
	number, rest := cut(typed, form)
	if number == "" || rest != "" && !isBlank(rest[:1]) {
		return typed, true
	}
	return number, isBlank(rest)
}

// readCharacter takes the first one.
func readCharacter(typed string) (string, bool) {
	s := strings.TrimLeft(typed, blanks)
	if s == "" {
		return typed, true
	}
	return s[:1], len(s) == 1
}

// Forms of numbers at the begin of a value.
var (
	wholeForm   = regexp.MustCompile(`^[\s\v]*([+-]?[0-9]+)`)
	octalForm   = regexp.MustCompile(`^[\s\v]*(\+?[0-7]+)`)
	decimalForm = regexp.MustCompile(`^[\s\v]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)`)
)

// cut splits a number of this form, without a plus, from what is behind it. The number is empty if there is none.
func cut(typed string, form *regexp.Regexp) (number, rest string) {
	m := form.FindStringSubmatchIndex(typed)
	if m == nil {
		return "", typed
	}
	return strings.TrimPrefix(typed[m[2]:m[3]], "+"), typed[m[1]:]
}
