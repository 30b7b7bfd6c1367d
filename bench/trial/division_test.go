package trial

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// pretence measures points without servers: on the clock of a synctest bubble a visit takes what it would, and intervals narrow as they would.
type pretence struct {
	starting time.Duration            // servers of a point, as it takes to stop them
	turn     time.Duration            // of a point
	noise    map[string][]float64     // half the width of each ratio after a second, as a part of it, by plan and label
	visits   map[string]int           // of each point
	last     map[string]time.Duration // share of the last one
}

func (p *pretence) visit(ctx context.Context, m *measuring, s *spot, share time.Duration) error {
	name := m.plan.Name + " " + s.point.Label
	p.visits[name]++
	p.last[name] = share
	wait := func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
	until := time.Now().Add(share - s.stopping)
	if m.plan.Mode == SideBySide {
		if s.visits++; wait(p.starting) != nil {
			return ctx.Err()
		}
		s.starting, s.stopping = p.starting, p.starting
	}
	for turns := 1; ; turns++ {
		if s.turns++; wait(p.turn) != nil {
			return ctx.Err()
		}
		s.spent += p.turn
		s.lacking, s.wide = 0, nil
		for _, noise := range p.noise[name] {
			width := noise / math.Sqrt(s.spent.Seconds()) / m.o.Precision
			if s.turns < leastTurns {
				width = math.Inf(1)
			}
			if s.lacking = max(s.lacking, width); width > 1 {
				s.wide = append(s.wide, width)
			}
		}
		slices.Sort(s.wide)
		s.settled = len(s.wide) == 0
		if m.plan.Mode == FreshProcesses || turns >= leastTurns && (s.settled || !time.Now().Before(until)) {
			break
		}
	}
	return wait(s.stopping)
}

// pretended carries out plans in a bubble, and returns what was told of them, how long it took, and the points.
func pretended(t *testing.T, p *pretence, o Options, plans ...*Plan) (told []*Result, took time.Duration, points map[string]*spot) {
	t.Helper()
	p.visits, p.last, points = map[string]int{}, map[string]time.Duration{}, map[string]*spot{}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRunner(plans, &o, Observer{Result: func(r *Result) { told = append(told, r) }})
		r.visit = p.visit
		if err := r.carryOut(t.Context(), plans); err != nil {
			t.Error(err)
		}
		took = time.Since(began)
		for _, m := range r.begun {
			for _, s := range m.spots {
				points[m.plan.Name+" "+s.point.Label] = s
			}
		}
	})
	return told, took, points
}

// pretendedPlan has two servers at points of these labels.
func pretendedPlan(name string, labels ...string) *Plan {
	p := &Plan{Name: name, Mode: SideBySide, Reference: "b", Servers: []Server{{Name: "a", Start: sut.Uring}, {Name: "b", Start: sut.Epoll}}}
	for _, l := range labels {
		p.Points = append(p.Points, Point{Label: l, Load: load.DefaultWorkload()})
	}
	return p
}

func pretendedOptions(d time.Duration) Options {
	o := DefaultOptions(true)
	o.Time, o.Servers.Threads = d, 1
	return o
}

// TestTimeThatIsLeftGoesToThePointsThatNeedIt: of the first plan, though its share is over when the others turn out to need less than theirs.
func TestTimeThatIsLeftGoesToThePointsThatNeedIt(t *testing.T) {
	p := &pretence{starting: 500 * time.Millisecond, turn: 50 * time.Millisecond, noise: map[string][]float64{
		"first x": {0.12}, "first y": {0.01}, "second x": {0.01}, "third x": {0.02}, "third y": {0.02},
	}}
	plans := []*Plan{pretendedPlan("first", "x", "y"), pretendedPlan("second", "x"), pretendedPlan("third", "x", "y")}
	told, took, points := pretended(t, p, pretendedOptions(time.Minute), plans...)
	for name, s := range points {
		if !s.settled {
			t.Errorf("%s: within %.1f of what was asked for, after %d visits", name, s.lacking, p.visits[name])
		}
	}
	if p.visits["first x"] < 2 || p.visits["third x"] != 1 {
		t.Errorf("visits: %v", p.visits)
	}
	if took > 45*time.Second {
		t.Errorf("all is precise, and it took %v", took)
	}
	var names []string
	for _, r := range told {
		names = append(names, r.Plan.Name)
	}
	if want := []string{"second", "third", "first"}; !slices.Equal(names, want) { // as soon as more time could not change it
		t.Errorf("told %q, want %q", names, want)
	}
}

