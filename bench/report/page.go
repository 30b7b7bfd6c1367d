package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

// What the page carries, and its template, which escapes all text that it is given but for these.
var (
	//go:embed page
	pageFiles    embed.FS
	pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
		"plural": tables.Plural, "shell": shell, "how": how, "tables": tablesOf, "flat": flat,
		"commonLoad": commonLoad,
		"seconds":    func(s float64) time.Duration { return time.Duration(s) * time.Second },
	}).ParseFS(pageFiles, "page/page.html"))
)

// page is what the template fills in, beside the report.
type page struct {
	*trial.Report
	Style    template.CSS
	Scripts  []template.JS
	Allowed  string // the scripts' hashes, for the page's Content-Security-Policy
	Licences string
	Charts   charts

	Facts      []pair
	AA         string
	Warnings   []warning
	Statements []statement
	Rivals     []rivalView
	Figures    [][]*chart // of each result
}

// warning is what a reader has to know before the figures.
type warning struct {
	Title, Text string
	Lines       []string
}

// rivalView lists where a rival is ahead, in any metric, and what is noise.
type rivalView struct {
	Name        string
	Overview    *chart
	Lost        *table // nil: nowhere
	Noise       []string
	Comparisons int
}

// WritePage makes the page of a report and writes it to a file, all of it or nothing.
func WritePage(path string, r *trial.Report) error {
	var text bytes.Buffer
	if err := Page(&text, r); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return WriteFile(path, text.Bytes())
}

