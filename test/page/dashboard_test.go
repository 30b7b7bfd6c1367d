package page

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// What is shipped for Prometheus and Grafana.
const (
	dashboardFile = "../../deploy/grafana/ringcached.json"
	alertsFile    = "../../deploy/prometheus/alerts.yaml"
)

// family is a metric as a server offers it: its type, and the values of its labels.
type family struct {
	kind   string
	labels map[string]map[string]bool
}

var (
	typeLine   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	sampleLine = regexp.MustCompile(`^([a-z0-9_]+)(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"`)
)

// offered reads /metrics in the text format.
func offered(t *testing.T, text string) map[string]*family {
	t.Helper()
	families := map[string]*family{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := typeLine.FindStringSubmatch(line); m != nil {
			families[m[1]] = &family{m[2], map[string]map[string]bool{}}
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		f := find(families, m[1])
		if f == nil {
			t.Errorf("a sample of no family: %s", line)
			continue
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if f.labels[pair[1]] == nil {
				f.labels[pair[1]] = map[string]bool{}
			}
			f.labels[pair[1]][pair[3]] = true
		}
	}
	return families
}

// find is the family of a sample: that of a histogram has three names behind it.
func find(families map[string]*family, sample string) *family {
	if f := families[sample]; f != nil && f.kind != "histogram" {
		return f
	}
	for _, ending := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(sample, ending); cut && families[base] != nil && families[base].kind == "histogram" {
			return families[base]
		}
	}
	return nil
}

var (
	selector = regexp.MustCompile(`\b((?:memcached|ringcached)_\w+)(\{[^}]*\})?(\[[^\]]+\])?`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	mention  = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	others   = regexp.MustCompile(`\b[a-z]\w*_\w+\b`) // names of metrics that are not ours, but for functions
)

// Labels that Prometheus adds, and functions with a name like a metric's.
var (
	added     = []string{"job", "instance"}
	functions = []string{"histogram_quantile", "label_values", "max_over_time", "time"}
)

// wrong says what about a query does not fit what the server offers; legend mentions labels of its result.
func wrong(families map[string]*family, query, legend string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	known := slices.Clone(added)
	matches := selector.FindAllStringSubmatch(query, -1)
	if len(matches) == 0 {
		fault("no metric")
	}
	for _, m := range matches {
		f := find(families, m[1])
		if f == nil {
			fault("there is no %s", m[1])
			continue
		}
		known = slices.AppendSeq(known, maps.Keys(f.labels))
		asGauge := m[3] == "" || strings.Contains(query, "_over_time("+m[0])
		if asGauge != (f.kind == "gauge") && !strings.HasPrefix(query, "label_values(") {
			fault("%s is a %s, and has the range %q", m[1], f.kind, m[3])
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			label, sign, value := pair[1], pair[2], pair[3]
			switch {
			case slices.Contains(added, label):
			case f.labels[label] == nil:
				fault("%s has no label %s", m[1], label)
			case sign == "=" && label != "engine" && !f.labels[label][value]: // which engine serves is the machine's matter
				fault("no sample of %s has %s=%q", m[1], label, value)
			}
		}
	}
	for _, name := range others.FindAllString(selector.ReplaceAllString(query, " "), -1) {
		if !slices.Contains(functions, name) {
			fault("%s is no metric of the server's", name)
		}
	}
	left := known
	for _, by := range grouping.FindAllStringSubmatch(query, -1) {
		left = strings.Split(by[1], ", ")
		for _, label := range left {
			if !slices.Contains(known, label) {
				fault("grouped by %s, which no metric has", label)
			}
		}
	}
	for _, m := range mention.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(left, m[1]) {
			fault("the legend mentions %s, which the result has not", m[1])
		}
	}
	return faults
}

