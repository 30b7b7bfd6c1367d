package statlines

import (
	"regexp"
	"strings"
	"testing"
)

// TestRowsAreWhole: each line is described once and in the same style, and so is each metric.
func TestRowsAreWhole(t *testing.T) {
	metric := regexp.MustCompile(`^(memcached|ringcached)_[a-z_]+(\{[a-z]+="[a-z]+"(,[a-z]+="[a-z]+")*\})?$`)
	lines, metrics := map[string]bool{}, map[string]bool{}
	for i := range Table {
		row := &Table[i]
		name := row.Group + " " + row.Name
		if lines[name] {
			t.Errorf("%s: a second row", name)
		}
		lines[name] = true
		if row.Help == "" || strings.HasSuffix(row.Help, ".") || strings.ContainsAny(row.Help, "|\n") {
			t.Errorf("%s: the help %q", name, row.Help)
		}
		number := row.Type != Text && !strings.HasPrefix(row.Help, "always 0") && row.Group != "settings" && row.Group != "hotkeys"
		if number && row.Metric == "" && row.NoMetric == "" || row.NoMetric != "" && (!number || row.Metric != "") {
			t.Errorf("%s: a number has a metric, or a reason why not: it has %q and %q", name, row.Metric, row.NoMetric)
		}
		if row.Metric == "" {
			continue
		}
		if !metric.MatchString(row.Metric) || metrics[row.Metric] {
			t.Errorf("%s: the metric %s is badly named, or another line's", name, row.Metric)
		}
		metrics[row.Metric] = true
		if help := FamilyHelp(row.Family()); !strings.HasSuffix(help, ".") || strings.ContainsAny(help, "`[]") {
			t.Errorf("%s: the help of the family is %q", row.Family(), help)
		}
	}
	if FamilyHelp("memcached_no_such") != "" {
		t.Error("a family that no line makes has a help text")
	}
}

func TestFamilyHelp(t *testing.T) {
	for family, want := range map[string]string{
		"memcached_commands_total":               "Requests by command and by what became of them.",
		"memcached_uptime_seconds":               "Time since the start, in seconds.",
		"ringcached_upload_maxbytes":             "Bound of upload_bytes.",
		"ringcached_hash_bucket_evictions_total": "Items evicted because their bucket was full: a client knows which keys collide.",
	} {
		if got := FamilyHelp(family); got != want {
			t.Errorf("%s: %q, want %q", family, got, want)
		}
	}
}
