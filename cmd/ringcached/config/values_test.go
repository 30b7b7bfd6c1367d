package config

import (
	"testing"

	"github.com/urfave/cli/v2"
)

// TestDefaultsAreValid: what the server does without flags is within the limits
// of the flags, and every value is shown as it would be typed.
func TestDefaultsAreValid(t *testing.T) {
	options := New()
	options.Process.User = "nobody"
	if err := options.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := options.Resolve(); err != nil {
		t.Fatal(err)
	}
	if err := options.Validate(); err != nil {
		t.Fatalf("once completed: %v", err)
	}
	for _, f := range options.Flags() {
		f, ok := f.(*cli.GenericFlag)
		if !ok || f.Value.String() == "" { // no default
			continue
		}
		shown := f.Value.String()
		if err := f.Value.Set(shown); err != nil || f.Value.String() != shown {
			t.Errorf("--%s: %q is read back as %q, %v", f.Name, shown, f.Value.String(), err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "1": 1, "1k": 1 << 10, "1K": 1 << 10, "3m": 3 << 20, "1M": 1 << 20, "1025": 1025} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "1kk", "-1", "1.5m", "9223372036854775807k", "1 m"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}
