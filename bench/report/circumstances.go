package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ringcached/bench/trial"
)

// pair is a name and what it stands for.
type pair struct{ Name, Value string }

// fields are those of a value's JSON, by their names, those of structs inside with the outer name before theirs: so what a later program adds is shown
// and compared as well.
func fields(value any) []pair {
	text, err := json.Marshal(value)
	var tree any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = cmp.Or(err, d.Decode(&tree)); err != nil {
		return []pair{{"unreadable", err.Error()}}
	}
	return flatten(nil, "", tree)
}

func flatten(all []pair, name string, value any) []pair {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = flatten(all, strings.TrimPrefix(name+": "+key, ": "), v[key])
		}
		return all
	case []any:
		var list []string
		for _, f := range v {
			for _, p := range flatten(nil, "", f) {
				list = append(list, strings.TrimSpace(p.Name+" "+p.Value))
			}
		}
		value = strings.Join(list, ", ")
	case nil:
		value = ""
	}
	text := fmt.Sprint(value)
	if d, err := time.ParseDuration(text + "ns"); err == nil && strings.HasSuffix(name, "_ns") {
		text = d.String()
	}
	return append(all, pair{name, text})
}

// flat are the fields of a value for the page. Those without a value have the text empty, and are left out if that is "".
func flat(value any, empty string) (pairs []pair) {
	for _, f := range fields(value) {
		if f.Value = cmp.Or(f.Value, empty); f.Value != "" && f.Name != "command" {
			pairs = append(pairs, pair{strings.ReplaceAll(strings.TrimSuffix(f.Name, "_ns"), "_", " "), f.Value})
		}
	}
	return pairs
}

// commonLoad lists what the loads of all points have in common.
func commonLoad(p *trial.Plan) (common []pair) {
	for i := range p.Points {
		all := flat(&p.Points[i].Load, "")
		if i == 0 {
			common = all
		}
		common = slices.DeleteFunc(common, func(p pair) bool {
			return !slices.Contains(all, p) || slices.Contains([]string{"name", "title", "Common"}, p.Name)
		})
	}
	return common
}

// shell writes a command as it can be given to a shell.
func shell(args []string) string {
	quoted := slices.Clone(args)
	for i, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`&|;<>()*?[]{}!#~") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// differences says what of two results' circumstances differs: what makes a comparison unusable, and what only disturbs it.
func differences(a, b *trial.Report) (obstacles, warnings []string) {
	if a.Kind != b.Kind {
		obstacles = append(obstacles, fmt.Sprintf("one is of kind %s, the other %s", a.Kind, b.Kind))
	}
	compare := func(what string, old, young any) {
		values, names := [2]map[string]string{}, map[string]bool{}
		for i, side := range []any{old, young} {
			values[i] = map[string]string{}
			for _, f := range fields(side) {
				values[i][f.Name], names[f.Name] = f.Value, true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			x, y := values[0][name], values[1][name]
			switch line := fmt.Sprintf("the %s %s differs: %s and %s", what, name, cmp.Or(x, "nothing"), cmp.Or(y, "nothing")); {
			case x == y || relevance[name] == ofNothing:
			case relevance[name] == ofNoise:
				warnings = append(warnings, line)
			default:
				obstacles = append(obstacles, line)
			}
		}
	}
	compare("machine's", &a.Environment, &b.Environment)
	compare("option", a.Options, b.Options)
	return obstacles, warnings
}

// What a field of an environment or of options has an influence on. What is not in the table changes what is measured.
const (
	ofNoise   = iota + 1 // how far samples scatter
	ofNothing            // or on what is looked at elsewhere
)

var relevance = map[string]int{
	"go": ofNoise, "io_uring": ofNoise, "physical_cores": ofNoise, "numa_nodes": ofNoise, "memory_bytes": ofNoise,
	"version": ofNothing, "command": ofNothing, "limit_open_files": ofNothing, "limit_locked_memory_bytes": ofNothing, "hardware_counters": ofNothing,
	"slice_ns": ofNoise, "trial_ns": ofNoise, "warmup_ns": ofNoise, "cores: server": ofNoise, "cores: load": ofNoise, "servers: variants": ofNoise,
	"time_ns": ofNothing, "precision": ofNothing, "seed": ofNothing, "profile": ofNothing,
	"servers: path": ofNothing, "servers: memcached": ofNothing, "servers: user": ofNothing,
}
