package oldtrial

import (
	"context"
	"fmt"
	"strings"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Headroom is what the load gets out of a server that does nothing but answer: how much more than any other server gives it could show.
type Headroom struct {
	Workload  load.Workload `json:"workload"`
	PerSecond float64       `json:"ops_per_second"`
	LoadBusy  float64       `json:"load_busy"` // see Round
	// Saturated: the load was the limit, not the server. What it gets is the most that it can show.
	Saturated bool `json:"saturated"`
}

// headroomLoads are the named workloads that are tried: plain requests, many small ones, many bytes.
var headroomLoads = []string{"get", "get-pipeline", "get-64k"}

// headroom measures it. A server that only answers and fails is an error: nothing that follows could be believed.
func (x *experimenting) headroom(ctx context.Context) error {
	loads, err := load.SelectWorkloads(headroomLoads)
	if err != nil {
		return err
	}
	subjects, err := x.options.Servers.Subjects([]string{sut.Null})
	if err != nil {
		return err
	}
	o := x.trialOptions()
	for _, w := range loads {
		w.Connections = max(w.Connections, o.Threads)
		t := trial{options: &o, subject: &subjects[0], load: w, seed: o.Seed}
		r, in, err := t.run(ctx)
		for again := 0; err == nil && again < mostAgain && (r.starved() || r.stolen()); again++ {
			r, in, err = t.run(ctx)
		}
		if err != nil {
			return err
		}
		if r.Failed() {
			return fmt.Errorf("headroom of the load, %s: %s", w.Name, r.FirstError())
		}
		x.report.Note(in, r.CPUFrom)
		x.report.Headroom = append(x.report.Headroom, Headroom{Workload: w, PerSecond: r.PerSecond, LoadBusy: r.LoadBusy, Saturated: r.Saturated()})
	}
	if x.watch.Headroom != nil {
		x.watch.Headroom(x.report.Headroom)
	}
	return nil
}

// describeHeadroom tells it in a line.
func describeHeadroom(all []Headroom) string {
	var parts []string
	for _, h := range all {
		limit := fmt.Sprintf("busy for %.0f %% of the time", 100*h.LoadBusy)
		if h.Saturated {
			limit = "its limit"
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", h.Workload.Name, rateLabel(h.PerSecond), limit))
	}
	return strings.Join(parts, ", ")
}
