// Package statlines describes every line of `stats` and its groups: what it means, in which unit, and which metric it becomes. docs/statistics.md, the manual
// page and the help texts of /metrics are made of it, and a test compares it with what a server shows.
//
// A [Row] (statlines.go) describes a line. [Table] has all rows, which are in general.go, settings.go, classes.go and batch.go by the group that shows them;
// document.go writes docs/statistics.md. A new line of a group needs a row there, and `make statistics man` then writes the documents anew.
package statlines
