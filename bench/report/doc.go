// Package report shows, stores and reads what package trial measured, and compares two stored results.
//
//   - [PrintBegin], [PrintResult] and [PrintEnd] write tables of text from a template, [Benchstat] the lines that benchstat reads.
//   - [WritePage] writes a page for browsers: one file, which loads nothing. Its figures are drawn by Observable Plot, which the page carries (see
//     the folder page, with the licences); every figure has a table beside it, so without JavaScript nothing is lost.
//     To update a library, take the file that page/LICENSES names out of what `npm pack` fetches, and its sum into page_test.go.
//   - [WriteJSON] stores a result of any kind. The form is in docs/results.md; [Read] reads it back.
//   - [Regress] says what changed beyond noise from one stored result to another, [RegressBuilds] what differs between two builds in one.
//
// What the texts and the page say in words is computed from the ratios (findings.go): one whose 95 % interval includes 1 is noise.
package report
