package htmlreport

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// page is what the template fills in.
type page struct {
	Colours, Style              template.CSS
	Began, Took                 string
	Where                       string // the machine, in a line
	Lead                        []string
	Overviews                   []figureView
	Summary                     []summaryItem
	Contents                    []*experimentView
	Rivals                      []rivalWins
	Noise                       []undecided
	Unusable                    []string
	Disturbed                   string // how, if so much that it matters
	Interrupted                 bool
	Shared                      bool // server and load share a core
	Comparisons, ByChance       int
	Loads                       string
	Facts, Environment, Options []pair
	Servers                     []serverView
	Command                     string
}

type rivalWins struct {
	Name     string
	Compared bool // with this rival, at least once
	Judged   bool // and in more than one round
	Wins     []win
}

type serverView struct{ Name, Version, Command, CPUFrom string }

type experimentView struct {
	*trial.Experiment
	Anchor string
	Views  []*partView
}

// partView is a part with what is derived from it.
type partView struct {
	experiment       *trial.Experiment
	part             *trial.Part
	servers          map[string]sut.Server
	styles           map[string]style
	places           []place
	uring, memcached *trial.Series // nil: none

	Anchor     string
	Title      string
	Legend     []legendEntry
	Unusable   []pointState // kinds of points without numbers
	Workload   []pair
	Figures    []figureView
	Ratios     *table
	MoreRatios []*table
	Tables     []*table
}

type legendEntry struct {
	Swatch     template.HTML
	Name, Args string
}

type figureView struct {
	Title, Note string
	SVG         template.HTML
	Table       *table
}

// name is the experiment's with the part's, where that says more.
func (v *partView) name() string {
	if v.part.Title == "" || v.part.Title == v.experiment.Title {
		return v.experiment.Title
	}
	return v.experiment.Title + ": " + v.part.Title
}

// series returns the part's series of the name, nil if there is none.
func (v *partView) series(name string) *trial.Series {
	i := slices.IndexFunc(v.part.Series, func(s trial.Series) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &v.part.Series[i]
}

// newPage derives everything from the report.
func newPage(r *trial.Report, style string) *page {
	names := anchors{"short": true, "rivals": true, "method": true, "overview": true, "environment": true, "commands": true} // those of the template
	styles := &seriesStyles{}
	p := &page{Colours: colours(), Style: template.CSS(style), Interrupted: r.Interrupted, Shared: shared(r)}
	var views []*partView
	for _, e := range r.Experiments {
		x := &experimentView{Experiment: e, Anchor: names.unused(e.Name)}
		for i := range e.Parts {
			v := newPartView(e, &e.Parts[i], r.Servers, names.unused(e.Name+" "+e.Parts[i].Name))
			if len(v.places) == 0 {
				continue
			}
			v.setStyles(styles)
			v.fill()
			x.Views, views = append(x.Views, v), append(views, v)
		}
		p.Contents = append(p.Contents, x)
	}
	p.describe(r)
	p.conclude(views, r.Headroom)
	return p
}

// conclude fills in what the measurements say all together.
func (p *page) conclude(views []*partView, headroom []trial.Headroom) {
	p.Lead, p.Summary, p.Noise = lead(views), summary(views), noise(views)
	for _, r := range contenders {
		w := rivalWins{Name: r.name, Wins: wins(views, r)}
		w.Compared = slices.ContainsFunc(views, func(v *partView) bool { return v.uring != nil && v.rivalSeries(r) != nil })
		w.Judged = compares(views, r) > 0
		p.Comparisons += compares(views, r)
		p.Rivals = append(p.Rivals, w)
	}
	for _, r := range rivals {
		if o := overviewOver(views, r); o != nil {
			p.Overviews = append(p.Overviews, figureView{Title: o.title, SVG: o.draw()})
		}
	}
	p.Unusable = unusablePoints(views)
	p.ByChance = (p.Comparisons + 10) / 20
	t := trialsOf(views)
	p.Facts, p.Loads, p.Disturbed = t.facts(headroom), t.loads(), t.disturbed()
}

// describe fills in where, when and how.
func (p *page) describe(r *trial.Report) {
	e := &r.Environment
	p.Began = r.Began.UTC().Format("2 January 2006, 15:04 UTC")
	p.Took = (time.Duration(r.Seconds) * time.Second).String()
	var where []string
	for _, s := range []string{e.CPU, plural(e.Cores, "core"), "kernel " + e.Kernel, e.Go} {
		if s != "" && s != "kernel " && s != "0 cores" {
			where = append(where, s)
		}
	}
	p.Where = strings.Join(where, ", ")
	for _, f := range flat(e) {
		if f.Name == "command" {
			continue // it stands by itself
		}
		if f.Value == "" {
			f.Value = "not told by this system"
		}
		p.Environment = append(p.Environment, f)
	}
	if r.Options != nil {
		for _, f := range flat(r.Options) {
			if f.Value != "" {
				p.Options = append(p.Options, f)
			}
		}
	}
	p.Command = shell(e.Command)
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		s := r.Servers[name]
		p.Servers = append(p.Servers, serverView{name, s.Version, s.Command, s.CPUFrom})
	}
}

