package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringcached/bench/trial"
)

// planView is a plan's part of the page.
type planView struct {
	Anchor, Title, How string
	Servers            []trial.Server
	Figures            []figure
	Tables             []*table
	Remarks            []string
	Load               []pair
}

// table of the page. The first cell of a row names it.
type table struct {
	Caption string
	Head    []string
	Rows    [][]tableCell
	Folded  bool // until a reader asks for it
}

// tableCell is a text with a smaller one below, and a class of the style sheet.
type tableCell struct{ Text, Small, Class string }

// pair is a name and what it stands for.
type pair struct{ Name, Value string }

// plan makes the view of a result, and adds its charts to the page's.
func (p *page) plan(r *trial.Result, anchor string) *planView {
	v := &planView{Anchor: anchor, Title: r.Plan.Title, Servers: r.Plan.Servers, Remarks: remarks(r), Load: commonLoad(r.Plan)}
	v.How = fmt.Sprintf("%s; %s, %s dropped.", map[trial.Mode]string{
		trial.SideBySide: "Servers side by side", trial.FreshProcesses: "A new process for each trial"}[r.Plan.Mode],
		Plural(r.Turns, "turn"), Plural(r.Dropped, "sample"))
	for _, m := range r.Plan.Shows {
		if f, any := p.Charts.plan(r, m); any {
			v.Figures = append(v.Figures, f)
		}
	}
	if r.Plan.Reference != "" {
		for _, m := range r.Plan.Shows {
			if t := ratioTable(r, m); t != nil {
				t.Folded = len(v.Tables) > 0
				v.Tables = append(v.Tables, t)
			}
		}
	}
	if rows := targets(r); len(rows) > 0 {
		t := &table{Caption: "Targets", Head: []string{"point", "over", "ratio", "at most", "verdict"}}
		for _, row := range rows {
			cells := textCells(row...)
			cells[4].Class = string(map[trial.Verdict]verdict{trial.Met: better, trial.Missed: worse, trial.Undecided: noise}[trial.Verdict(row[4])])
			t.Rows = append(t.Rows, cells)
		}
		v.Tables = append(v.Tables, t)
	}
	for _, m := range r.Plan.Shows {
		v.Tables = append(v.Tables, estimateTable(r, m))
	}
	v.Tables = append(v.Tables, rowTable(r))
	return v
}

func textCells(texts ...string) (cells []tableCell) {
	for _, text := range texts {
		cells = append(cells, tableCell{Text: text})
	}
	return cells
}

// perServer makes a table with a row for each point and a column for each of some servers, nil if all cells are dashes.
func perServer(r *trial.Result, caption string, without string, fill func(point int, server string) tableCell) *table {
	t := &table{Caption: caption, Head: []string{r.Plan.Axis.Label}}
	for _, s := range r.Plan.Servers {
		if s.Name != without {
			t.Head = append(t.Head, s.Name)
		}
	}
	some := false
	for i := range r.Plan.Points {
		row := textCells(r.Plan.Points[i].Label)
		for _, name := range t.Head[1:] {
			c := fill(i, name)
			some = some || c.Text != "-"
			row = append(row, c)
		}
		t.Rows = append(t.Rows, row)
	}
	if !some {
		return nil
	}
	return t
}

// ratioTable has the ratios of a metric to the plan's reference.
func ratioTable(r *trial.Result, m trial.Metric) *table {
	caption := fmt.Sprintf("%s, over %s", quantityOf(m).title, r.Plan.Reference)
	return perServer(r, caption, r.Plan.Reference, func(point int, server string) tableCell {
		f := finding{r, trial.Ratio{Point: point, Metric: m, Of: server, Over: r.Plan.Reference, Estimate: r.Compare(point, server, r.Plan.Reference, m)}}
		if f.Samples == 0 {
			return tableCell{"-", "", "missing"}
		}
		return ratioCell(&f)
	})
}

func ratioCell(f *finding) tableCell {
	text, interval, _ := strings.Cut(ratioText(&f.Estimate), " ")
	if f.verdict() == noise {
		interval += " noise"
	}
	return tableCell{text, interval, string(f.verdict())}
}

