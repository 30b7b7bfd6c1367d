// Package metrics is a test of what Prometheus reads: memcached_exporter, built in the release that tools/exporter pins, reads a live server beside the
// server's own /metrics, and both must say the same.
package metrics
