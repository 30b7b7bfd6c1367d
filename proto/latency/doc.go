// Package latency measures how long commands are handled. Each worker times one call of proto.Worker.Data in 64 (Period), on average, counts the
// times in plain memory, and publishes after each batch what changed.
//
// The time is that of handling alone: from when the bytes of a request are handed in until its reply is written into the output. It has neither the
// network nor the wait for a batch in it.
//
// # Where to begin
//
// A [Sampler] (sampler.go) is a worker's: [Sampler.Due] chooses, [Sampler.Count] counts, and [Sampler.Publish] makes it a [Published], which others
// read. A [Histogram] (latency.go) is what they read, in the buckets of Prometheus' native histograms, of one [Class] of commands.
package latency
