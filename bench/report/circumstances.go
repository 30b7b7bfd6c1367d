package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// pair is a name and what it stands for.
type pair struct{ Name, Value string }

// fields are those of a value's JSON by their names, in which outer ones come first: so later fields are compared too.
func fields(value any) map[string]string {
	text, err := json.Marshal(value)
	var tree any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = cmp.Or(err, d.Decode(&tree)); err != nil {
		return map[string]string{"unreadable": err.Error()}
	}
	all := map[string]string{}
	flatten(all, "", tree)
	return all
}

func flatten(all map[string]string, name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			flatten(all, strings.TrimPrefix(name+": "+key, ": "), inner)
		}
	case []any:
		var list []string
		for _, one := range v {
			inner := map[string]string{}
			flatten(inner, "", one)
			for _, key := range slices.Sorted(maps.Keys(inner)) {
				list = append(list, strings.TrimSpace(key+" "+inner[key]))
			}
		}
		all[name] = strings.Join(list, ", ")
	case nil:
		all[name] = ""
	default:
		all[name] = fmt.Sprint(v)
		if d, err := time.ParseDuration(all[name] + "ns"); err == nil && strings.HasSuffix(name, "_ns") {
			all[name] = d.String()
		}
	}
}

// flat are the fields of a value for the page. Those without a value have the text empty, or are left out for "".
func flat(value any, empty string) (pairs []pair) {
	all := fields(value)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if text := cmp.Or(all[name], empty); text != "" && name != "command" {
			pairs = append(pairs, pair{strings.ReplaceAll(strings.TrimSuffix(name, "_ns"), "_", " "), text})
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

// shorten takes what is only true of the machine of a run out of a text for others to read: a path in the directory of
// the run begins there, and the home directory is ~.
func shorten(h *sut.Header, text string) string {
	const before, after = `(^|[\s"'=:,;(])`, `($|[\s"',;:)])`
	for _, one := range []struct{ dir, inside, itself string }{{h.Directory, "", "."}, {h.Home, "~/", "~"}} {
		if dir := strings.TrimSuffix(one.dir, "/"); dir != "" {
			text = regexp.MustCompile(before+regexp.QuoteMeta(dir)+"/").ReplaceAllString(text, "${1}"+one.inside)
			for range 2 { // what stands between two of them belongs to the first
				text = regexp.MustCompile(before+regexp.QuoteMeta(dir)+after).ReplaceAllString(text, "${1}"+one.itself+"${2}")
			}
		}
	}
	return text
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

// differences says what differs between two results: what makes a comparison unusable, and what only disturbs it.
func differences(a, b *trial.Report) (obstacles, warnings []string) {
	if a.Kind != b.Kind {
		obstacles = append(obstacles, fmt.Sprintf("one is of kind %s, the other %s", a.Kind, b.Kind))
	}
	compare := func(what string, old, young any) {
		x, y := fields(old), fields(young)
		names := maps.Clone(x)
		maps.Copy(names, y)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			was, is := cmp.Or(x[name], "nothing"), cmp.Or(y[name], "nothing")
			line := fmt.Sprintf("the %s %s differs: %s and %s", what, name, was, is)
			switch {
			case x[name] == y[name] || slices.Contains(irrelevant, name):
			case slices.Contains(noiseOnly, name):
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

// What a field of an environment or of options has no influence on but how far samples scatter, or none that is not
// looked at elsewhere. What is in neither list changes what is measured.
var (
	noiseOnly = []string{
		"go", "io_uring", "physical_cores", "numa_nodes", "memory_bytes",
		"slice_ns", "trial_ns", "warmup_ns", "cores: server", "cores: load", "servers: variants",
	}
	irrelevant = []string{
		"version", "command", "limit_open_files", "limit_locked_memory_bytes", "hardware_counters",
		"time_ns", "precision", "seed", "profile", "servers: path", "servers: memcached", "servers: user",
	}
)
