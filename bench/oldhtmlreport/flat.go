package htmlreport

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// pair is a name and what it stands for.
type pair struct{ Name, Value string }

// flat lists the fields of a value in the order of its JSON, those of structs inside with the outer name before theirs. So what a later
// program adds to an environment or to options is shown as well.
func flat(value any) []pair {
	text, err := json.Marshal(value)
	if err != nil {
		return []pair{{"unreadable", err.Error()}}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return flatten(d, nil)
}

// flatten reads one value. Within it, names are those of the fields that lead there.
func flatten(d *json.Decoder, names []string) (pairs []pair) {
	t, err := d.Token()
	if err != nil {
		return nil
	}
	switch t {
	case json.Delim('{'):
		for d.More() {
			key, _ := d.Token()
			name, _ := key.(string)
			pairs = append(pairs, flatten(d, append(names[:len(names):len(names)], name))...)
		}
		_, _ = d.Token()
		return pairs
	case json.Delim('['):
		var values []string
		for d.More() {
			var inner []string
			for _, p := range flatten(d, nil) {
				inner = append(inner, strings.TrimPrefix(p.Name+" "+p.Value, " "))
			}
			values = append(values, strings.Join(inner, ", "))
		}
		_, _ = d.Token()
		return []pair{{fieldName(names), strings.Join(values, ", ")}}
	}
	return []pair{{fieldName(names), scalar(names, t)}}
}

// scalar writes a number, text or truth. Fields in nanoseconds are durations.
func scalar(names []string, t json.Token) string {
	switch t := t.(type) {
	case string:
		return t
	case bool:
		return strconv.FormatBool(t)
	case json.Number:
		if len(names) > 0 && strings.HasSuffix(names[len(names)-1], "_ns") {
			if n, err := t.Int64(); err == nil {
				return time.Duration(n).String()
			}
		}
		return t.String()
	}
	return ""
}

// fieldNames are how fields are called where underscores made spaces are not it.
var fieldNames = map[string]string{
	"cpu": "CPU", "cpu_governor": "CPU governor", "go": "Go", "io_uring": "features of io_uring", "memory_bytes": "memory, bytes",
	"memory_mb": "memory, MB", "numa_nodes": "NUMA nodes",
	"tcp_congestion_control": "TCP congestion control", "transparent_hugepage": "transparent huge pages", "version": "ringcached-bench",
}

func fieldName(names []string) string {
	readable := make([]string, 0, len(names))
	for _, n := range names {
		if known, ok := fieldNames[n]; ok {
			n = known
		}
		readable = append(readable, strings.ReplaceAll(strings.TrimSuffix(n, "_ns"), "_", " "))
	}
	return strings.Join(readable, ": ")
}

// shell writes a command as it can be given to a shell.
func shell(args []string) string {
	quoted := make([]string, 0, len(args))
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`&|;<>()*?[]{}!#~") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted = append(quoted, a)
	}
	return strings.Join(quoted, " ")
}