// Page writes the page of a report.
func Page(w io.Writer, r *trial.Report) error {
	if len(r.Results) == 0 { // of a kind that compares nothing
		return errors.New("a page shows comparisons, and this result has none")
	}
	p := &page{Report: r, Charts: charts{Series: seriesOf(r)}, Facts: facts(r)}
	part := func(name string) string {
		text, _ := pageFiles.ReadFile("page/" + name)
		return string(text)
	}
	p.Style, p.Licences = template.CSS(part("style.css")), part("LICENSES")
	for _, name := range []string{"d3.min.js", "plot.min.js", "charts.js"} { // the browser runs no other scripts
		script := part(name)
		sum := sha256.Sum256([]byte(script))
		p.Scripts = append(p.Scripts, template.JS(script))
		p.Allowed += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	p.conclude()
	for _, result := range r.Results {
		var figures []*chart
		for _, m := range result.Plan.Shows {
			figures = append(figures, p.Charts.plan(result, m))
		}
		p.Figures = append(p.Figures, figures)
	}
	return pageTemplate.Execute(w, p)
}

// Short is a text without what is only true of the machine of the run.
func (p *page) Short(text string) string { return shorten(&p.Header, text) }

// AllOptions are those of the run.
func (p *page) AllOptions() []pair {
	all := flat(p.Report.Options, "")
	for i := range all {
		all[i].Value = p.Short(all[i].Value)
	}
	return all
}

// Remarks are what a reader has to know about a result.
func (p *page) Remarks(r *trial.Result) []string {
	lines := remarks(r)
	for i := range lines {
		lines[i] = p.Short(lines[i])
	}
	return lines
}

// Begins reports that a result's plan is the first of its experiment.
func (p *page) Begins(i int) bool {
	experiment := p.Results[i].Plan.Experiment
	return i == 0 || experiment == "" || experiment != p.Results[i-1].Plan.Experiment
}

// facts are how many samples there are, and how far those that count were disturbed.
func facts(r *trial.Report) []pair {
	var samples, dropped int
	var stolen, foreign float64
	for _, result := range r.Results {
		dropped += result.Dropped
		for s := range samplesOf(result) {
			if samples++; s.Dropped == "" {
				stolen, foreign = max(stolen, s.Stolen), max(foreign, s.Foreign)
			}
		}
	}
	return []pair{
		{"Samples", fmt.Sprintf("%d, and %d more dropped as disturbed", samples-dropped, dropped)},
		{"Disturbance in samples that count", fmt.Sprintf(
			"at most %.1f %% of a core taken by the host, %.1f %% of the server's cores by others", 100*stolen, 100*foreign)},
	}
}

// conclude fills in what the results say together.
func (p *page) conclude() {
	warn := func(is bool, title, text string, lines ...string) {
		if is {
			for i := range lines {
				lines[i] = p.Short(lines[i])
			}
			p.Warnings = append(p.Warnings, warning{title, text, lines})
		}
	}
	text, failed := trustAA(p.Report)
	if warn(failed, "A/A failed.", text); !failed {
		p.AA = text
	}
	warn(p.Interrupted, "An interrupted run.",
		"The page shows what was measured until then: plans, or turns of them, are missing.")
	warn(shared(p.Report), "Disturbed:", sharedCore)
	known := func(line string) bool { return strings.Contains(line, "A/A failed") }
	failures := slices.DeleteFunc(p.Report.Failures(), known)
	warn(len(failures) > 0, "Rows without figures.", "What failed is compared with nothing:", failures...)
	p.Statements = statements(p.Report)
	for _, over := range rivalsOf(p.Report) {
		v := rivalView{Name: over.name, Overview: p.Charts.overview(over.name, against(p.Report, over, trial.MetricCPU))}
		var lost []finding
		for _, m := range slices.Sorted(maps.Keys(quantities)) {
			all := against(p.Report, over, m)
			v.Comparisons += len(all)
			for _, line := range byPlan(all, Unchanged) {
				v.Noise = append(v.Noise, quantityOf(m).short+", "+line)
			}
			lost = append(lost, slices.DeleteFunc(all, func(f finding) bool { return f.change() != Worse })...)
		}
		v.Lost = lostTable(over.name, lost)
		p.Rivals = append(p.Rivals, v)
	}
}

// shared reports that server and load had to share a core. Options have a type only before they are stored.
func shared(r *trial.Report) bool {
	var o struct{ Cores sut.Cores }
	text, err := json.Marshal(r.Options)
	return err == nil && json.Unmarshal(text, &o) == nil && o.Cores.Shared()
}

// charts is what page/charts.js draws, as JSON in the page.
type charts struct {
	Series []string `json:"series"` // names of servers, whose place says how they are drawn
	Charts []*chart `json:"charts"`
}

type chart struct {
	Number int      `json:"-"`    // its place in charts
	Kind   string   `json:"kind"` // the function of page/charts.js that draws it
	Title  string   `json:"title"`
	Axis   string   `json:"axis,omitempty"`
	Unit   string   `json:"unit"`
	At     []string `json:"at,omitempty"` // places along the axis, in order
	Points []mark   `json:"points"`
}

// mark is a point of a chart with its interval.
type mark struct {
	Series  string   `json:"series,omitempty"`
	At      string   `json:"at"`
	Value   float64  `json:"v"`
	Low     *float64 `json:"low,omitempty"` // with High: the interval, if there is one
	High    *float64 `json:"high,omitempty"`
	Text    string   `json:"text"`
	Verdict string   `json:"verdict,omitempty"`
}

// seriesOf are the names of all servers, first those that are called what they are: the same server, the same style.
func seriesOf(r *trial.Report) (names []string) {
	var all []trial.Server
	for _, result := range r.Results {
		all = append(all, result.Plan.Servers...)
	}
	slices.SortStableFunc(all, func(a, b trial.Server) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
	for _, s := range all {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func newMark(series, at string, e *trial.Estimate, text string) mark {
	m := mark{Series: series, At: at, Value: e.Value, Text: text}
	if e.Known() {
		m.Low, m.High = &e.Low, &e.High
	}
	return m
}

// plan adds the chart of a metric along a plan's axis. Without points there is nothing to draw.
func (c *charts) plan(r *trial.Result, m trial.Metric) *chart {
	q := quantityOf(m)
	one := &chart{Number: len(c.Charts), Kind: "along", Title: q.title, Axis: r.Plan.Axis.Label, Unit: q.unit}
	if r.Plan.Axis.Scale == trial.ScaleNames || len(r.Plan.Points) == 1 {
		one.Kind = "rows"
	}
	for i, point := range r.Plan.Points {
		one.At = append(one.At, point.Label)
		for _, s := range r.Plan.Servers {
			if row := r.Row(i, s.Name); state(row, m) == "" {
				e := row.Estimates[m]
				one.Points = append(one.Points, newMark(s.Name, point.Label, &e, q.text(e.Value)+" "+half(&e)))
			}
		}
	}
	c.Charts = append(c.Charts, one)
	return one
}

// overview adds the chart of all ratios of CPU per operation over a rival.
func (c *charts) overview(over string, all []finding) *chart {
	one := &chart{Number: len(c.Charts), Kind: "ratios", Unit: "ratio, with its 95 % interval"}
	one.Title = "CPU per operation, io_uring over " + over
	for i := range all {
		f := &all[i]
		m := newMark("", f.result.Plan.FullName()+" "+f.label(), &f.Estimate, ratioText(&f.Estimate))
		m.Verdict = f.change().class()
		one.Points = append(one.Points, m)
	}
	c.Charts = append(c.Charts, one)
	return one
}
