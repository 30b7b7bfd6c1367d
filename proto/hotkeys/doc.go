// Package hotkeys finds the keys that are used most, in a stream of samples of all keys that are used.
//
// Each worker has a [Sketch], which counts by the Space-Saving algorithm (A. Metwally, D. Agrawal, A. El Abbadi: Efficient Computation of Frequent and
// Top-k Elements in Data Streams, ICDT 2005). It has 1024 counters, each with a key. A key without a counter takes over the smallest one, with its count.
// So a count is never too low. It is too high by no more than what the key took over, which the sketch remembers. Every key with more than a 1024th of
// all samples has a counter. A Sketch takes 280 KB.
//
// When somebody asks, a [Set] merges the 256 largest counters of each sketch (P. Agarwal et al.: Mergeable Summaries, PODS 2012). A key that is not among
// them may have been used on that worker as often as the largest counter that is left out says, and no more often: this much is added to its count, and
// to its error.
//
// # Recent use
//
// What was hot an hour ago is of no interest. All counts are halved every 30 seconds (HalfLife). A key's count so stands for the time since the last
// halving, half of it for the 30 seconds before, a quarter for those before, and so on: for about 45 seconds altogether, see Report.Seconds.
// The bounds hold for counts that were halved, too.
//
// # Locks
//
// A worker never waits. A Sketch is locked while somebody copies its largest counters, some ten microseconds, and a sample that comes then is lost.
//
// # Where to begin
//
// [Sketch.Offer] (sketch.go) is what a worker of proto calls with the keys of a sample; [Set] (hotkeys.go) has the sketches of all workers, and
// answers `stats hotkeys` and the page.
package hotkeys
