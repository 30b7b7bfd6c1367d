package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"ringcached/batch"
	"ringcached/proto/latency"
)

// channelTable is what is known of each channel: a thread with its listener, its connections and its ring.
var channelTable = []struct {
	name, help string
	kind       prometheus.ValueType
	value      func(*batch.Stats) uint64
}{
	{"connections", "Connections that the channel serves.", gauge, func(s *batch.Stats) uint64 { return s.Conns }},
	{"connections_parked", "Of its connections those that are parked: silent, and held in less kernel memory.", gauge, func(s *batch.Stats) uint64 { return s.Parked }},
	{"connections_accepted_total", "Connections that the channel accepted.", counter, func(s *batch.Stats) uint64 { return s.Accepted }},
	{"connections_passed_total", "Connections that the channel gave to another one, which had fewer.", counter, func(s *batch.Stats) uint64 { return s.Passed }},
	{"batches_total", "Iterations of the channel's loop that brought something.", counter, func(s *batch.Stats) uint64 { return s.Batches }},
	{"waits_total", "Calls of io_uring_enter or epoll_wait.", counter, func(s *batch.Stats) uint64 { return s.Enters }},
	{"syscalls_total", "All system calls on the way of requests.", counter, func(s *batch.Stats) uint64 { return s.Syscalls }},
	{"submissions_total", "Operations that were submitted to the ring.", counter, func(s *batch.Stats) uint64 { return s.SQEs }},
	{"receives_total", "Receives that brought something.", counter, func(s *batch.Stats) uint64 { return s.Receives }},
	{"received_bytes_total", "Bytes received.", counter, func(s *batch.Stats) uint64 { return s.BytesRead }},
	{"no_buffers_total", "Receives that found no provided buffer (ENOBUFS) and were started again.", counter, func(s *batch.Stats) uint64 { return s.NoBuffers }},
	{"buffers", "Receive buffers that are provided to the kernel.", gauge, func(s *batch.Stats) uint64 { return s.BuffersTotal }},
	{"buffers_in_use", "Of these buffers those that hold what was not handled yet.", gauge, func(s *batch.Stats) uint64 { return s.BuffersOut }},
	{"short_sends_total", "Sends that the socket did not take as a whole at once.", counter, func(s *batch.Stats) uint64 { return s.ShortSends }},
	{"send_queue_bytes", "Bytes of replies that clients do not take.", gauge, func(s *batch.Stats) uint64 { return s.SendQueueBytes }},
	{"input_buffer_bytes", "Bytes of input that waits to be handled, or for its end.", gauge, func(s *batch.Stats) uint64 { return s.InputBufferBytes }},
	{"queue_overflows_total", "Times that the completion queue was full.", counter, func(s *batch.Stats) uint64 { return s.Overflows }},
	{"zero_copy_sends_total", "Sends that did not copy.", counter, func(s *batch.Stats) uint64 { return s.ZeroCopySends }},
}

// channelDescs describes what the lines of `stats` do not have.
type channelDescs struct {
	info    *prometheus.Desc
	columns []*prometheus.Desc // of channelTable
	wait    *prometheus.Desc
	send    *prometheus.Desc
	handle  *prometheus.Desc
}

func describeChannels() (d channelDescs) {
	for _, row := range channelTable {
		d.columns = append(d.columns, describe("ringcached_channel_"+row.name, row.help, "channel"))
	}
	d.info = describe("ringcached_info", "The release, and the I/O engine with its features, as labels; always 1.", "version", "engine", "features")
	d.wait = describe("ringcached_channel_completions_per_wait", "Completions, or ready events of epoll, that a wait brought.", "channel")
	d.send = describe("ringcached_channel_bytes_per_send", "Bytes of the replies that were sent together, before it is known whether the socket takes them all.", "channel")
	d.handle = describe("ringcached_handling_seconds",
		"Time from when a request is taken up to when its reply is written, by class of commands, of one request in 64: counts are of these samples, and so is _count.", "class")
	return d
}

func (d *channelDescs) describe(to chan<- *prometheus.Desc) {
	for _, desc := range append([]*prometheus.Desc{d.info, d.wait, d.send, d.handle}, d.columns...) {
		to <- desc
	}
}

// collect sends the samples of the channels, and those of times.
func (d *channelDescs) collect(to chan<- prometheus.Metric, source Source, batches map[string]string, version string) {
	to <- prometheus.MustNewConstMetric(d.info, prometheus.GaugeValue, 1, version, batches["engine"], batches["features"])
	channels := source.Channels()
	for i := range channels {
		s, id := &channels[i], strconv.Itoa(i)
		for j, row := range channelTable {
			to <- prometheus.MustNewConstMetric(d.columns[j], row.kind, float64(row.value(s)), id)
		}
		to <- powersOfTwo(d.wait, &s.ReapSizes, float64(s.CQEs), id)
		to <- powersOfTwo(d.send, &s.SendSizes, float64(s.SendBytes), id)
	}
	for class, name := range latency.Names {
		h := source.Latency(latency.Class(class))
		to <- times(d.handle, &h, name)
	}
}
