// Package trial measures servers under loads and compares them.
//
// A [Plan] says what is asked: servers, points (a load, and options of the servers, at a place of an axis), which server is the reference, and how
// narrow the interval of a ratio has to be. [Run] carries out plans and returns a [Report], which holds a [Result] for each plan. Comparisons,
// experiments, the targets of `limits` and the two builds of `regress` are plans; nothing else measures.
//
// A plan is carried out in one of two ways, its [Mode]:
//
//   - [SideBySide], for CPU per operation: at each point all servers stand side by side, warmed, on the same cores, and the load moves between
//     them in slices of some 20 ms. In a turn each server has one slice, in a random order; the next turn has the mirrored order (A B B A), so
//     that what changes steadily over two turns cancels. Turns go on until the intervals are as narrow as asked, or the point's share of the time
//     is over; what all plans leave goes to the points that need it most (division.go).
//   - [FreshProcesses], for memory, idle connections and latency, where history would matter: in each turn each server has one trial at each
//     point, as a new process.
//
// Either way a [Sample] is what one server did in one turn, and ratios are taken within turns: a [Ratio] is a robust mean of the paired log
// differences, with an interval. Samples that were disturbed are dropped, by a rule that looks at the machine and not at the figure
// ([Sample.Disturbed]). A second process of the first server takes part as well: its ratio to the first one, [Result.AA], must contain 1.
//
// docs/results.md has the form of all this, docs/benchmarking.md the method. Text, JSON, benchstat lines and pages for browsers need nothing beside a Report.
package trial
