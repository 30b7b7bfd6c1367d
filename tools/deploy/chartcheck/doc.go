// Command chartcheck checks what a chart renders, as Kubernetes would and further than a schema can: every field has to be one that the API
// has, of its type, and what objects say of each other has to hold.
//
//	helm template ringcached deploy/helm/ringcached | chartcheck
//
// Each mistake is a line; with any the exit code is 1.
//
// main.go reads, decode.go decodes strictly, by the types of the Kubernetes API and of the Prometheus operator, and references.go follows what objects say
// of each other: selectors, names of ports, of services and of secrets.
package main
