package htmlreport

import (
	"fmt"
	"strings"

	"ringcached/bench"
)

// rival is a server that io_uring's figures are compared with.
type rival struct {
	family family
	name   string
}

// rivals are those of the summary, contenders all whose being ahead is told.
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
func (v *partView) rivalSeries(r rival) *bench.Series { return seriesOf(v.part, v.servers, r.family) }

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
			s.Better, s.Worse = comparatives(m)
			continue
		}
		also = append(also, m.short+" "+tallyText(m, count(all)))
	}
	s.Also = strings.Join(also, "; ")
	return s, ok
}

// comparatives are the words for better and worse.
func comparatives(m *metric) (better, worse string) {
	better, worse = "less", "more"
	if m.unit != bytesUnit && m.id != bench.MetricCPU {
		better, worse = "lower", "higher"
	}
	if m.more {
		return worse, better
	}
	return better, worse
}

// rangeText tells the ratio, or the least and the greatest and where they are.
func rangeText(all []finding) string {
	if len(all) == 1 {
		return interval(&all[0].ratio) + " at " + all[0].at.label
	}
	least, most := extremes(all)
	return fmt.Sprintf("from %s at %s to %s at %s", interval(&least.ratio), least.at.label, interval(&most.ratio), most.at.label)
}

// tallyText says how many places are better, worse and neither.
func tallyText(m *metric, t tally) string {
	better, worse := comparatives(m)
	if t.None == t.sum() {
		return "of one round only"
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{t.Better, better}, {t.Worse, worse}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%s at %d", c.what, c.n))
		}
	}
	if n := t.Noise + t.None; n > 0 {
		parts = append(parts, fmt.Sprintf("within noise at %d", n))
	}
	return strings.Join(parts, ", ") + " of " + fmt.Sprint(t.sum())
}

// totals count the findings of CPU per operation over a rival, in the whole report.
func totals(views []*partView, r rival) (t tally) {
	cpu := metricOf(bench.MetricCPU)
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
			" at %d the difference is within noise."
		sentences = append(sentences, fmt.Sprintf(text, r.name, t.Better, plural(n, "point"), t.Worse, t.Noise+t.None))
	}
	return sentences
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// losses is a part of the report where a rival is ahead, or where nobody is.
type losses struct {
	Anchor, Where string
	Lines         []string
}

// wins lists where the rival is ahead beyond noise: a line for each series and place.
func wins(views []*partView, r rival) (list []losses) {
	for _, v := range views {
		over := v.rivalSeries(r)
		if over == nil {
			continue
		}
		l := losses{Anchor: v.Anchor, Where: v.name()}
		for _, of := range v.ofUring() {
			l.Lines = append(l.Lines, v.winsAgainst(of, over)...)
		}
		if len(l.Lines) > 0 {
			list = append(list, l)
		}
	}
	return list
}

// ofUring are all series of io_uring in the part.
func (v *partView) ofUring() (some []*bench.Series) {
	for i := range v.part.Series {
		if s := &v.part.Series[i]; familyOf(s, v.servers) == familyUring {
			some = append(some, s)
		}
	}
	return some
}

// winsAgainst gathers, place by place, in which quantities a series of io_uring is behind.
func (v *partView) winsAgainst(of, over *bench.Series) (lines []string) {
	byPlace := map[string][]string{}
	for _, m := range compared(v.part) {
		for _, f := range findingsOf(v.part, of, over, m) {
			if f.verdict() == verdictWorse {
				byPlace[f.at.label] = append(byPlace[f.at.label], f.words()+" than "+over.Name+", "+interval(&f.ratio))
			}
		}
	}
	var order []string
	for _, at := range v.places {
		order = append(order, at.label)
	}
	for _, label := range append(order, everyPlace) {
		if what := byPlace[label]; len(what) > 0 {
			lines = append(lines, of.Name+" at "+label+": "+strings.Join(what, "; "))
		}
	}
	return lines
}

// noise lists what cannot be told apart: a line for each rival and quantity, with the places.
func noise(views []*partView) (list []losses) {
	for _, v := range views {
		l := losses{Anchor: v.Anchor, Where: v.name()}
		for _, r := range rivals {
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
	cpu := metricOf(bench.MetricCPU)
	for _, v := range views {
		over := v.rivalSeries(r)
		if v.uring == nil || over == nil {
			continue
		}
		if all := findingsOf(v.part, v.uring, over, cpu); len(all) > 0 {
			o.rows = append(o.rows, overviewRow{v.name(), all})
			o.description += " " + v.name() + ": " + rangeText(all) + "."
		}
	}
	if len(o.rows) == 0 {
		return nil
	}
	return o
}
