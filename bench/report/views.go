package report

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

// table is what text and page show in the same way.
type table struct {
	Caption string
	Head    []string
	Rows    [][]cell // the first cell of a row names it
	Open    bool     // in the page at once, not when a reader asks for it
	Detail  bool     // only in the page
}

// cell is a text with a smaller one behind or below it, and a class of the style sheet.
type cell struct{ Text, Small, Class string }

func cells(texts ...string) (row []cell) {
	for _, text := range texts {
		row = append(row, cell{Text: text})
	}
	return row
}

// tablesOf are all tables of a result.
func tablesOf(r *trial.Result) (all []*table) {
	for _, m := range r.Plan.Shows {
		q := quantityOf(m)
		all = append(all, perServer(r, q.title+", "+q.unit, "", func(point int, server string) cell {
			row := r.Row(point, server)
			if why := state(row, m); why != "" {
				return cell{Text: why, Class: "missing"}
			}
			e := row.Estimates[m]
			return cell{Text: q.text(e.Value), Small: half(&e)}
		}))
	}
	for i, m := range r.Plan.Shows {
		if over := r.Plan.Reference; over != "" {
			t := perServer(r, quantityOf(m).title+", over "+over, over, func(point int, server string) cell {
				return ratioCell(newFinding(r, point, server, over, m))
			})
			t.Open, t.Detail = i == 0, i > 0 && m != trial.MetricKernelMemory
			all = append(all, t)
		}
	}
	all = append(all, perServer(r, "System calls per operation", "", func(point int, server string) cell {
		row := r.Row(point, server)
		if row == nil || row.Syscalls == nil || row.Syscalls.Method == "" {
			return cell{Text: "-"}
		}
		mark := map[string]string{sut.ByServer: "*", sut.ByStrace: "+"}[row.Syscalls.Method]
		return cell{Text: fmt.Sprintf("%.3f%s", row.Syscalls.PerOperation, mark)}
	}), targetTable(r), rowTable(r))
	says := func(c cell) bool { return c.Text != "-" }
	return slices.DeleteFunc(all, func(t *table) bool {
		return !slices.ContainsFunc(t.Rows, func(row []cell) bool { return slices.ContainsFunc(row[1:], says) })
	})
}

