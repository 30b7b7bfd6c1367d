// Package metrics says in Prometheus' format what a server reports: under the names, labels and meaning of memcached_exporter what memcached has too, and
// under names of its own what only ringcached knows.
package metrics

import _ "github.com/prometheus/client_golang/prometheus"