// TestTimeIsUsedAndNotExceeded: as long as something is not as precise as asked, no second is left, and none is taken beyond.
func TestTimeIsUsedAndNotExceeded(t *testing.T) {
	for _, d := range []time.Duration{20 * time.Second, 2 * time.Minute, 30 * time.Minute} {
		p := &pretence{starting: 300 * time.Millisecond, turn: d / 1000, noise: map[string][]float64{
			"a x": {5}, "a y": {0.01, 0.02}, "b x": {0.01}, "c x": {0.03, 9},
		}}
		_, took, points := pretended(t, p, pretendedOptions(d), pretendedPlan("a", "x", "y"), pretendedPlan("b", "x"), pretendedPlan("c", "x"))
		if took > d-time.Second || took < d-4*time.Second {
			t.Errorf("of %v it took %v", d, took)
		}
		if !points["a y"].settled || !points["b x"].settled || points["a x"].settled {
			t.Errorf("%v: %v", d, p.visits)
		}
	}
}

// TestASecondGoesWhereItMakesMostPrecise, which need not be the widest interval nor the narrowest one.
func TestASecondGoesWhereItMakesMostPrecise(t *testing.T) {
	second, start := time.Second, 100*time.Millisecond
	at := func(spent time.Duration, wide ...float64) *spot {
		return &spot{point: &Point{}, turns: 20, visits: 1, spent: spent, starting: start, wide: wide, tracks: []*track{{}}}
	}
	done := at(second, 1.1)
	done.turns = maxTurns
	fresh := at(6*second, math.Inf(1))
	fresh.visits, fresh.turns, fresh.starting = 0, 2, 0
	for name, c := range map[string]struct {
		left  time.Duration
		spots []*spot
		want  int // -1: none
		share time.Duration
	}{
		"the cheaper one":              {time.Minute, []*spot{at(second, 3), at(second, 1.5)}, 1, start + 1700*time.Millisecond},
		"three at once":                {time.Minute, []*spot{at(second, 1.4), at(second, 1.5, 1.5, 1.5)}, 1, start + 1700*time.Millisecond},
		"one that is in time":          {5 * second, []*spot{at(10*second, 1.1, 1.5, 1.5, 1.5, 1.5), at(second, 2)}, 1, start + 3800*time.Millisecond},
		"nothing is in time":           {5 * second, []*spot{at(10*second, 3), at(10*second, 2)}, 1, 5 * second},
		"all are precise":              {time.Minute, []*spot{at(second), at(second)}, -1, 0},
		"no more turns":                {time.Minute, []*spot{done}, -1, 0},
		"no time to start the servers": {start + start/2, []*spot{at(second, 1.5)}, -1, 0},
		"no time for a turn":           {2 * second, []*spot{fresh}, -1, 0},
		"another turn":                 {20 * second, []*spot{at(second), fresh}, 1, 20 * second},
	} {
		o := pretendedOptions(time.Minute)
		r := newRunner(nil, &o, Observer{})
		r.begun = []*measuring{{runner: r, plan: pretendedPlan("p"), o: o, spots: c.spots}}
		_, got, share := r.neediest(c.left)
		if (got == nil) != (c.want < 0) || got != nil && got != c.spots[c.want] || share.Round(time.Millisecond) != c.share {
			t.Errorf("%s: %+v for %v", name, got, share)
		}
	}
}

// TestWhatTimeDoesNotSufficeForIsTold: a plan that was not begun, and points of one that was.
func TestWhatTimeDoesNotSufficeForIsTold(t *testing.T) {
	p := &pretence{starting: time.Second, turn: 300 * time.Millisecond, noise: map[string][]float64{"a 1": {0.01}}}
	told, took, points := pretended(t, p, pretendedOptions(10*time.Second), pretendedPlan("a", "1", "2", "3"), pretendedPlan("b", "1"))
	if took != 9*time.Second {
		t.Errorf("it took %v", took)
	}
	var said []string
	for _, r := range told {
		for i := range r.Problems {
			said = append(said, r.Plan.Name+": "+r.Problems[i].String())
		}
	}
	want := []string{"a: no intervals at 3: the time was over (--time)", "b: not measured: the time was over (--time)"}
	if !slices.Equal(said, want) || points["a 2"].turns < leastTurns {
		t.Errorf("said %q, want %q", said, want)
	}
}