// perServer makes a table with a row for each point and a column for each server but one.
func perServer(r *trial.Result, caption string, without string, fill func(point int, server string) cell) *table {
	t := &table{Caption: caption, Head: []string{r.Plan.Axis.Label}}
	for _, s := range r.Plan.Servers {
		if s.Name != without {
			t.Head = append(t.Head, s.Name)
		}
	}
	for i := range r.Plan.Points {
		row := cells(r.Plan.Points[i].Label)
		for _, name := range t.Head[1:] {
			row = append(row, fill(i, name))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func ratioCell(f *finding) cell {
	if f.Samples == 0 {
		return cell{"-", "", "missing"}
	}
	c := cell{fmt.Sprintf("%.3f", f.Value), strings.TrimSpace(interval(&f.Estimate)), f.change().class()}
	if f.change() == Unchanged {
		c.Small += " noise"
	}
	return c
}

// targetTable says whether the targets of a plan are met.
func targetTable(r *trial.Result) *table {
	t := &table{Caption: "Targets", Head: []string{"point", "server", "over", "ratio", "at most", "verdict"}, Open: true}
	for i := range r.Ratios {
		q := &r.Ratios[i]
		if q.Target == nil {
			continue
		}
		ratio, most := ratioText(&q.Estimate), fmt.Sprintf("%.2f", q.Target.Most)
		if q.Over == "" { // bytes, not a ratio
			text := quantityOf(q.Metric).text
			ratio, most = strings.TrimSpace(text(q.Value)+" "+half(&q.Estimate)), text(q.Target.Most)
		}
		over := cmp.Or(q.Over, quantityOf(q.Metric).short)
		row := cells(r.Plan.Points[q.Point].Label, q.Of, over, ratio, most, string(q.Verdict))
		row[5].Class = map[trial.Verdict]Change{trial.Met: Better, trial.Missed: Worse}[q.Verdict].class()
		t.Rows = append(t.Rows, row)
	}
	return t
}

// rowTable has what else is known of each row.
func rowTable(r *trial.Result) *table {
	t := &table{Caption: "Every row", Detail: true}
	t.Head = []string{r.Plan.Axis.Label, "server", "samples", "dropped", "operations", "p50 µs", "p99 µs", "p99.9 µs",
		"server busy", "load busy", "flags, remarks"}
	for i := range r.Rows {
		row := &r.Rows[i]
		dropped := 0
		for _, s := range row.Samples {
			if s.Dropped != "" {
				dropped++
			}
		}
		also := strings.Join(row.Args, " ")
		if why := state(row, trial.MetricThroughput); len(why) > 1 {
			also = strings.TrimSpace(also + " (" + why + ")")
		}
		percent := func(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) }
		l := &row.Latency
		t.Rows = append(t.Rows, cells(r.Plan.Points[row.Point].Label, row.Server,
			fmt.Sprint(len(row.Samples)), fmt.Sprint(dropped), fmt.Sprint(row.Operations),
			tables.Micro(l.P50), tables.Micro(l.P99), tables.Micro(l.P999), percent(row.Busy), percent(row.LoadBusy), also))
	}
	return t
}

// lostTable lists findings one by one, nil if there are none.
func lostTable(over string, all []finding) *table {
	if len(all) == 0 {
		return nil
	}
	t := &table{Caption: "Where " + over + " is ahead", Head: []string{"where", "at", "quantity", "ratio"}}
	for i := range all {
		f := &all[i]
		t.Rows = append(t.Rows, append(cells(f.result.Plan.FullName(), f.label(), quantityOf(f.Metric).short), ratioCell(f)))
	}
	return t
}

// how says how a plan was carried out.
func how(r *trial.Result) string {
	mode := strings.ReplaceAll(string(r.Plan.Mode), "-", " ")
	return fmt.Sprintf("%s, %s, %s dropped", mode, tables.Plural(r.Turns, "turn"), tables.Plural(r.Dropped, "sample"))
}

// remarks are what a reader has to know about a result, a line each.
func remarks(r *trial.Result) (lines []string) {
	add := func(line string) {
		if line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for i := range r.Problems {
		add(map[bool]string{true: "FAILED: "}[r.Problems[i].Failure] + r.Problems[i].String())
	}
	for _, text := range r.Plan.Problems {
		add(text)
	}
	add(disturbance(r))
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Profile != "" {
			add(fmt.Sprintf("profile of %s at %s: %s", row.Server, r.Plan.Points[row.Point].Label, row.Profile))
		}
		if row.Syscalls != nil {
			add(methods[row.Syscalls.Method])
			add(row.Syscalls.Why)
		}
		if row.Point == len(r.Plan.Points)-1 && len(row.Caches) > 0 {
			var parts []string
			for _, c := range row.Caches {
				parts = append(parts, fmt.Sprintf("%s %.0f", c.Name, c.Bytes))
			}
			add(fmt.Sprintf("%s, the kernel's caches: %s", row.Server, strings.Join(parts, ", ")))
		}
	}
	return lines
}

// samplesOf are all samples of a result.
func samplesOf(r *trial.Result) iter.Seq[*trial.Sample] {
	return func(yield func(*trial.Sample) bool) {
		for i := range r.Rows {
			for j := range r.Rows[i].Samples {
				if !yield(&r.Rows[i].Samples[j]) {
					return
				}
			}
		}
	}
}

// disturbance says that the machine was busy with others, "" if it was not.
func disturbance(results ...*trial.Result) string {
	disturbed, all := 0, 0
	for _, r := range results {
		for s := range samplesOf(r) {
			if s.Dropped == "" {
				if all++; s.Disturbed() {
					disturbed++
				}
			}
		}
	}
	if disturbed == 0 {
		return ""
	}
	return fmt.Sprintf("the machine was busy: others took much of a core from %d of the %s that count; "+
		"throughput and latency are not the servers' alone", disturbed, tables.Plural(all, "sample"))
}

var methods = map[string]string{
	sut.ByPerf:   "system calls: counted by perf in a short window of its own",
	sut.ByServer: "* counted by the server itself (stats batch): its loop's calls only",
	sut.ByStrace: "+ counted under strace, which slows the server: it then finds more requests at once, " +
		"so the true figure is higher",
}
