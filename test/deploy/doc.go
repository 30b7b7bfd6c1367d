// Package deploy is a test of what is deployed as a container: the image, the seccomp profile and the chart for Kubernetes, and the moves that
// docs/migrate.md describes. What needs container engines, or builds helm, runs with RINGCACHED_PACKAGES set (make test-packages).
package deploy