func newPartView(e *trial.Experiment, part *trial.Part, servers map[string]sut.Server, anchor string) *partView {
	v := &partView{experiment: e, part: part, servers: servers, places: placesOf(part), styles: map[string]style{}}
	v.Anchor, v.Title = anchor, part.Title
	v.uring, v.memcached = seriesOf(part, servers, familyUring), seriesOf(part, servers, familyMemcached)
	return v
}

// setStyles gives the series their styles: those that stand for a family first.
func (v *partView) setStyles(w *seriesStyles) {
	for _, standing := range []bool{true, false} {
		for i := range v.part.Series {
			s := &v.part.Series[i]
			f := familyOf(s, v.servers)
			if stands := seriesOf(v.part, v.servers, f) == s; stands == standing {
				v.styles[s.Name] = w.styleOf(s.Name, f, stands)
			}
		}
	}
}

// fill makes the part's figures and tables.
func (v *partView) fill() {
	for i := range v.part.Series {
		s := &v.part.Series[i]
		v.Legend = append(v.Legend, legendEntry{swatch(v.styles[s.Name]), s.Name, shell(s.Args)})
		for j := range s.Points {
			if w := stateOf(&s.Points[j]); w.marked() && !slices.Contains(v.Unusable, w) {
				v.Unusable = append(v.Unusable, w)
			}
		}
	}
	slices.Sort(v.Unusable)
	v.Workload = v.commonWorkload()
	for _, m := range shown(v.part) {
		f := newFigure(v.Anchor+"-"+string(m.id), m.title, m.unit, false, v, func(_ *trial.Series, q *trial.Point, _ place) trial.Estimate {
			if e := m.point(q); known(e) {
				return e
			}
			return trial.Estimate{}
		})
		v.show(f, "Medians of the rounds, with 95 % intervals.")
	}
	v.fillRatios()
	v.Tables = append(v.Tables, v.numbersTable())
	if t := v.cachesTable(); t != nil {
		v.Tables = append(v.Tables, t)
	}
	v.Tables = append(v.Tables, v.roundsTable())
}

// fillRatios adds the figure and the tables of ratios. The first quantity that has some is the one that is always seen.
func (v *partView) fillRatios() {
	for _, m := range compared(v.part) {
		t := v.ratioTable(m)
		if t == nil {
			continue
		}
		if v.Ratios == nil {
			v.Ratios = t
			v.showRatio(m)
			continue
		}
		v.MoreRatios = append(v.MoreRatios, t)
	}
}

// showRatio draws a quantity of all series over the baseline's. The null server is left out: it is no server to choose.
func (v *partView) showRatio(m *metric) {
	base := v.series(v.part.Baseline)
	if base == nil {
		return
	}
	over := func(s *trial.Series, _ *trial.Point, at place) trial.Estimate {
		r := ratioAt(v.part, s, base, m, at)
		if r == nil {
			return trial.Estimate{}
		}
		return trial.Estimate{Median: r.Mean, Low: r.Low, High: r.High, Rounds: max(len(r.Rounds), 1)}
	}
	f := newFigure(v.Anchor+"-ratio", m.title+", over "+base.Name, plain, true, v, over)
	f.without(base.Name)
	if null := seriesOf(v.part, v.servers, familyNull); null != nil {
		f.without(null.Name)
	}
	note := "Ratios within rounds, with 95 % intervals."
	if m.round == nil {
		note = "Ratios of the medians, with the least and the most that the 95 % intervals of both sides allow."
	}
	v.show(f, note+" An interval that does not touch 1 is beyond noise.")
}

func (v *partView) show(f *figure, note string) {
	if !f.shows() {
		return
	}
	v.Figures = append(v.Figures, figureView{f.title, note, f.draw(), f.table()})
}

// swatch is a series' line and mark for the legend.
func swatch(s style) template.HTML {
	var d drawing
	d.open("svg", "class", "swatch "+s.class, "viewBox", "0 0 40 14", "width", "40", "height", "14", "aria-hidden", "true")
	d.empty("path", "class", "line", "d", "M1 7H39", "stroke-dasharray", s.dash)
	d.mark(s.marker, 20, 7, markRadius, "")
	d.close("svg")
	return template.HTML(d.b.String())
}

// Swatch is the sign for points without numbers.
func (w pointState) Swatch() template.HTML {
	var d drawing
	d.open("svg", "class", "swatch c-null", "viewBox", "0 0 40 14", "width", "40", "height", "14", "aria-hidden", "true")
	d.markUnusable(w, 20, 7, w.String())
	d.close("svg")
	return template.HTML(d.b.String())
}

// commonWorkload lists what all points of the part have in common.
func (v *partView) commonWorkload() []pair {
	var common []pair
	first := true
	for i := range v.part.Series {
		for j := range v.part.Series[i].Points {
			fields := flat(v.part.Series[i].Points[j].Workload)
			if first {
				common, first = fields, false
			}
			common = slices.DeleteFunc(common, func(p pair) bool { return !slices.Contains(fields, p) })
		}
	}
	return slices.DeleteFunc(common, func(p pair) bool {
		return p.Value == "" || p.Value == "custom" || p.Name == "requests per connection" && p.Value == "0"
	})
}

// anchors hands out names for places in the page, each once.
type anchors map[string]bool

func (a anchors) unused(name string) string {
	slug := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
	try := slug
	for n := 2; a[try] || try == ""; n++ {
		try = fmt.Sprintf("%s-%d", slug, n)
	}
	a[try] = true
	return try
}
