// Package htmlreport makes one HTML file of the experiments in a [trial.Report]: figures, ratios, and tables of every point and trial.
//
// The file needs nothing else, neither scripts nor fonts nor pictures, and is meant to be read on a phone, on a desk and on paper. A
// report becomes a page in three steps:
//
//   - findings.go compares every series of a part with epoll's and memcached's, place by place, and judges what is beyond noise. What the
//     page says in words comes from there (summary.go).
//   - figure_*.go draw SVG with the scales of scale.go. A place whose trials failed, or were limited by the load, is marked and has no number.
//   - page.go gathers words, figures and tables (table.go) for the template page.html, which escapes all text. style.css has the colours
//     as variables, which palette.go sets for light and dark.
package htmlreport
