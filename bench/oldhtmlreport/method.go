package htmlreport

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// trials is what all trials of a report say of how it was measured.
type trials struct {
	points                   int
	shortest, longest        int // rounds of a point
	seconds                  []float64
	loadBusy, steal, foreign float64 // the greatest of points that are shown; loadBusy of closed loops, since in open ones the load spins
	lateness                 float64 // the greatest p99 of the load's, in open loops, in microseconds
	closed, open             bool
	headroom                 float64 // least of the null server's throughput over the fastest real one's; 0: unknown
	headroomAt               string
}

func trialsOf(views []*partView) (t trials) {
	for _, v := range views {
		for i := range v.part.Series {
			for j := range tried(&v.part.Series[i]) {
				t.add(&v.part.Series[i].Points[j])
			}
		}
		t.compareWithNull(v)
	}
	slices.Sort(t.seconds)
	return t
}

func (t *trials) add(q *trial.Point) {
	t.points++
	if stateOf(q) == stateShown {
		t.steal, t.foreign = max(t.steal, q.Summary.Steal), max(t.foreign, q.Summary.Foreign)
		if q.Workload.Rate == 0 {
			t.loadBusy = max(t.loadBusy, q.Summary.LoadBusy)
		}
	}
	if n := len(q.Rounds); n > 0 {
		if t.shortest == 0 || n < t.shortest {
			t.shortest = n
		}
		t.longest = max(t.longest, n)
	}
	for i := range q.Rounds {
		r := &q.Rounds[i]
		if r.Seconds > 0 {
			t.seconds = append(t.seconds, r.Seconds)
		}
		if r.Open != nil && stateOf(q) == stateShown {
			t.lateness = max(t.lateness, r.Open.Lateness.P99)
		}
	}
	t.open = t.open || q.Workload.Rate > 0
	t.closed = t.closed || q.Workload.Rate == 0
}

// compareWithNull looks where the null server's throughput is nearest to the fastest server's.
func (t *trials) compareWithNull(v *partView) {
	null := seriesOf(v.part, v.servers, familyNull)
	if null == nil {
		return
	}
	for _, at := range v.places {
		canned := pointAt(v.part, null, at)
		if stateOf(canned) != stateShown || canned.Workload.Rate > 0 {
			continue
		}
		fastest := 0.0
		for i := range v.part.Series {
			s := &v.part.Series[i]
			if q := pointAt(v.part, s, at); familyOf(s, v.servers) != familyNull && stateOf(q) == stateShown {
				fastest = max(fastest, q.PerSecond.Median)
			}
		}
		if fastest == 0 {
			continue
		}
		if r := canned.PerSecond.Median / fastest; t.headroom == 0 || r < t.headroom {
			t.headroom, t.headroomAt = r, v.name()+", "+at.label
		}
	}
}

// facts are those of the method that differ from report to report.
func (t *trials) facts(headroom []trial.Headroom) (facts []pair) {
	add := func(name, format string, args ...any) {
		facts = append(facts, pair{name, fmt.Sprintf(format, args...)})
	}
	rounds := plural(t.longest, "round")
	if t.shortest < t.longest {
		rounds = fmt.Sprintf("%d to %d rounds", t.shortest, t.longest)
	}
	add("Points", "%d, of each %s", t.points, rounds)
	if n := len(t.seconds); n > 0 {
		low, high := seconds.text(t.seconds[0]*1e6), seconds.text(t.seconds[n-1]*1e6)
		if low == high {
			add("Timed part of a trial", "%s", low)
		} else {
			add("Timed part of a trial", "%s to %s", low, high)
		}
	}
	if t.headroom > 0 {
		add("Load headroom", "the null server, which answers with canned replies, gave at least %s times as many operations per second"+
			" as the fastest server beside it (least at: %s)", threeDigits(t.headroom), t.headroomAt)
	}
	for i := range headroom {
		h := &headroom[i]
		limit := "the server was the limit"
		if h.Saturated {
			limit = "the load was the limit: it is the most that it can show"
		}
		add("Load headroom, "+h.Workload.Name, "%s of canned replies, with the load's threads busy for %s of the time; %s",
			perSecond.text(h.PerSecond), percent(h.LoadBusy), limit)
	}
	if t.headroom == 0 && len(headroom) == 0 {
		add("Load headroom", "not shown in this report")
	}
	if t.closed {
		add("Load generator", "its threads were busy for at most %s of the time in points that are shown", percent(t.loadBusy))
	}
	if t.open {
		add("Load generator at given rates", "99 %% of its requests left at most %s later than they were to, in the worst trial of points that are shown",
			seconds.text(t.lateness))
	}
	add("Disturbance", "at most %s of a core stolen by the host, %s of the server's cores used by other processes, in points that are shown",
		percent(t.steal), percent(t.foreign))
	return facts
}

// disturbed tells what else ran on the servers' cores, if it was so much that small differences mean little.
func (t *trials) disturbed() string {
	if t.steal <= noisy && t.foreign <= noisy {
		return ""
	}
	return fmt.Sprintf("In the worst trial %s of a core were stolen by the host, and other processes used %s of the server's cores: "+
		"small differences mean little, and latencies less.", percent(t.steal), percent(t.foreign))
}

// shared reports that server and load had to share a core, as the report's options tell. They have a type only before they are stored.
func shared(r *trial.Report) bool {
	var o struct {
		Cores sut.Cores `json:"cores"`
	}
	text, err := json.Marshal(r.Options)
	return err == nil && json.Unmarshal(text, &o) == nil && o.Cores.Shared()
}

// loads says what kinds of load there were.
func (t *trials) loads() string {
	const (
		closed = "The load is closed: a connection sends its next requests when it was answered, so latency is that of a busy server."
		open   = "Where a rate is given the load is open: requests arrive at random times, whatever the server does, and latency counts" +
			" from the time at which a request was to arrive."
	)
	var all []string
	if t.closed {
		all = append(all, closed)
	}
	if t.open {
		all = append(all, open)
	}
	return strings.Join(all, " ")
}

// unusablePoints lists what has no number: a line for each series and reason. That canned replies come faster than the load can take them is
// no failure.
func unusablePoints(views []*partView) (lines []string) {
	for _, v := range views {
		for i := range v.part.Series {
			s := &v.part.Series[i]
			var reasons []string
			where := map[string][]string{} // labels by reason
			for j := range s.Points {
				q := &s.Points[j]
				w := stateOf(q)
				if !w.marked() || w == stateSaturated && familyOf(s, v.servers) == familyNull {
					continue
				}
				why := remarks(q)
				if where[why] == nil {
					reasons = append(reasons, why)
				}
				where[why] = append(where[why], placeLabel(v.part, q))
			}
			for _, why := range reasons {
				lines = append(lines, fmt.Sprintf("%s: %s at %s: %s", v.name(), s.Name, strings.Join(where[why], "; "), why))
			}
		}
	}
	return lines
}

// compares counts the comparisons with a rival that the page judges: those of wins.
func compares(views []*partView, r rival) (n int) {
	for _, v := range views {
		over := v.rivalSeries(r)
		if over == nil {
			continue
		}
		for _, of := range v.ofUring() {
			for _, m := range compared(v.part) {
				n += count(findingsOf(v.part, of, over, m)).judged()
			}
		}
	}
	return n
}