// TestWrong: the check of queries finds mistakes.
func TestWrong(t *testing.T) {
	families := offered(t, `# TYPE memcached_commands_total counter
memcached_commands_total{command="get",status="hit"} 5
# TYPE memcached_current_items gauge
memcached_current_items 3
# TYPE ringcached_handling_seconds histogram
ringcached_handling_seconds_bucket{class="get",le="+Inf"} 3
ringcached_handling_seconds_sum{class="get"} 3
`)
	for _, c := range []struct{ query, legend, want string }{
		{`sum by (command) (rate(memcached_commands_total{job=~"$job", status="hit"}[$__rate_interval]))`, "{{command}}", ""},
		{`histogram_quantile(0.9, sum by (le) (rate(ringcached_handling_seconds_bucket[5m])))`, "", ""},
		{`label_values(memcached_current_items{job=~"$job"}, instance)`, "", ""},
		{`memcached_current_items`, "{{instance}}", ""},
		{`max_over_time(memcached_current_items[1h]) unless memcached_current_items`, "", ""},
		{`max_over_time(memcached_commands_total[1h])`, "", "is a counter"},
		{`memcached_current_item`, "", "there is no memcached_current_item"},
		{`memcached_commands_total`, "", "is a counter"},
		{`rate(memcached_current_items[5m])`, "", "is a gauge"},
		{`rate(memcached_commands_total{comand="get"}[5m])`, "", "no label comand"},
		{`rate(memcached_commands_total{command="got"}[5m])`, "", `command="got"`},
		{`sum by (slab) (memcached_current_items)`, "", "grouped by slab"},
		{`sum by (command) (rate(memcached_commands_total[5m]))`, "{{status}}", "mentions status"},
		{`memcached_current_items / process_open_fds`, "", "process_open_fds is no metric"},
		{`rate(ringcached_handling_seconds[5m])`, "", "there is no ringcached_handling_seconds"},
		{`1`, "", "no metric"},
	} {
		if got := strings.Join(wrong(families, c.query, c.legend), "; "); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s with %q: %q, want %q", c.query, c.legend, got, c.want)
		}
	}
}

// dashboard is what is checked of the file.
type dashboard struct {
	Title       string
	Templating  struct{ List []variable }
	Panels      []panel
	Annotations struct {
		List []struct{ Expr string }
	}
}

type variable struct {
	Name, Type, Definition string
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr, LegendFormat string }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// alerts are the queries of the alerts, and how many alerts there are.
func alerts(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^ +- alert: (\w+)`).FindAllSubmatch(text, -1)
	for _, m := range regexp.MustCompile(`(?m)^ +expr: (\S.*)$`).FindAllSubmatch(text, -1) {
		queries = append(queries, string(m[1]))
	}
	if len(names) < 8 || len(names) != len(queries) || strings.Count(string(text), "summary: ") != len(names) {
		t.Fatalf("%d alerts with %d queries in one line", len(names), len(queries))
	}
	return queries
}

// TestQueriesHaveMetrics: what the dashboard and the alerts ask for is what a server offers that has served every kind of command.
func TestQueriesHaveMetrics(t *testing.T) {
	// No address speaks TLS, and there is a certificate all the same, whose metrics are there.
	_, address := watched(t, servertest.NewCertificate(t, "server").Flags("-l", "notls:127.0.0.1")...)
	families := offered(t, get(t, address+"/metrics"))
	check := func(where, query, legend string) {
		for _, fault := range wrong(families, query, legend) {
			t.Errorf("%s: %s\n%s", where, fault, query)
		}
	}
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			check(p.Title, target.Expr, target.LegendFormat)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			check(v.Name, v.Definition, "")
		}
	}
	for _, a := range d.Annotations.List {
		check("annotation", a.Expr, "")
	}
	for _, query := range alerts(t) {
		check(alertsFile, query, "")
	}
}

// TestDashboardIsWhole: panels have what a reader needs, lie beside each other, and take the data source that is chosen.
func TestDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	panels := 0
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: want a number of its own and a title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, is := taken[[2]int{x, y}]; is || x >= 24 {
					t.Fatalf("%q covers %q, or leaves the page, at %d, %d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		panels++
		if len(p.Targets) == 0 || p.Description == "" || p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
			t.Errorf("%q: %d queries of %v, described as %q", p.Title, len(p.Targets), p.Datasource, p.Description)
		}
		for _, target := range p.Targets {
			if strings.Count(target.Expr, `job=~"$job", instance=~"$instance"`) != len(selector.FindAllString(target.Expr, -1)) {
				t.Errorf("%q does not keep to the servers that are chosen: %s", p.Title, target.Expr)
			}
		}
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
	}
	if d.Title != "ringcached" || panels < 20 || !slices.Equal(names, []string{"datasource", "job", "instance"}) {
		t.Errorf("%q with %d panels and the variables %q", d.Title, panels, names)
	}
}
