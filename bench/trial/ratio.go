package trial

// Value is a sample's figure of a metric, 0 where it is unknown.
func (s *Sample) Value(m Metric) float64 {
	switch m {
	case MetricCPU:
		return s.CPUPerOp
	case MetricThroughput:
		if s.Seconds > 0 {
			return float64(s.Operations) / s.Seconds
		}
	case MetricP50:
		return s.Latency.P50
	case MetricP99:
		return s.Latency.P99
	case MetricP999:
		return s.Latency.P999
	case MetricUserMemory:
		return s.UserMemory
	case MetricKernelMemory:
		return s.KernelMemory
	}
	return 0
}

// values are a row's figures of a metric by turn, of the samples that count.
func (r *Row) values(m Metric) map[int]float64 {
	all := make(map[int]float64, len(r.Samples))
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Dropped == "" && s.Value(m) > 0 {
			all[s.Turn] = s.Value(m)
		}
	}
	return all
}

// Compare estimates a metric of one server over another one's at a point, from the turns in which both have a sample that counts; see Ratio. There
// are no samples where a row has no estimate of the metric.
func (r *Result) Compare(point int, of, over string, m Metric) Estimate {
	return r.CompareAt(point, of, over, m, beyond95)
}

// CompareAt is Compare with an interval that leaves a probability of beyond on either side.
func (r *Result) CompareAt(point int, of, over string, m Metric, beyond float64) Estimate {
	a, b := r.Row(point, of), r.Row(point, over)
	if a == nil || b == nil || a.Estimates[m].Samples == 0 || b.Estimates[m].Samples == 0 {
		return Estimate{High: -1}
	}
	return pairedRatio(a, b, m, beyond)
}

// pairedRatio estimates a ratio of two rows from the turns in which both have a sample that counts.
func pairedRatio(a, b *Row, m Metric, beyond float64) Estimate {
	others := b.values(m)
	var ratios []float64
	for i := range a.Samples {
		if s := &a.Samples[i]; s.Dropped == "" && s.Value(m) > 0 && others[s.Turn] > 0 {
			ratios = append(ratios, s.Value(m)/others[s.Turn])
		}
	}
	return estimate(ratios, beyond)
}

// Middle estimates a metric of a row by itself, as Compare estimates a ratio: so rows of different results can be compared. The interval leaves a
// probability of beyond on either side.
func (r *Row) Middle(m Metric, beyond float64) Estimate {
	if r.Estimates[m].Samples == 0 {
		return Estimate{High: -1}
	}
	return r.estimate(m, beyond)
}

func (r *Row) estimate(m Metric, beyond float64) Estimate {
	var values []float64
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Dropped == "" && s.Value(m) > 0 {
			values = append(values, s.Value(m))
		}
	}
	return estimate(values, beyond)
}
