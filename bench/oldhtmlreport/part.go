package htmlreport

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// family is the kind of server behind a series: the page's colours and comparisons go by it.
type family int

const (
	familyOther family = iota
	familyUring
	familyEpoll
	familyMemcached
	familyNet
	familyNull
)

var families = []struct {
	name string
	is   family
}{
	{sut.Uring, familyUring}, {sut.Epoll, familyEpoll}, {sut.Memcached, familyMemcached},
	{"net", familyNet}, {sut.Null, familyNull},
}

// familyOf looks for the engine that the arguments or the command name, then at the names themselves.
func familyOf(s *trial.Series, servers map[string]sut.Server) family {
	args := append(strings.Fields(servers[s.Server].Command), s.Args...)
	for i, a := range slices.Backward(args) {
		value, found := strings.CutPrefix(a, "--engine=")
		if a == "--engine" && i+1 < len(args) {
			value, found = args[i+1], true
		}
		if found {
			return namedFamily(value)
		}
	}
	return cmp.Or(namedFamily(s.Server), namedFamily(s.Name))
}

// namedFamily takes a name, or one with more behind it: "uring", "uring-1", "uring, unbatched".
func namedFamily(name string) family {
	word := strings.FieldsFunc(name, func(r rune) bool { return r < 'a' || r > 'z' })
	for _, f := range families {
		if len(word) > 0 && word[0] == f.name {
			return f.is
		}
	}
	return familyOther
}

// place is where a part's axis has points.
type place struct {
	x     float64
	label string
}

// placesOf are all places of a part, in the order of the axis.
func placesOf(p *trial.Part) (places []place) {
	for i := range p.Series {
		for _, q := range p.Series[i].Points {
			if !slices.ContainsFunc(places, func(at place) bool { return at.holds(p, &q) }) {
				places = append(places, place{q.X, placeLabel(p, &q)})
			}
		}
	}
	if p.Axis.Scale != trial.ScaleNames {
		slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.x, b.x) })
	}
	return places
}

func (at place) holds(p *trial.Part, q *trial.Point) bool {
	if p.Axis.Scale == trial.ScaleNames {
		return at.label == placeLabel(p, q)
	}
	return at.x == q.X
}

// placeLabel is the point's own label, or its place with the axis' unit.
func placeLabel(p *trial.Part, q *trial.Point) string {
	if q.Label != "" {
		return q.Label
	}
	return axisText(&p.Axis, q.X)
}

// axisText writes a value of the axis with its unit.
func axisText(a *trial.Axis, x float64) string {
	switch a.Unit {
	case "":
		return countText(x)
	case "B", "bytes":
		return bytesUnit.text(x)
	}
	return countText(x) + nobreak + a.Unit
}

// countText writes a number of something, in full up to four digits.
func countText(x float64) string {
	if x < 10_000 {
		return trimZeros(strconv.FormatFloat(x, 'f', 3, 64))
	}
	return plain.text(x)
}

// isLevel reports that the series does not vary along the axis: any point of it stands for all places.
func isLevel(s *trial.Series) bool { return s.Fixed && len(s.Points) > 0 }

// tried are the points of a series that had trials of their own.
func tried(s *trial.Series) []trial.Point {
	if isLevel(s) {
		return s.Points[:1]
	}
	return s.Points
}

// pointAt returns the series' point at the place, nil if it has none.
func pointAt(p *trial.Part, s *trial.Series, at place) *trial.Point {
	for i := range s.Points {
		if at.holds(p, &s.Points[i]) {
			return &s.Points[i]
		}
	}
	if isLevel(s) {
		return &s.Points[0]
	}
	return nil
}

// pointState says whether a point has figures, and if not, why.
type pointState int

const (
	stateMissing    pointState = iota // there is nothing, or no round
	stateFailed                       // wrong replies or a dead server
	stateSaturated                    // the load was the limit
	stateOverloaded                   // more arrived than the server could take
	stateShown
)

func (w pointState) String() string {
	return [...]string{"not measured", "failed", "load-bound", "overloaded", ""}[w]
}

// marked reports that something was measured, but gives no number.
func (w pointState) marked() bool { return w != stateMissing && w != stateShown }

// stateOf judges a point. Its numbers are shown only if no round of it failed, and the load or a rate was hardly ever too much.
func stateOf(p *trial.Point) pointState {
	if p == nil {
		return stateMissing
	}
	switch {
	case p.Summary.Failed > 0:
		return stateFailed
	case p.Summary.LoadBound():
		return stateSaturated
	case p.Summary.Overwhelmed():
		return stateOverloaded
	case p.PerSecond.Rounds == 0 && p.CPUPerOp.Rounds == 0 && p.P50.Rounds == 0 && p.Memory == nil:
		return stateMissing
	}
	return stateShown
}
