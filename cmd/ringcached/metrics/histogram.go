package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"ringcached/batch"
	"ringcached/proto/latency"
)

// histogram is a sample that is written both ways: as a native histogram for those who ask for protobuf, and with some buckets of the classic kind for all
// others.
type histogram struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair
	schema  int32
	first   int      // index, in a native histogram of that schema, of counts[0]
	counts  []uint64 // of each bucket, not cumulative
	sum     float64
	classic []int             // places in counts that become classic buckets
	bound   func(int) float64 // upper bound of counts[i]
}

var _ prometheus.Metric = (*histogram)(nil)

func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// Write fills in the message of the sample.
func (h *histogram) Write(to *dto.Metric) error {
	to.Label = h.labels
	out := &dto.Histogram{SampleSum: &h.sum, Schema: &h.schema, ZeroThreshold: new(float64), ZeroCount: new(uint64)}
	count, end := uint64(0), -1 // end: behind the last span
	next := 0
	var last int64
	for i, n := range h.counts {
		count += n
		if next < len(h.classic) && i == h.classic[next] {
			below, bound := count, h.bound(i)
			out.Bucket = append(out.Bucket, &dto.Bucket{CumulativeCount: &below, UpperBound: &bound})
			next++
		}
		if n == 0 {
			continue
		}
		if i != end || len(out.PositiveSpan) == 0 {
			offset := int32(i - end)
			if len(out.PositiveSpan) == 0 {
				offset = int32(h.first + i)
			}
			out.PositiveSpan = append(out.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: new(uint32)})
		}
		*out.PositiveSpan[len(out.PositiveSpan)-1].Length++
		out.PositiveDelta = append(out.PositiveDelta, int64(n)-last)
		last, end = int64(n), i+1
	}
	if len(out.PositiveSpan) == 0 { // how a native histogram without samples says that it is one
		out.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32)}}
	}
	out.SampleCount = &count
	to.Histogram = out
	return nil
}

// powersOfTwo is a histogram of package batch: bucket i is the one of index i in a native histogram of schema 0. Its last bucket counts all larger values,
// so it has no classic bound but infinity.
func powersOfTwo(desc *prometheus.Desc, counts *batch.Histogram, sum float64, labels ...string) prometheus.Metric {
	h := &histogram{desc: desc, labels: prometheus.MakeLabelPairs(desc, labels), counts: counts[:], sum: sum,
		bound: func(i int) float64 { return float64(uint64(1) << i) }}
	for i := range len(counts) - 1 {
		h.classic = append(h.classic, i)
	}
	return h
}

// classicStep is how many buckets of the native histogram of times make a classic one: 12 of 8 for each power of two make steps of 2.8.
const classicStep = 12

// times is a histogram of package latency.
func times(desc *prometheus.Desc, times *latency.Histogram, labels ...string) prometheus.Metric {
	h := &histogram{desc: desc, labels: prometheus.MakeLabelPairs(desc, labels), schema: latency.Schema, first: latency.First,
		counts: times.Counts[:], sum: float64(times.Sum) / 1e9, bound: latency.Bound}
	for i := 0; i < latency.Buckets-1; i += classicStep {
		h.classic = append(h.classic, i)
	}
	return h
}