// TestATurnThatIsCutShortIsNone, and is told, also where there was to be but one.
func TestATurnThatIsCutShortIsNone(t *testing.T) {
	p := testPlan("127.0.0.1:1")
	p.Mode, p.MaxTurns, p.Points = FreshProcesses, 1, p.Points[:1]
	o := testOptions(t, time.Minute)
	m := &measuring{runner: newRunner([]*Plan{p}, &o, Observer{}), plan: p, o: o, result: &Result{Plan: p}}
	m.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := m.freshTurn(ctx, m.spots[0])
	m.missing()
	if err == nil || m.result.Turns != 0 || !strings.Contains(problems(m), "no intervals at 1: the time was over") {
		t.Errorf("%v, %d turns: %s", err, m.result.Turns, problems(m))
	}
}

// TestASliceThatIsCutShortEndsNoTurn: five turns and a part of the sixth have no interval, which is told.
func TestASliceThatIsCutShortEndsNoTurn(t *testing.T) {
	p := testPlan(sut.Null)
	p.Points, p.NoAA = p.Points[:1], true
	o := testOptions(t, time.Minute)
	usable, err := o.Cores.Occupy(o.Threads)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sut.PinProcess(usable) }()
	r := newRunner([]*Plan{p}, &o, Observer{})
	r.report.Header = sut.NewHeader("compare", &o)
	m := &measuring{runner: r, plan: p, o: o, result: &Result{Plan: p, Turns: leastTurns - 1}}
	m.open()
	s := m.spots[0]
	s.turns = leastTurns - 1
	all, err := m.standAll(t.Context(), s)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d servers, %v: %q", len(all), err, s.tracks[0].failures)
	}
	defer all[0].end(t.Context(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.turn(ctx, s, all)
	m.missing()
	if err == nil || m.result.Turns != leastTurns-1 || !strings.Contains(problems(m), "no intervals at 1: the time was over") {
		t.Errorf("%v, %d turns: %s", err, m.result.Turns, problems(m))
	}
}

// TestTurnsOfFreshProcesses are made again in the time that is left, after what becomes precise.
func TestTurnsOfFreshProcesses(t *testing.T) {
	fresh := pretendedPlan("fresh", "x", "y")
	fresh.Mode, fresh.MinTurns, fresh.NoAA = FreshProcesses, 1, true
	once := pretendedPlan("once", "x")
	once.Mode, once.MaxTurns, once.NoAA = FreshProcesses, 1, true
	p := &pretence{starting: 200 * time.Millisecond, turn: 2 * time.Second, noise: map[string][]float64{
		"fresh x": {1}, "fresh y": {1}, "once x": {1}, "side x": {0.01},
	}}
	_, took, points := pretended(t, p, pretendedOptions(time.Minute), fresh, once, pretendedPlan("side", "x"))
	if points["once x"].turns != 1 || points["fresh x"].turns+points["fresh y"].turns < 15 || !points["side x"].settled {
		t.Errorf("turns: %v", p.visits)
	}
	if took > 59*time.Second || took < 55*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestAnInterruptEndsTheRest: what was measured until then is told.
func TestAnInterruptEndsTheRest(t *testing.T) {
	p := &pretence{starting: time.Second, turn: time.Second / 2, visits: map[string]int{}, last: map[string]time.Duration{}, noise: map[string][]float64{"a x": {9}}}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		o, told := pretendedOptions(time.Minute), ""
		plans := []*Plan{pretendedPlan("a", "x"), pretendedPlan("b", "x")}
		r := newRunner(plans, &o, Observer{Result: func(r *Result) { told += fmt.Sprint(r.Plan.Name, len(r.Problems), " ") }})
		r.visit = p.visit
		if err := r.carryOut(ctx, plans); err == nil || !strings.Contains(err.Error(), "deadline") || time.Until(r.over) < 15*time.Second {
			t.Errorf("%v, %v before the end", err, time.Until(r.over))
		}
		if told != "b0 a0 " {
			t.Errorf("told %q", told)
		}
	})
}
