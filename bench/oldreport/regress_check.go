package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// differences says what of two results' circumstances differs: what makes a comparison unusable, and what only disturbs it.
func differences(a, b *Report) (obstacles []error, warnings []string) {
	if a.Kind != b.Kind {
		obstacles = append(obstacles, fmt.Errorf("one is of kind %s, the other %s", a.Kind, b.Kind))
	}
	for _, e := range []struct{ what, old, new string }{
		{"kernel", a.Environment.Kernel, b.Environment.Kernel},
		{"CPU", a.Environment.CPU, b.Environment.CPU},
		{"number of cores", fmt.Sprint(a.Environment.Cores), fmt.Sprint(b.Environment.Cores)},
		{"mitigations", strings.Join(a.Environment.Mitigations, " "), strings.Join(b.Environment.Mitigations, " ")},
		{"CPU governor", a.Environment.Governor, b.Environment.Governor},
		{"TCP congestion control", a.Environment.Congestion, b.Environment.Congestion},
		{"transparent huge pages", a.Environment.HugePages, b.Environment.HugePages},
	} {
		if e.old != e.new {
			obstacles = append(obstacles, fmt.Errorf("not the same %s: %q and %q", e.what, e.old, e.new))
		}
	}
	if a.Environment.Go != b.Environment.Go {
		warnings = append(warnings, fmt.Sprintf("the benchmarks were built by different releases of Go: %s and %s", a.Environment.Go, b.Environment.Go))
	}
	old, young := flatten("", a.Options), flatten("", b.Options)
	names := slices.Sorted(maps.Keys(old))
	for name := range young {
		if _, both := old[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if old[name] == young[name] {
			continue
		}
		line := fmt.Sprintf("the option %s differs: %s and %s", name, cmp.Or(old[name], "nothing"), cmp.Or(young[name], "nothing"))
		switch relevance[name] {
		case ofNoise:
			warnings = append(warnings, line)
		case ofNothing:
		default:
			obstacles = append(obstacles, fmt.Errorf("%s", line))
		}
	}
	return obstacles, warnings
}

// What an option has an influence on. What is not in the table changes what is measured.
const (
	ofNoise   = iota + 1 // how far rounds differ
	ofNothing            // or on what is looked at elsewhere
)

var relevance = map[string]int{
	"duration_ns": ofNoise, "warmup_ns": ofNoise, "requests": ofNoise, "cores.server": ofNoise, "cores.load": ofNoise,
	"servers.variants": ofNoise,
	"rounds":           ofNothing, "least": ofNothing, "most": ofNothing, "narrow": ofNothing, "seed": ofNothing, "subjects": ofNothing,
	"only": ofNothing, "experiments": ofNothing, "idle.connections": ofNothing, "profile": ofNothing,
	"servers.path": ofNothing, "servers.memcached": ofNothing, "servers.user": ofNothing,
}

// flatten lists options, as they were read from JSON, by their full names, as texts.
func flatten(prefix string, options any) map[string]string {
	flat := make(map[string]string)
	named, _ := options.(map[string]any)
	for name, value := range named {
		if _, ok := value.(map[string]any); ok {
			maps.Copy(flat, flatten(prefix+name+".", value))
		} else {
			flat[prefix+name] = fmt.Sprint(value)
		}
	}
	return flat
}
