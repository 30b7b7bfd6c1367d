package report

import (
	"bytes"
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
	pageTemplate = template.Must(template.ParseFS(pageFiles, "page/page.html"))
)

// pageFile is the text of a file in the folder page.
func pageFile(name string) string {
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it was there when the program was built
	}
	return string(text)
}

// page is what the template fills in.
type page struct {
	Style    template.CSS
	Scripts  []template.JS
	Allowed  string // the scripts' hashes, for the page's Content-Security-Policy
	Licences string
	Charts   charts

	Began, Took, Where, Command string
	Facts, Environment, Options []pair
	Servers                     map[string]sut.Server

	AA         string
	Warnings   []warning
	Statements []statement
	Rivals     []rivalView
	Plans      []*planView
}

// warning is what a reader has to know before the figures.
type warning struct {
	Title, Text string
	Lines       []string
}

// rivalView lists where a rival is ahead, in any metric, and what is noise.
type rivalView struct {
	Name        string
	Overview    figure
	Lost        *table // nil: nowhere
	Noise       []string
	Comparisons int
}

// planView is a plan's part of the page; First: it begins an experiment.
type planView struct {
	*trial.Plan
	Anchor, How string
	First       bool
	Figures     []figure
	Tables      []*table
	Remarks     []string
	Load        []pair
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
	p := &page{Charts: charts{Series: seriesOf(r)}, Servers: r.Servers, Command: shell(r.Environment.Command)}
	p.Style, p.Licences = template.CSS(pageFile("style.css")), pageFile("LICENSES")
	for _, name := range []string{"d3.min.js", "plot.min.js", "charts.js"} { // the browser runs no other script than these
		sum := sha256.Sum256([]byte(pageFile(name)))
		p.Scripts = append(p.Scripts, template.JS(pageFile(name)))
		p.Allowed += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	p.describe(r)
	p.conclude(r)
	for i, result := range r.Results {
		plan := result.Plan
		v := &planView{Plan: plan, Anchor: fmt.Sprintf("plan-%d", i), How: how(result), Tables: tablesOf(result), Remarks: remarks(result),
			Load: commonLoad(plan)}
		v.First = i == 0 || plan.Experiment == "" || plan.Experiment != r.Results[i-1].Plan.Experiment
		for _, m := range plan.Shows {
			if f := p.Charts.plan(result, m); !f.Empty {
				v.Figures = append(v.Figures, f)
			}
		}
		p.Plans = append(p.Plans, v)
	}
	return pageTemplate.Execute(w, p)
}

// describe fills in where, when and how.
func (p *page) describe(r *trial.Report) {
	e := &r.Environment
	p.Began, p.Took = r.Began.UTC().Format("2 January 2006, 15:04 UTC"), (time.Duration(r.Seconds) * time.Second).String()
	p.Where = fmt.Sprintf("%s, %s", tables.Plural(e.Cores, "core"), e.Machine())
	p.Environment, p.Options = flat(e, "not told by this system"), flat(r.Options, "")
	var samples, dropped int
	var stolen, foreign float64
	for _, result := range r.Results {
		dropped += result.Dropped
		for i := range result.Rows {
			samples += len(result.Rows[i].Samples)
			for _, s := range result.Rows[i].Samples {
				if s.Dropped == "" {
					stolen, foreign = max(stolen, s.Stolen), max(foreign, s.Foreign)
				}
			}
		}
	}
	p.Facts = []pair{
		{"Samples", fmt.Sprintf("%d, and %d more dropped as disturbed", samples-dropped, dropped)},
		{"Disturbance in samples that count", fmt.Sprintf("at most %.1f %% of a core taken by the host, %.1f %% of the server's cores by others",
			100*stolen, 100*foreign)},
	}
}

// conclude fills in what the results say together.
func (p *page) conclude(r *trial.Report) {
	warn := func(is bool, title, text string, lines ...string) {
		if is {
			p.Warnings = append(p.Warnings, warning{title, text, lines})
		}
	}
	text, failed := trustAA(r)
	if warn(failed, "A/A failed.", text); !failed {
		p.AA = text
	}
	warn(r.Interrupted, "An interrupted run.", "The page shows what was measured until then: plans, or turns of them, are missing.")
	warn(shared(r), "Disturbed:", sharedCore)
	failures := slices.DeleteFunc(r.Failures(), func(line string) bool { return strings.Contains(line, "A/A failed") })
	warn(len(failures) > 0, "Rows without figures.", "What failed is compared with nothing:", failures...)
	p.Statements = statements(r)
	for _, over := range rivalsOf(r) {
		v := rivalView{Name: over.name, Overview: p.Charts.overview(over.name, against(r, over, trial.MetricCPU))}
		var lost []finding
		for _, m := range slices.Sorted(maps.Keys(quantities)) {
			all := against(r, over, m)
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

// shared reports that server and load had to share a core, as the report's options say. They have a type only before they are stored.
func shared(r *trial.Report) bool {
	var o struct {
		Cores sut.Cores `json:"cores"`
	}
	text, err := json.Marshal(r.Options)
	return err == nil && json.Unmarshal(text, &o) == nil && o.Cores.Shared()
}
