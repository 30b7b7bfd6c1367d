// Package bench is the root of the packages that put load on memcached servers, measure what it costs them and compare them. It has no code
// itself. An arrow is an import; there are no others between these packages but for tables and zipf, which import none:
//
//	report → trial → sut → load; attack, storetest, replay → sut
//	storetest → evictsim; replay → trace → evictsim
//
// What each is for:
//
//   - load: what clients do (workloads), the closed and open loops that do it, the drivers that move the bytes, and the null server, whose canned
//     replies are the lower bound for a request.
//   - sut: the systems under test. It starts servers on cores of their own and reads their CPU time, system calls and memory.
//   - trial: servers against loads, side by side in slices or in new processes: plans, the engine that measures them, ratios with intervals.
//   - attack: hostile clients beside a polite one, and what single requests cost a server.
//   - storetest: what the stores hold: items that fit, hit ratios, pauses, memory. Package evictsim has its traces and simulates eviction policies.
//   - replay: recorded traffic against one server. Package trace has the format of the file and generates traces.
//   - report: results as text, JSON, benchstat lines and a page for browsers, and what changed from one to another.
//
// Words: a workload is what clients do; a plan has servers and points, each with a workload; a turn has a sample of each server at a point, taken in a
// slice of the load or in a trial of a new process; a row is one server at one point. Ratios compare samples of the same turn.
//
// Nothing here knows how a server is made: only addresses, process ids and the text protocol.
package bench
