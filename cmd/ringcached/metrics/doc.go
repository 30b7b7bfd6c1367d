// Package metrics says in Prometheus' format what a server reports. What memcached has too has the names, labels and meaning that memcached_exporter gives
// it, so that dashboards and alerts made for that need no change; they begin with memcached_. What only ringcached knows begins with ringcached_.
//
// The numbers of memcached's names are computed from the lines of `stats`, which are what the exporter reads too, and by its rules: both agree because they
// have one source. Like the lines, these counters begin anew at `stats reset`. Those of channels and of times never do.
package metrics
