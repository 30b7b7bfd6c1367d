package oldtrial

import "math"

// Verdict says what measurements tell of a target.
type Verdict string

// Verdicts.
const (
	Met       Verdict = "met"
	Missed    Verdict = "MISSED"
	Undecided Verdict = "not decided" // the interval holds the target
)

// Target is the most that a ratio of CPU per operation may be: ringcached over io_uring, over another server.
type Target struct {
	Over string  `json:"over"`
	Most float64 `json:"most"`
	// Slack is what the ratio may be above Most as long as that is within noise, as a part of Most: "not behind" is a target that equals
	// cannot meet otherwise.
	Slack float64 `json:"slack,omitempty"`
}

// judge compares the interval of a ratio with the target.
func (t *Target) judge(r *Ratio) Verdict {
	switch {
	case len(r.Rounds) < 2:
		return Undecided
	case r.Low > t.Most:
		return Missed
	case r.High <= t.Most*(1+t.Slack):
		return Met
	}
	return Undecided
}

// settled reports that further rounds would hardly change the verdict: the interval is no wider than narrow to either side, or it could
// be twice as wide and would tell the same. narrow is a part of the ratio.
func (t *Target) settled(r *Ratio, narrow float64) bool {
	if len(r.Rounds) < 2 {
		return false
	}
	half := math.Sqrt(r.High / r.Low)
	if half <= 1+narrow {
		return true
	}
	wide := *r
	wide.Low, wide.High = r.Low/half, r.High*half
	v := t.judge(r)
	return v != Undecided && v == t.judge(&wide)
}
