package report

import (
	"cmp"
	"fmt"
	"slices"

	"ringcached/bench/trial"
)

// charts is what page/charts.js draws, as JSON in the page.
type charts struct {
	Series []string `json:"series"` // names of servers, whose place says how they are drawn
	Charts []chart  `json:"charts"`
}

type chart struct {
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

// figure is where a chart is drawn in the page.
type figure struct {
	Chart int
	Title string
	Empty bool
}

func (c *charts) add(one chart) figure {
	c.Charts = append(c.Charts, one)
	return figure{len(c.Charts) - 1, one.Title, len(one.Points) == 0}
}

// seriesOf are the names of all servers of a report: first those that are called what they are, in an order that is always the same.
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
func (c *charts) plan(r *trial.Result, m trial.Metric) figure {
	q := quantityOf(m)
	one := chart{Kind: "along", Title: q.title, Axis: r.Plan.Axis.Label, Unit: q.unit}
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
	return c.add(one)
}

// overview adds the chart of all ratios of CPU per operation over a rival.
func (c *charts) overview(over string, all []finding) figure {
	one := chart{Kind: "ratios", Title: fmt.Sprintf("CPU per operation, io_uring over %s", over), Unit: "ratio, with its 95 % interval"}
	for i := range all {
		f := &all[i]
		m := newMark("", f.result.Plan.FullName()+" "+f.label(), &f.Estimate, ratioText(&f.Estimate))
		m.Verdict = f.change().class()
		one.Points = append(one.Points, m)
	}
	return c.add(one)
}
