package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

var roundTimes = strings.NewReplacer("h0m0s", "h", "m0s", "m")

// InRange is the error for a flag whose value is not from low to high, or nil.
func InRange[T cmp.Ordered](flag string, value, low, high T) error {
	if value >= low && value <= high { // no NaN is
		return nil
	}
	return fmt.Errorf("%s: %s", flag, roundTimes.Replace(fmt.Sprintf("%v is not in %v..%v", value, low, high)))
}

// AtLeast is the error for a flag whose value is below low, or nil.
func AtLeast[T cmp.Ordered](flag string, value, low T) error {
	if value >= low {
		return nil
	}
	return fmt.Errorf("%s: %v is below %v", flag, value, low)
}

// OneOf is the error for a flag whose value is none of some names, or nil.
func OneOf(flag, value string, names ...string) error {
	if slices.Contains(names, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is not one of %s", flag, value, strings.Join(names, ", "))
}
