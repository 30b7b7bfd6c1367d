package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

// finding is what one ratio says: a metric of a server over another one's, at a point.
type finding struct {
	result *trial.Result
	trial.Ratio
}

// newFinding compares two servers. It has no samples where one of them has no figure.
func newFinding(r *trial.Result, point int, of, over string, m trial.Metric) *finding {
	e := r.Compare(point, of, over, m, trial.Beyond95)
	return &finding{r, trial.Ratio{Point: point, Metric: m, Of: of, Over: over, Estimate: e}}
}

func (f *finding) change() Change { return changeOf(&f.Estimate, f.Metric) }

func (f *finding) label() string { return f.result.Plan.Points[f.Point].Label }

// at is the ratio and the point: "0.712 (0.701–0.723) at 64".
func (f *finding) at() string { return ratioText(&f.Estimate) + " at " + f.label() }

// ringServer stands for io_uring in a plan: of that engine the server without flags, else the first, else "".
func ringServer(p *trial.Plan) string {
	for _, wanted := range []string{sut.Uring, sut.Ringcached} {
		first := slices.IndexFunc(p.Servers, func(s trial.Server) bool { return s.Start == wanted })
		plain := slices.IndexFunc(p.Servers, func(s trial.Server) bool { return s.Start == wanted && len(s.Args) == 0 })
		switch {
		case plain >= 0:
			return p.Servers[plain].Name
		case first >= 0:
			return p.Servers[first].Name
		}
	}
	return ""
}

// rival is a server that io_uring is compared with: its name in plans and what it is called.
type rival struct{ start, name string }

// rivalsOf are epoll and every memcached that took part, as far as plans have them beside io_uring.
func rivalsOf(r *trial.Report) (all []rival) {
	for _, result := range r.Results {
		for _, s := range result.Plan.Servers {
			known := slices.ContainsFunc(all, func(o rival) bool { return o.start == s.Start })
			if known || ringServer(result.Plan) == "" || s.Start != sut.Epoll && !strings.HasPrefix(s.Start, sut.Memcached) {
				continue
			}
			name := s.Start
			if version := r.Servers[s.Name].Version; name != sut.Epoll && version != "" {
				name = sut.Memcached + " " + strings.TrimPrefix(version, "VERSION ")
			}
			all = append(all, rival{s.Start, name})
		}
	}
	slices.SortStableFunc(all, func(a, b rival) int { return cmp.Compare(rank(a.start), rank(b.start)) })
	return all
}

// rank is the order of servers by what they are, others last.
func rank(start string) int {
	return slices.Index([]string{sut.Uring, sut.Ringcached, sut.Epoll, sut.Memcached, sut.Net, sut.Null, start}, start)
}

// against are the findings of a metric of io_uring over a rival, in the plans that show it.
func against(r *trial.Report, over rival, m trial.Metric) (all []finding) {
	for _, result := range r.Results {
		of := ringServer(result.Plan)
		secure := slices.ContainsFunc(result.Plan.Servers, func(s trial.Server) bool { return s.Name == of && s.TLS })
		i := slices.IndexFunc(result.Plan.Servers, func(s trial.Server) bool { return s.Start == over.start && s.TLS == secure })
		if of == "" || i < 0 || !slices.Contains(result.Plan.Shows, m) {
			continue
		}
		for point := range result.Plan.Points {
			if f := newFinding(result, point, of, result.Plan.Servers[i].Name, m); f.Samples > 0 {
				all = append(all, *f)
			}
		}
	}
	return all
}

// statement is what all findings of CPU per operation over a rival say together.
type statement struct {
	Summary string
	// Less and More have a line for each plan in which io_uring costs less, or more.
	Less, More []string
}

// statements say where io_uring gains and where its rivals win.
func statements(r *trial.Report) (all []statement) {
	for _, over := range rivalsOf(r) {
		found := against(r, over, trial.MetricCPU)
		if len(found) == 0 {
			continue
		}
		count := map[Change]int{}
		for i := range found {
			count[found[i].change()]++
		}
		s := statement{Less: byPlan(found, Better), More: byPlan(found, Worse)}
		s.Summary = fmt.Sprintf("Against %s, io_uring takes less CPU per operation at %d of %s, more at %d; noise at %d",
			over.name, count[Better], tables.Plural(len(found), "point"), count[Worse], count[Unchanged])
		if count[Unknown] > 0 {
			s.Summary += fmt.Sprintf("; too few samples at %d", count[Unknown])
		}
		s.Summary += "."
		all = append(all, s)
	}
	return all
}

// byPlan has a line for each plan with findings of a verdict: all of them if they are few, else the extremes.
func byPlan(all []finding, wanted Change) (lines []string) {
	const few = 3
	for len(all) > 0 {
		plan, points := all[0].result.Plan, 0
		var found []finding
		for ; len(all) > 0 && all[0].result.Plan == plan; all, points = all[1:], points+1 {
			if all[0].change() == wanted {
				found = append(found, all[0])
			}
		}
		var parts []string
		for i := range found {
			parts = append(parts, found[i].at())
		}
		said := strings.Join(parts, "; ")
		if len(found) > few && wanted != Unchanged {
			strength := func(a, b finding) int { return cmp.Compare(math.Abs(math.Log(a.Value)), math.Abs(math.Log(b.Value))) }
			most, least := slices.MaxFunc(found, strength), slices.MinFunc(found, strength)
			said = fmt.Sprintf("%s to %s, %d of %s", most.at(), least.at(), len(found), tables.Plural(points, "point"))
		}
		if len(found) > 0 {
			lines = append(lines, plan.FullName()+": "+said)
		}
	}
	return lines
}

// trustAA says what the second processes of the same server say: failed if one differs from the first beyond noise.
func trustAA(r *trial.Report) (text string, failed bool) {
	points := 0
	var outside []string
	for _, result := range r.Results {
		for _, ratio := range result.AA {
			if !ratio.Known() {
				continue
			}
			points++
			if f := (finding{result, ratio}); f.Certain() {
				outside = append(outside, result.Plan.FullName()+" "+f.at())
			}
		}
	}
	const differs = "a second process of the same server differs from the first at"
	switch of := tables.Plural(points, "point"); {
	case points == 0:
		return "No server was compared with a second process of itself (A/A), in as many turns as an interval needs.", false
	case len(outside) == 0:
		return fmt.Sprintf("A/A holds: %s none of %s.", differs, of), false
	default:
		return fmt.Sprintf("A/A failed: %s %d of %s, so differences as small as these say nothing: %s.",
			differs, len(outside), of, strings.Join(outside, "; ")), true
	}
}
