package metrics

import (
	"math"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"ringcached/batch"
	"ringcached/proto/latency"
)

// native reads the buckets of a native histogram: counts by index.
func native(h *dto.Histogram) map[int]uint64 {
	counts := map[int]uint64{}
	index, at, count := 0, 0, int64(0)
	for _, span := range h.PositiveSpan {
		index += int(span.GetOffset())
		for range span.GetLength() {
			count += h.PositiveDelta[at]
			counts[index] = uint64(count)
			index++
			at++
		}
	}
	return counts
}

// TestHistogramsBothWays: what is written as a native histogram and as a classic one are the counts that there are.
func TestHistogramsBothWays(t *testing.T) {
	c := batch.Stats{CQEs: 1000, SendBytes: 77}
	for i, n := range map[int]uint64{0: 3, 1: 4, 2: 1, 7: 9, 8: 2, 23: 6} {
		c.ReapSizes[i] = n
	}
	var times latency.Histogram
	times.Sum = 3e9
	times.Counts[0], times.Counts[13], times.Counts[14], times.Counts[latency.Buckets-1] = 5, 6, 7, 8
	families := gather(t, &fake{lines: some(), channels: []batch.Stats{{}, c}, times: times})

	waits := families["ringcached_channel_completions_per_wait"].GetMetric()
	if len(waits) != 2 {
		t.Fatalf("%d channels", len(waits))
	}
	empty, h := waits[0].GetHistogram(), waits[1].GetHistogram()
	if empty.GetSampleCount() != 0 || len(empty.PositiveSpan) != 1 || len(native(empty)) != 0 {
		t.Errorf("without samples: %v", empty)
	}
	checkNative(t, h, 0, map[int]uint64{0: 3, 1: 4, 2: 1, 7: 9, 8: 2, 23: 6})
	if h.GetSampleCount() != 25 || h.GetSampleSum() != 1000 {
		t.Errorf("%d samples, sum %v", h.GetSampleCount(), h.GetSampleSum())
	}
	for i, want := range map[int]uint64{0: 3, 1: 7, 2: 8, 6: 8, 7: 17, 22: 19} {
		if b := h.Bucket[i]; b.GetCumulativeCount() != want || b.GetUpperBound() != math.Exp2(float64(i)) {
			t.Errorf("classic bucket %d: %v, want %d", i, b, want)
		}
	}

	handled := families["ringcached_handling_seconds"].GetMetric()
	if len(handled) != int(latency.Classes) {
		t.Fatalf("%d classes of commands", len(handled))
	}
	h = handled[0].GetHistogram()
	checkNative(t, h, latency.Schema, map[int]uint64{latency.First: 5, latency.First + 13: 6, latency.First + 14: 7, latency.First + latency.Buckets - 1: 8})
	if h.GetSampleCount() != 26 || h.GetSampleSum() != 3 {
		t.Errorf("%d samples, sum %v", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, b := range h.Bucket {
		want := uint64(0)
		for i, n := range times.Counts {
			if latency.Bound(i) <= b.GetUpperBound() {
				want += n
			}
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("up to %v s: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), want)
		}
	}
}

func checkNative(t *testing.T, h *dto.Histogram, schema int32, want map[int]uint64) {
	t.Helper()
	got := native(h)
	if h.GetSchema() != schema || len(got) != len(want) {
		t.Errorf("schema %d with %v, want %d with %v", h.GetSchema(), got, schema, want)
	}
	for i, n := range want {
		if got[i] != n {
			t.Errorf("native bucket %d: %d, want %d", i, got[i], n)
		}
	}
}
