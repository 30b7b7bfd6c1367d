package htmlreport

import (
	"fmt"
	"slices"
	"strings"

	trial "ringcached/bench/oldtrial"
)

// rival is a server that io_uring's figures are compared with.
type rival struct {
	family family
	name   string
}

// rivals are those of the summary, contenders all servers that the summary names when they are ahead.
var (
	rivals     = []rival{{familyEpoll, "epoll"}, {familyMemcached, "memcached"}}
	contenders = append(rivals[:len(rivals):len(rivals)], rival{familyNet, "net"})
)

// summaryItem is what a part of an experiment says, shortly.
type summaryItem struct {
	Anchor, Experiment, Part string
	Rivals                   []summaryRival
}

// summaryRival is what it says of io_uring over a rival. Metric and the rest are of the first quantity that both have.
type summaryRival struct {
	Rival  string
	Metric string
	Range  string // the ratios
	Tally  tally
	Better string // what better means: "less"
	Worse  string
	Also   string // the other quantities
}

// summary goes through all parts. What has neither an io_uring server nor a rival is left out.
func summary(views []*partView) (items []summaryItem) {
	for _, v := range views {
		item := summaryItem{Anchor: v.Anchor, Experiment: v.experiment.Title, Part: v.part.Title}
		for _, r := range rivals {
			if s, ok := v.summaryOver(r); ok {
				item.Rivals = append(item.Rivals, s)
			}
		}
		if len(item.Rivals) > 0 {
			items = append(items, item)
		}
	}
	return items
}

// rivalSeries is the series that stands for the rival in the part, nil if none does.
func (v *partView) rivalSeries(r rival) *trial.Series { return seriesOf(v.part, v.servers, r.family) }

func (v *partView) summaryOver(r rival) (s summaryRival, ok bool) {
	over := v.rivalSeries(r)
	if v.uring == nil || over == nil {
		return s, false
	}
	var also []string
	for _, m := range compared(v.part) {
		all := findingsOf(v.part, v.uring, over, m)
		if len(all) == 0 {
			continue
		}
		if !ok {
			ok = true
			s = summaryRival{Rival: over.Name, Metric: m.title, Range: rangeText(all), Tally: count(all)}
			s.Better, s.Worse = judgements(m)
			continue
		}
		also = append(also, m.short+" "+tallyText(m, count(all)))
	}
	s.Also = strings.Join(also, "; ")
	return s, ok
}

// judgements are the words for better and worse.
func judgements(m *metric) (better, worse string) {
	less, more := m.comparatives()
	if m.more {
		return more, less
	}
	return less, more
}

// rangeText tells the ratio, or the least and the greatest and where they are.
func rangeText(all []finding) string {
	if len(all) == 1 {
		return interval(&all[0].ratio) + " at " + all[0].at.label
	}
	least, most := extremes(all)
	if ratioText(least.ratio.Mean) == ratioText(most.ratio.Mean) {
		return interval(&least.ratio) + " at " + least.at.label + ", and the same elsewhere"
	}
	return fmt.Sprintf("from %s at %s to %s at %s", interval(&least.ratio), least.at.label, interval(&most.ratio), most.at.label)
}

// tallyText says how many places are better, worse, within noise and of one round.
func tallyText(m *metric, t tally) string {
	better, worse := judgements(m)
	if t.None == t.sum() {
		return "of one round only"
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{t.Better, better}, {t.Worse, worse}, {t.Noise, "within noise"}, {t.None, "one round only"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%s at %d", c.what, c.n))
		}
	}
	return strings.Join(parts, ", ") + " of " + fmt.Sprint(t.sum())
}

// totals count the findings of CPU per operation over a rival, in the whole report.
func totals(views []*partView, r rival) (t tally) {
	cpu := metricOf(trial.MetricCPU)
	for _, v := range views {
		if over := v.rivalSeries(r); v.uring != nil && over != nil {
			t = t.plus(count(findingsOf(v.part, v.uring, over, cpu)))
		}
	}
	return t
}