// estimateTable has a metric's estimates.
func estimateTable(r *trial.Result, m trial.Metric) *table {
	q := quantityOf(m)
	t := perServer(r, q.title+", "+q.unit, "", func(point int, server string) tableCell {
		row := r.Row(point, server)
		if why := state(row, m); why != "" {
			return tableCell{Text: why, Class: "missing"}
		}
		e := row.Estimates[m]
		if !e.Known() {
			return tableCell{Text: q.text(e.Value)}
		}
		return tableCell{Text: q.text(e.Value), Small: q.text(e.Low) + "–" + q.text(e.High)}
	})
	if t != nil {
		t.Folded = true
	}
	return t
}

// rowTable has what else is known of each row.
func rowTable(r *trial.Result) *table {
	t := &table{Caption: "Every row", Folded: true, Head: []string{r.Plan.Axis.Label, "server", "samples", "dropped", "operations", "p50 µs", "p99 µs", "p99.9 µs", "server busy",
		"load busy", "system calls/op", "flags, remarks"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		dropped := 0
		for _, s := range row.Samples {
			if s.Dropped != "" {
				dropped++
			}
		}
		also := row.Args
		for _, note := range []struct {
			is   bool
			text string
		}{{len(row.Estimates) == 0, "failed"}, {row.LoadBound, "load-bound"}, {row.Overload, "overloaded"}, {row.Lost > 0, Plural(int(row.Lost), "request") + " lost"}} {
			if note.is {
				also = append(also[:len(also):len(also)], "("+note.text+")")
			}
		}
		t.Rows = append(t.Rows, textCells(r.Plan.Points[row.Point].Label, row.Server, fmt.Sprint(len(row.Samples)), fmt.Sprint(dropped), fmt.Sprint(row.Operations),
			OrDash(row.Latency.P50, "%.1f"), OrDash(row.Latency.P99, "%.1f"), OrDash(row.Latency.P999, "%.1f"), fmt.Sprintf("%.0f %%", 100*row.Busy),
			fmt.Sprintf("%.0f %%", 100*row.LoadBusy), syscalls(row), strings.Join(also, " ")))
	}
	return t
}

// findingsTable lists findings one by one, nil if there are none.
func findingsTable(over string, all []finding) *table {
	if len(all) == 0 {
		return nil
	}
	t := &table{Caption: "Where " + over + " is ahead", Head: []string{"where", "at", "quantity", "ratio"}}
	for i := range all {
		f := &all[i]
		t.Rows = append(t.Rows, append(textCells(f.result.Plan.FullName(), f.label(), quantityOf(f.Metric).short), ratioCell(f)))
	}
	return t
}

// commonLoad lists what the loads of all points have in common.
func commonLoad(p *trial.Plan) (common []pair) {
	for i := range p.Points {
		fields := flat(&p.Points[i].Load, "")
		if i == 0 {
			common = fields
		}
		common = slices.DeleteFunc(common, func(p pair) bool {
			return !slices.Contains(fields, p) || p.Name == "name" || p.Name == "title" || p.Name == "Common"
		})
	}
	return common
}

// flat lists the fields of a value in the order of its JSON, those of structs inside with the outer name before theirs, so that what a later program
// adds is shown as well. Fields without a value have the text empty, and are left out if that is "".
func flat(value any, empty string) (pairs []pair) {
	text, err := json.Marshal(value)
	if err != nil {
		return []pair{{"unreadable", err.Error()}}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	flatten(d, "", func(name, value string) {
		if value = cmp.Or(value, empty); value != "" && name != "command" {
			pairs = append(pairs, pair{strings.ReplaceAll(strings.TrimSuffix(name, "_ns"), "_", " "), value})
		}
	})
	return pairs
}

// flatten calls add for each field of the value that d reads, whose name leads there.
func flatten(d *json.Decoder, name string, add func(name, value string)) {
	token, err := d.Token()
	if err != nil {
		return
	}
	switch t := token.(type) {
	case json.Delim:
		var list []string
		for d.More() {
			if t == '[' {
				flatten(d, "", func(name, value string) { list = append(list, strings.TrimSpace(name+" "+value)) })
				continue
			}
			key, _ := d.Token()
			flatten(d, strings.TrimPrefix(fmt.Sprintf("%s: %v", name, key), ": "), add)
		}
		if _, _ = d.Token(); t == '[' {
			add(name, strings.Join(list, ", "))
		}
	case json.Number:
		if n, err := t.Int64(); err == nil && strings.HasSuffix(name, "_ns") {
			add(name, time.Duration(n).String())
			return
		}
		add(name, t.String())
	case nil:
		add(name, "")
	default:
		add(name, fmt.Sprint(t))
	}
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
