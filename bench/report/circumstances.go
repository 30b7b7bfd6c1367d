package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringcached/bench/trial"
)

// differences says what of two results' circumstances differs: what makes a comparison unusable, and what only disturbs it.
func differences(a, b *trial.Report) (obstacles, warnings []string) {
	if a.Kind != b.Kind {
		obstacles = append(obstacles, fmt.Sprintf("one is of kind %s, the other %s", a.Kind, b.Kind))
	}
	x, y := &a.Environment, &b.Environment
	for _, e := range []struct{ what, old, new string }{
		{"kernel", x.Kernel, y.Kernel},
		{"CPU", x.CPU, y.CPU},
		{"number of cores", fmt.Sprint(x.Cores), fmt.Sprint(y.Cores)},
		{"mitigations", strings.Join(x.Mitigations, " "), strings.Join(y.Mitigations, " ")},
		{"CPU governor", x.Governor, y.Governor},
		{"TCP congestion control", x.Congestion, y.Congestion},
		{"transparent huge pages", x.HugePages, y.HugePages},
	} {
		if e.old != e.new {
			obstacles = append(obstacles, fmt.Sprintf("not the same %s: %q and %q", e.what, e.old, e.new))
		}
	}
	if x.Go != y.Go {
		warnings = append(warnings, fmt.Sprintf("the benchmarks were built by different releases of Go: %s and %s", x.Go, y.Go))
	}
	old, young := fieldsOf(a.Options), fieldsOf(b.Options)
	names := maps.Clone(old)
	maps.Copy(names, young)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if old[name] == young[name] {
			continue
		}
		line := fmt.Sprintf("the option %s differs: %s and %s", name, cmp.Or(old[name], "nothing"), cmp.Or(young[name], "nothing"))
		switch relevance[name] {
		case ofNoise:
			warnings = append(warnings, line)
		case ofNothing:
		default:
			obstacles = append(obstacles, line)
		}
	}
	return obstacles, warnings
}

// What an option has an influence on. What is not in the table changes what is measured.
const (
	ofNoise   = iota + 1 // how far samples scatter
	ofNothing            // or on what is looked at elsewhere
)

var relevance = map[string]int{
	"slice_ns": ofNoise, "trial_ns": ofNoise, "warmup_ns": ofNoise, "requests": ofNoise, "cores: server": ofNoise, "cores: load": ofNoise,
	"servers: variants": ofNoise,
	"time_ns":           ofNothing, "precision": ofNothing, "seed": ofNothing, "subjects": ofNothing, "only": ofNothing, "experiments": ofNothing,
	"quick": ofNothing, "profile": ofNothing, "servers: path": ofNothing, "servers: memcached": ofNothing, "servers: user": ofNothing,
}

// fieldsOf are the fields of a value by their full names, as texts.
func fieldsOf(value any) map[string]string {
	fields := map[string]string{}
	if text, err := json.Marshal(value); err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		flatten(d, "", func(name, value string) { fields[name] = value })
	}
	return fields
}