// lead says in sentences what the whole report says of CPU per operation.
func lead(views []*partView) (sentences []string) {
	for _, r := range rivals {
		t := totals(views, r)
		n := t.sum()
		switch {
		case n == 0:
			continue
		case t.None == n:
			const text = "Over %s: %s compared, in one round only, so nothing can be said of noise."
			sentences = append(sentences, fmt.Sprintf(text, r.name, plural(n, "point")))
			continue
		}
		const text = "Beyond noise, an operation costs the io_uring server less CPU than %s at %d of %s and more at %d;" +
			" at %d the difference is within noise%s."
		single := ""
		if t.None > 0 {
			single = fmt.Sprintf(", and of %d, of one round only, nothing can be said", t.None)
		}
		sentences = append(sentences, fmt.Sprintf(text, r.name, t.Better, plural(n, "point"), t.Worse, t.Noise, single))
	}
	return sentences
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// win is a part of the report in which a rival is ahead somewhere, with the places where it is.
type win struct {
	Anchor, Where string
	Table         *table
}

// wins lists where the rival is ahead of a series of io_uring, beyond noise and in some quantity, or can take a rate that the series cannot.
func wins(views []*partView, r rival) (list []win) {
	for _, v := range views {
		over := v.rivalSeries(r)
		if over == nil {
			continue
		}
		if t := v.losses(over); t != nil {
			list = append(list, win{v.Anchor, v.name(), t})
		}
	}
	return list
}

// losses has a row for each place at which a series of io_uring is behind, and a column for each quantity in which one is somewhere; another
// for rates that only the rival can take. Nil: none is.
func (v *partView) losses(over *trial.Series) *table {
	var found []finding
	var behind []*metric
	for _, m := range compared(v.part) {
		var all []finding
		for _, of := range v.ofUring() {
			all = append(all, findingsOf(v.part, of, over, m)...)
		}
		if count(all).Worse > 0 {
			behind, found = append(behind, m), append(found, all...)
		}
	}
	rates := slices.ContainsFunc(v.ofUring(), func(of *trial.Series) bool {
		return slices.ContainsFunc(v.places, func(at place) bool { return v.cannotTake(of, over, at) })
	})
	if len(behind) == 0 && !rates {
		return nil
	}
	t := &table{Caption: v.name() + ": where " + over.Name + " is ahead", Head: []string{v.part.Axis.Label}, Names: 1}
	for _, m := range behind {
		t.Head = append(t.Head, m.short)
	}
	if rates {
		t.Head = append(t.Head, "the rate")
	}
	for _, of := range v.ofUring() {
		for _, at := range append(v.places[:len(v.places):len(v.places)], place{label: everyPlace}) {
			row, lost := lossesAt(found, of, at.label, behind)
			if rates {
				c := cell{Text: "–", Class: "missing"}
				if v.cannotTake(of, over, at) {
					c, lost = cell{Text: "too much for it", Class: "worse"}, true
				}
				row = append(row, c)
			}
			if lost {
				t.row(row...)
			}
		}
	}
	return t
}

// cannotTake reports that the rate at the place is too much for the one series, and not for the other.
func (v *partView) cannotTake(of, over *trial.Series, at place) bool {
	return at.label != everyPlace && stateOf(pointAt(v.part, of, at)) == stateOverloaded && stateOf(pointAt(v.part, over, at)) == stateShown
}

// lossesAt is the row of a series and place, and whether the series is behind there.
func lossesAt(found []finding, of *trial.Series, label string, some []*metric) (row []cell, lost bool) {
	row = []cell{{Text: label, Small: of.Name}}
	for _, m := range some {
		c := cell{Text: "–", Class: "missing"}
		for i := range found {
			if f := &found[i]; f.of == of && f.metric == m && f.at.label == label {
				c = verdictCell(f)
				lost = lost || f.verdict() == verdictWorse
			}
		}
		row = append(row, c)
	}
	return row, lost
}

// ofUring are all series of io_uring in the part.
func (v *partView) ofUring() (some []*trial.Series) {
	for i := range v.part.Series {
		if s := &v.part.Series[i]; familyOf(s, v.servers) == familyUring {
			some = append(some, s)
		}
	}
	return some
}

// undecided are the comparisons of a part that are within noise.
type undecided struct {
	Anchor, Where string
	Lines         []string
}

// noise lists what cannot be told apart: a line for each rival and quantity, with the places.
func noise(views []*partView) (list []undecided) {
	for _, v := range views {
		l := undecided{Anchor: v.Anchor, Where: v.name()}
		for _, r := range contenders {
			over := v.rivalSeries(r)
			if v.uring == nil || over == nil {
				continue
			}
			for _, m := range compared(v.part) {
				var at []string
				for _, f := range findingsOf(v.part, v.uring, over, m) {
					if f.verdict() == verdictNoise {
						at = append(at, f.at.label)
					}
				}
				if len(at) > 0 {
					l.Lines = append(l.Lines, fmt.Sprintf("%s, %s over %s: at %s", m.short, v.uring.Name, over.Name, strings.Join(at, "; ")))
				}
			}
		}
		if len(l.Lines) > 0 {
			list = append(list, l)
		}
	}
	return list
}

// overviewOver shows CPU per operation of the io_uring server over a rival's. Nil: there is nothing of both.
func overviewOver(views []*partView, r rival) *overview {
	o := &overview{
		id: "overview-" + r.name, title: "CPU per operation, io_uring over " + r.name, less: "io_uring costs less", more: "io_uring costs more",
		description: "For each part of the experiments the ratio of CPU per operation at every place, with its 95 % interval.",
	}
	cpu := metricOf(trial.MetricCPU)
	for _, v := range views {
		over := v.rivalSeries(r)
		if v.uring == nil || over == nil {
			continue
		}
		if all := findingsOf(v.part, v.uring, over, cpu); len(all) > 0 {
			o.rows = append(o.rows, overviewRow{v.experiment.Title, v.part.Title, all})
			o.description += " " + v.name() + ": " + rangeText(all) + "."
		}
	}
	if len(o.rows) == 0 {
		return nil
	}
	return o
}
